"""Write hashes.txt: for every pinned package the SHA-256 of each file that PyPI has of it.

    python tools/hashes.py                 after a change of constraints.txt; needs PyPI
    python tools/hashes.py --also FILE     and that of a file from elsewhere, such as a CPU build of torch

`make install` takes no file that is not in the list. Wheels for older Pythons, and for platforms that nobody tests
on, are left out."""

import argparse
import hashlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from project import CONFIG, ROOT, pins

HASHES = ROOT / "hashes.txt"
PLATFORMS = ("any", "manylinux", "linux_x86_64", "macosx", "win_amd64")
PYTHONS = ("py3", "py2", "cp311", "cp312", "cp313", "cp314")
MACHINES = ("any", "x86_64", "aarch64", "arm64", "universal2", "amd64")


def files_of(name):
    "Name -> SHA-256 of all files of a package on PyPI."
    request = urllib.request.Request(
        f"https://pypi.org/simple/{canonicalize_name(name)}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)["files"]
    return {file["filename"]: file["hashes"]["sha256"] for file in found if not file["yanked"]}


def wanted(filename, version):
    "Whether a file is of that version and may be installed by a pinned environment."
    if not filename.endswith(".whl"):
        return filename.endswith((f"-{version}.tar.gz", f"-{version}.zip"))
    try:
        _, found, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return str(found) == version and any(
        (tag.interpreter in PYTHONS or tag.abi == "abi3")
        and tag.platform.startswith(PLATFORMS)
        and tag.platform.endswith(MACHINES)
        for tag in tags
    )


def markers():
    "Name -> where a package is wanted, of those that are not wanted everywhere."
    asked = (
        line.strip()
        for key in CONFIG
        if "requirements" in key or key.startswith("extra_")
        for line in CONFIG[key].split("\n")
    )
    found = (Requirement(line) for line in asked if ";" in line)
    return {canonicalize_name(requirement.name): str(requirement.marker) for requirement in found}


def lines(name, version, also):
    "One requirement with its hashes."
    found = {value for filename, value in files_of(name).items() if wanted(filename, version)}
    found |= {value for filename, value in also.items() if filename.lower().startswith(f"{name.lower()}-{version}")}
    if not found:
        raise SystemExit(f"PyPI has no file of {name} {version}: give it by --also")
    where = markers().get(canonicalize_name(name))
    return " \\\n".join(
        [
            f"{name}=={version}" + (f" ; {where}" if where else ""),
            *(f"    --hash=sha256:{value}" for value in sorted(found)),
        ]
    )


def listed():
    "Name -> version of what hashes.txt lists."
    found = (line.split()[0].split("==") for line in HASHES.read_text().splitlines() if "==" in line)
    return {name: version for name, version in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--also", type=Path, action="append", default=[], help="a file from elsewhere")
    also = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in parser.parse_args().also}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pin: lines(*pin, also), pins().items()))
    HASHES.write_text("# Written by tools/hashes.py from constraints.txt\n" + "\n".join(found) + "\n")


if __name__ == "__main__":
    main()
