"""Give an image the camera motion of a reference clip.

The names below come from their rooms when they are first used, so that `import cammimic` takes no time. Modules
of version 0.1.0 can still be imported under their old names.
"""

import sys as _sys
import warnings as _warnings
from importlib import import_module as _import_module
from importlib.abc import Loader as _Loader
from importlib.abc import MetaPathFinder as _MetaPathFinder
from importlib.util import spec_from_loader as _spec_from_loader
from types import ModuleType as _ModuleType

__version__ = "0.1.0"

_HOMES = {
    "CameraPath": "geometry.path",
    "GuidanceSettings": "model.transfer",
    "InputError": "core",
    "Motion": "model.motion",
    "MotionChange": "geometry.moves",
    "SamplingSettings": "model.sampling",
    "TrainingSettings": "model.training",
    "Video": "geometry.video",
    "apply_motion": "model.transfer",
    "camera_score": "metrics.camerascore",
    "estimate": "model.cost",
    "learn_motion": "model.motion",
    "load_backbone": "model.loading",
    "measure_motion": "metrics.scoring",
    "motion_from_words": "geometry.moves",
    "read_image": "geometry.video",
    "read_video": "geometry.video",
    "score_files": "metrics.camerascore",
    "transfer": "model.transfer",
    "weak_video": "geometry.weak_video",
    "write_preview": "app.preview",
    "write_result": "model.transfer",
    "write_video": "geometry.video",
}

_MOVED = {  # Modules of version 0.1.0 and where they are now
    "agreement": "metrics.statistics",
    "annotation": "dataset.annotation",
    "appearance": "metrics.appearance",
    "backbone": "model.backbone",
    "baselines": "benchmark.baselines",
    "bench": "benchmark.ablation",
    "camerascore": "metrics.camerascore",
    "cli": "app.cli",
    "cluster": "parallel",
    "collection": "dataset.records",
    "colmap": "metrics.colmap",
    "comparison": "metrics.statistics",
    "composing": "geometry.composing",
    "cost": "model.cost",
    "curator": "dataset.curator",
    "embedded": "model.embedded",
    "families": "model.families",
    "figures": "benchmark.figures",
    "gallery": "benchmark.gallery",
    "homography": "geometry.homography",
    "loading": "model.loading",
    "lora": "model.lora",
    "measuring": "metrics.scoring",
    "moves": "geometry.moves",
    "orthogonality": "model.orthogonality",
    "path": "geometry.path",
    "preference": "study.preference",
    "pretraining": "model.pretraining",
    "preview": "geometry.weak_video",
    "questionnaire": "study.questionnaire",
    "recipe": "app.settings",
    "render": "geometry.render",
    "robust": "geometry.robust",
    "runner": "benchmark.runner",
    "sampling": "model.sampling",
    "scenes": "dataset.dataset",
    "stage": "app.preview_panel",
    "training": "model.training",
    "transfer": "model.transfer",
    "truth": "benchmark.truth",
    "validation": "metrics.validation",
    "video": "geometry.video",
    "work": "app.app",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    "Import a name of the public interface from its room (PEP 562)."
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _MovedModules(_MetaPathFinder, _Loader):
    "Import a module by the name it had in version 0.1.0."

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        package, _, name = fullname.rpartition(".")
        return _spec_from_loader(fullname, self) if package == __name__ and name in _MOVED else None

    def create_module(self, spec: object) -> _ModuleType:
        home = f"{__name__}.{_MOVED[spec.name.rpartition('.')[2]]}"
        _warnings.warn(
            f"{spec.name} is {home} now; import from there, or from {__name__}", DeprecationWarning, stacklevel=2
        )
        self.spec = _import_module(home).__spec__
        return _sys.modules[home]

    def exec_module(self, module: _ModuleType) -> None:
        module.__spec__ = self.spec  # The import system had put the old name there


class _Package(_ModuleType):
    "A package whose public names are not replaced when a moved module of the same name is imported."

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, _ModuleType)):
            super().__setattr__(name, value)


_sys.meta_path.append(_MovedModules())
_sys.modules[__name__].__class__ = _Package
