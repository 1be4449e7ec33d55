"""The package on another Python: python3.13 tools/anywhere.py

A venv of the Python that runs this, the package from this repository with the newest of what it requires (no pins),
each module imported, and a stranger's first commands: help, a preview, a motion in words, a tiny transfer, its score.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINY = "--num-frames 4 --train-steps 2 --steps 2".split()
SERVER = "cammimic.app.serving"  # Needs the extra `app`
IMPORTS = (
    "import importlib, pkgutil, cammimic; "
    'names = [m.name for m in pkgutil.walk_packages(cammimic.__path__, "cammimic.")]; '
    f"names = [name for name in names if '._' not in name and name != '{SERVER}']; "
    "[importlib.import_module(name) for name in names]; print(len(names), 'modules')"
)


def run(*command, cwd):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
    )
    if done.returncode:
        sys.exit(
            f"{Path(str(command[0])).name} {' '.join(map(str, command[1:4]))} ended with status "
            f"{done.returncode}\n{done.stdout[-3000:]}"
        )
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        venv.create(folder / "venv", with_pip=True)
        python, work = folder / "venv" / "bin" / "python", folder / "work"
        work.mkdir()
        run(python, "-m", "pip", "install", "--quiet", ROOT, cwd=work)
        said = run(python, "-c", IMPORTS, cwd=work).splitlines()[-1]
        assets = Path(
            run(
                python,
                "-c",
                'import cammimic, pathlib; print(pathlib.Path(cammimic.__file__).parent/"assets")',
                cwd=work,
            ).split()[-1]
        )
        clip, picture, command = assets / "demo_reference.mp4", assets / "demo_image.jpg", python.with_name("cammimic")
        for arguments in (
            ["--help"],
            ["preview", clip, picture, "--output", "draft.mp4"],
            ["preview", picture, "--motion", "zoom-in 1.3 ease", "--output", "words.mp4"],
            ["transfer", clip, picture, *TINY, "--output", "result.mp4"],
            ["score", clip, "result.mp4"],
        ):
            run(command, *arguments, cwd=work)
        print(f"Python {sys.version.split()[0]}: {said}, {len(list(work.iterdir()))} files written")


if __name__ == "__main__":
    main()
