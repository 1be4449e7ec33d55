"""Export the notebooks into the package, formatted: python tools/export.py [FOLDER], by default this repository.

nbdev writes the cells of a module as they stand, and does not lay out what lies between them; its imports are relative
only where they fit one line. Here they read as in the notebooks, and `ruff format` has nothing left to change.
"""

import sys
from pathlib import Path

from project import CONFIG, ENV, ROOT, call


def export(folder):
    "Run nbdev_export in a folder with settings.ini, ruff.toml and notebooks, and format the package that it writes."
    ruff = (sys.executable, "-m", "ruff")
    package = CONFIG["lib_path"]
    for command in (
        (Path(sys.executable).with_name("nbdev_export"),),
        (*ruff, "check", "--no-cache", "--quiet", "--fix", "--select", "TID252", package),
        (*ruff, "format", "--no-cache", "--quiet", package),
    ):
        status, said = call(*command, cwd=folder, env=ENV)
        if status:
            sys.exit(f"{' '.join(map(str, command))}\n{said}")


if __name__ == "__main__":
    export(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
