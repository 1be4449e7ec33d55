"What the tools share: where the notebooks and modules are, and the environment they run in."

import json
import os
import re
import signal
import subprocess
import tempfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT / "nbs"
_parser = ConfigParser(delimiters=["="])
_parser.read(ROOT / "settings.ini", encoding="utf-8")
CONFIG = _parser["DEFAULT"]
PACKAGE = ROOT / CONFIG["lib_path"]
HEAVY = ("torch", "diffusers", "transformers", "peft")  # What takes seconds to import

if "CAMMIMIC_CACHE" not in os.environ:  # what a test measures is not the user's, and an older version's not a test's
    _cache = tempfile.TemporaryDirectory(prefix="cammimic-cache-")
    os.environ["CAMMIMIC_CACHE"] = _cache.name

ENV = dict(
    os.environ,
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    PYTHONIOENCODING="utf-8",
)
for name in ("PYTHONPATH", "PYTHONSTARTUP", "IN_TEST", *(name for name in ENV if name.startswith("GIT_"))):
    ENV.pop(name, None)


def notebooks():
    "Every notebook of the project in the order of imports: those of no room, then room by room, the first page last."
    found = [
        path
        for path in NBS.rglob("*.ipynb")
        if not any(part.startswith((".", "_")) for part in path.relative_to(NBS).parts)
    ]
    return sorted(found, key=lambda path: (path.stem == "index", path.parent != NBS, path))


def cells(path):
    "The cells of a notebook, each with its source as one string."
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in found:
        cell["source"] = "".join(cell["source"])
    return found


def title(path):
    "The H1 of a notebook, or its name."
    heading = re.search(r"^# (.+)$", "".join(cell["source"] + "\n" for cell in cells(path)[:1]), re.M)
    return heading.group(1).strip() if heading else path.stem


def exported_module(path):
    "The module that a notebook exports, or None."
    for cell in cells(path):
        if found := re.search(r"^#\|\s*default_exp\s+(\S+)", cell["source"], re.M):
            return found.group(1)


ROOMS = {
    "1_geometry": "Geometry",
    "2_metrics": "Metrics",
    "3_model": "Model",
    "4_dataset": "Data set",
    "5_benchmark": "Benchmark",
    "6_study": "User study",
    "7_app": "App and command line",
    "9_tutorials": "Tutorials",
}

MODULE_ROOMS = {folder: folder[2:] for folder in ROOMS if folder != "9_tutorials"}  # Folder of notebooks -> package


def room(path):
    "The folder that a notebook lies in, one of `ROOMS`; None for those of no room."
    folder = path.relative_to(NBS).parts[0]
    return folder if folder in ROOMS else None


def module_file(name):
    "The file of a module, named without the package: geometry.video."
    return PACKAGE / f"{name.replace('.', '/')}.py"


def pins():
    "The names and versions that constraints.txt pins."
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))


def packages(key):
    "The names of the packages that an entry of settings.ini asks for."
    return {re.split(r"[<>=;\s]", line.strip())[0] for line in CONFIG.get(key, "").split("\n") if line.strip()}


PICTURE_LIMIT = 150_000  # Bytes of a picture that is stored, in a notebook or beside it


def screenshot(page, path, **options):
    "A screenshot of a page, small enough to be kept."
    from cammimic.geometry.video import read_image, write_image

    page.screenshot(path=path, type="jpeg", quality=92, **options)
    write_image(path, read_image(path), max_bytes=PICTURE_LIMIT)


def call(*command, timeout=900, **options):
    """Status and output of a command; `TimeoutError` with what it has said, and all its children ended, where it takes
    longer."""
    with subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
        except BaseException as failure:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            if isinstance(failure, subprocess.TimeoutExpired):
                raise TimeoutError(f"still running after {timeout} s\n{said[-4000:]}") from None
            raise
    return process.returncode, said
