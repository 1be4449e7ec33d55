"""Give an image the camera motion of a reference clip.

The names below come from their rooms when they are first used, so that `import cammimic` takes no time.
"""

from importlib import import_module as _import_module

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

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    "Import a name of the public interface from its room (PEP 562)."
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
