"The room `dataset`; names of its main module, which was `cammimic.dataset` in version 0.1.0, are found here too."

from importlib import import_module as _import_module


def __getattr__(name: str) -> object:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.dataset"), name)
