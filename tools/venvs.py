"""A venv that has some of what is installed here, with no second installation: its files are links, or copies where
links cannot be."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import call


def required(names):
    "Distributions that are installed here: these and what they require."
    todo, found = [Requirement(name) for name in names], {}
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in found:
            continue
        try:
            found[key] = distribution(wanted.name)
        except PackageNotFoundError:
            continue  # Not for this platform
        for line in found[key].requires or []:
            more = Requirement(line)
            if more.marker is None or any(more.marker.evaluate(dict(extra=extra)) for extra in ("", *wanted.extras)):
                todo.append(more)
    return {name: held for (name, _), held in found.items()}


def put(source, target):
    "A file in another place."
    if not source.exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def lend(python, names, *, without=()):
    """Put distributions that are installed here, and what they require, into the venv of a Python of the same version,
    with what is compiled of them; programs stay here, as they name the Python they are for."""
    status, said = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    site = Path(said.strip())
    kept = {canonicalize_name(name) for name in without}
    for name, held in required(names).items():
        for file in () if name in kept else held.files:
            target = Path(os.path.normpath(site / file))
            if target.parent == Path(python).parent or "__pycache__" in file.parts:
                continue
            source = Path(held.locate_file(file))
            put(source, target)
            if source.suffix == ".py" and (compiled := Path(cache_from_source(source))).exists():
                put(compiled, Path(cache_from_source(target)))
