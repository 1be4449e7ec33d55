"""Everything that must hold, step by step; `make test` and CI run it.

The last line is `N passed, N failed`. It counts notebooks; any other step that fails counts as one failure more, and is
named above. With step names as arguments only those run. With --all (`make test-all`, every night) nothing is
shortened: more damaged files, a kill in each phase, whole walks through the pages, all notebooks for Colab."""

import argparse
import ast
import base64
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import colab
import forks
import hashes
import readme
import run_notebooks
from project import (
    CONFIG,
    ENV,
    HEAVY,
    PACKAGE,
    PICTURE_LIMIT,
    ROOT,
    call,
    cells,
    exported_module,
    notebooks,
    packages,
    pins,
    room,
)
from venvs import lend

NAME = CONFIG["lib_name"]
TRANSFER = "--num-frames 4 --train-steps 2 --steps 2 --seed 0"  # Makes a transfer tiny
PACKAGE_LIMIT = 30_000_000  # Bytes of the wheel; the embedded backbone may take 20 MB of them
NOTEBOOK_TIMEOUT = 1200
LIGHT = (
    "metrics.camerascore",
    "metrics.scoring",
    "model.stored",
    "app.preview",
    "app.measuring_commands",
    "app.generating_commands",
    "app.cli",
)
LONG = 3600  # Seconds that a command may take, however busy the machine is


class Failed(Exception):
    pass


def run(*command, cwd=ROOT, env=ENV, timeout=LONG):
    "What a command prints; `Failed` with the end of it if its status is not 0."
    name = " ".join(Path(str(part)).name if os.sep in str(part) else str(part) for part in command)
    try:
        status, said = call(*command, cwd=cwd, env=env, timeout=timeout)
    except TimeoutError as failure:
        raise Failed(f"{name}: {failure}") from None
    if status:
        raise Failed(f"{name} ended with status {status}\n{said[-4000:].rstrip()}")
    return said


def require(problems):
    if problems := list(problems):
        raise Failed("\n".join(problems))


def agree(python):
    """`Failed` if packages lack or contradict one another. That decord's wheel names no platform in its metadata is no
    matter."""
    try:
        run(python, "-m", "pip", "--disable-pip-version-check", "check")
    except Failed as failure:
        require(
            line for line in str(failure).splitlines()[1:] if not line.startswith("decord ") or "platform" not in line
        )


def step_install(full):
    "Installed as pinned"
    agree(sys.executable)

    def off():
        for name, version in pins().items():
            try:
                found = importlib.metadata.version(name).partition("+")[0]
            except importlib.metadata.PackageNotFoundError:
                continue  # Not for this platform
            if found != version:
                yield f"{name} should be {version}, and is {found}"

    require(off())
    where = Path(run(sys.executable, "-c", f"import {NAME}; print({NAME}.__file__)", cwd=tempfile.gettempdir()).strip())
    if where.parent != PACKAGE:
        raise Failed(f"{NAME} is imported from {where.parent}, not from this repository")
    return f"{len(pins())} packages"


def step_clean(full):
    "Notebooks clean, modules in sync with them"
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-export-") as folder:
        copy = Path(folder)
        for name in ("settings.ini", "ruff.toml"):
            shutil.copy(ROOT / name, copy)
        for path in notebooks():
            (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / path.relative_to(ROOT))
        for path in PACKAGE.rglob("__init__.py"):
            (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / path.relative_to(ROOT))
        env = dict(ENV, XDG_CONFIG_HOME=folder)
        run(Path(sys.executable).with_name("nbdev_clean"), cwd=copy, env=env)
        run(sys.executable, ROOT / "tools/export.py", copy, env=env)
        require([*differences(copy), *large_pictures(), *unseeded(notebooks()), *colab.problems(notebooks())])
    return f"{len(notebooks())} notebooks"


def differences(copy):
    "How the notebooks and modules differ from those in `copy`, cleaned and exported anew."
    for path in notebooks():
        if path.read_bytes() != (copy / path.relative_to(ROOT)).read_bytes():
            yield f"{path.relative_to(ROOT)} is not clean: run nbdev_clean"
        if path.stat().st_size > 1_000_000:
            yield f"{path.relative_to(ROOT)} is over 1 MB"
        if any(len(json.dumps(output)) > 201_000 for cell in cells(path) for output in cell.get("outputs", [])):
            yield f"{path.relative_to(ROOT)} holds an output over 200 kB: store a smaller one, or a file beside it"
        if any(output["output_type"] == "error" for cell in cells(path) for output in cell.get("outputs", [])):
            yield f"{path.relative_to(ROOT)} holds the output of a failed cell: run make run NB={path.stem}"
    here, there = ({path.relative_to(top) for path in (top / PACKAGE.name).rglob("*.py")} for top in (ROOT, copy))
    for path in sorted(here | there):
        if path.name == "__init__.py" and path not in there:
            continue
        if path not in there:
            yield f"{path} is exported by no notebook"
        elif path not in here or (ROOT / path).read_bytes() != (copy / path).read_bytes():
            yield f"{path} is out of sync with its notebook: run make export"


def large_pictures():
    "Pictures over the limit, in the outputs of notebooks and among the stored results."
    for path in notebooks():
        for cell in cells(path):
            shown = [output["data"] for output in cell.get("outputs", []) if "data" in output]
            for picture in (data[kind] for data in shown for kind in ("image/png", "image/jpeg") if kind in data):
                size = len(base64.b64decode("".join(picture)))
                if size > PICTURE_LIMIT:
                    yield (
                        f"{path.relative_to(ROOT)}, cell {cell['id']}: a picture of {size} bytes, at most "
                        f"{PICTURE_LIMIT}"
                    )
    for path in sorted((ROOT / "nbs/results").rglob("*")):
        if path.suffix in (".png", ".jpg") and path.stat().st_size > PICTURE_LIMIT:
            yield f"{path.relative_to(ROOT)} has over {PICTURE_LIMIT} bytes: use write_image with max_bytes"


DRAWS = {f"torch.{name}" for name in ("randn", "rand", "randint", "randperm", "randn_like", "rand_like")}
IN_PLACE = {"normal_", "uniform_", "trunc_normal_"}  # Of a tensor, or of torch.nn.init
SEEDS = {"torch.manual_seed": "torch", "np.random.seed": "np.random"}
SAFE = {f"np.random.{name}" for name in ("default_rng", "Generator", "SeedSequence", "PCG64", "seed")}


def unseeded(paths):
    "Cells of notebooks that draw numbers which nobody seeded before: such a test meets other numbers in each run."
    for path in paths:
        seeded = set()
        for cell in cells(path):
            if cell["cell_type"] != "code" or "#| export" in cell["source"]:
                continue
            nodes = ast.walk(ast.parse(without_magics(cell["source"])))
            calls = [node for node in nodes if isinstance(node, ast.Call)]
            seeded |= {SEEDS[name] for name in map(called, calls) if name in SEEDS}
            for draw in calls:
                if (library := draws_from(draw)) and library not in seeded:
                    yield f"{path.stem}, cell {cell['id']}: {called(draw)} draws numbers that no seed decides"


def without_magics(source):
    "The source of a cell as Python reads it."
    return re.sub(r"^( *)[%!]\w.*", r"\1pass", source, flags=re.M)


def called(call):
    "The dotted name of what is called; of a method of something else only its own name."
    parts = []
    node = call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id] if isinstance(node, ast.Name) else parts[:1]))


def draws_from(call):
    "Whose random numbers a call takes: 'torch', 'np.random', or 'nowhere' where no seed counts; None if it takes none."
    name = called(call)
    if name in DRAWS or name.rpartition(".")[2] in IN_PLACE:
        return None if any(keyword.arg == "generator" for keyword in call.keywords) else "torch"
    if name == "np.random.default_rng" and not (call.args or call.keywords):
        return "nowhere"
    return "np.random" if name.startswith("np.random.") and name not in SAFE else None


def step_lint(full):
    "Notebooks, package and tools checked and formatted as ruff.toml says"
    ruff = (sys.executable, "-m", "ruff")
    run(*ruff, "check", "--no-cache", "--quiet", "--output-format", "concise", ".")
    run(*ruff, "format", "--no-cache", "--quiet", "--check", ".")


def step_supply(full):
    "Workflows name actions by commit, hashes.txt what is pinned, LICENCES.md what ships"
    require([*unpinned_actions(), *unhashed(), *unlicensed()])
    return f"{len(hashes.listed())} packages"


def unpinned_actions():
    "Actions of workflows that are not named by a commit with its version beside it."
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = path.read_text()
        for action in re.findall(r"uses: (.+)", text):
            if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+", action):
                yield f"{path.name}: {action} is not named by a commit, with the version beside it"
        if not re.search(r"^permissions:\n  contents: read\n", text, re.M):
            yield f"{path.name}: what its token may do is not bounded for all jobs"


def unhashed():
    "Differences between what is pinned and what hashes are known of."
    pinned, known = pins(), hashes.listed()
    for name in sorted({*pinned.items()} ^ {*known.items()}):
        yield f"{'=='.join(name)} is not in both constraints.txt and hashes.txt: run tools/hashes.py"


def unlicensed():
    "Files of the package that LICENCES.md does not name, and names that are no files."
    assets = PACKAGE / "assets"
    named = re.findall(r"^\| `([^`]+)` \|", (assets / "LICENCES.md").read_text(), re.M)
    there = {f"{path.name}/" if path.is_dir() else path.name for path in assets.iterdir()}
    for name in sorted((there - {"LICENCES.md", "__init__.py", "__pycache__/"}) ^ {*named}):
        yield f"cammimic/assets/LICENCES.md: {name} is not both a file and a row"


def is_light(path):
    "Whether the module of a notebook must import none of the heavy packages: geometry, scores of motion, command line."
    name = exported_module(path)
    return room(path) in (None, "1_geometry") or name in LIGHT


def afresh(path):
    "What is wrong with the import of a notebook's module in a new process; None where nothing is."
    module = f"{NAME}.{exported_module(path)}"
    check = f"import sys; loaded = {{*{HEAVY}}} & {{*sys.modules}}; assert not loaded, f'{module} imports {{loaded}}'"
    try:
        run(sys.executable, "-c", f"import {module}; {check if is_light(path) else ''}", cwd=tempfile.gettempdir())
    except Failed as failure:
        return str(failure)


def in_forks(job, paths):
    "What is wrong with the imports of notebooks' modules, each in a fork of a process that has none of them."
    with forks.Zygote(f"forks.{job}", ENV) as zygote:
        for path in paths:
            module = f"{NAME}.{exported_module(path)}"
            status, said, _ = zygote.run(module, NOTEBOOK_TIMEOUT)
            if status:
                yield f"{module} cannot be imported\n{said[-4000:]}"


def step_import(full):
    """Every module imports afresh, the light ones without torch; in forks of a process that has what they import, and
    with --all the light ones in new processes"""
    exporting = [path for path in notebooks() if exported_module(path)]
    light = [path for path in exporting if is_light(path)]
    others = [path for path in exporting if path not in light]
    new = exporting if not forks.POSSIBLE else light if full else []
    with ThreadPoolExecutor(2) as pool:
        troubles = [*filter(None, pool.map(afresh, new))]
    if forks.POSSIBLE:
        troubles += in_forks("load", others)
        troubles += [] if full else in_forks("load_light", light)
    require(troubles)
    return f"{len(exporting)} modules, {sum(map(is_light, exporting))} of them light"


def step_site(full):
    "The site renders, with a page for each notebook and no broken link"
    return run(sys.executable, ROOT / "tools/docs.py").strip().splitlines()[-1]


def step_graph(full):
    "Rooms import downwards only, by name, and are drawn as they are"
    return run(sys.executable, ROOT / "tools/graph.py").strip().splitlines()[-1]


def step_readme(full):
    "README.md is what nbs/index.ipynb gives"
    require(readme.problems())


def step_colab(full):
    "A notebook as Colab runs it, from its install line on; all of them with --all"

    if not (ROOT / ".git").exists():
        return "skipped: this is no clone"
    chosen = colab.published() if full else [run_notebooks.find("annotation")]
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-colab-") as folder:
        troubles = colab.check(chosen, Path(folder).resolve(), lambda text: print(text, flush=True), lent=not full)
    require(f"{name}: {text}" for name, text in troubles.items())
    return f"{len(chosen)} notebooks"


def step_package(full):
    "The wheel, in a venv of its own outside the repository: help, and the first tutorial with a tiny transfer"
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-wheel-") as folder:
        folder = Path(folder).resolve()
        wheel = build(folder / "dist")
        python = second_venv(folder, wheel, full)
        work = folder / "elsewhere"
        work.mkdir()
        said = use(python, work)
        return f"{wheel.stat().st_size / 1e6:.1f} MB; {said}"


def build(target):
    "Build the sdist and from it the wheel, and compare what they hold with the package's folder."
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, ROOT)
    [wheel], [sdist] = target.glob("*.whl"), target.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    for kind, held in (("wheel", set(zipfile.ZipFile(wheel).namelist())), ("sdist", in_sdist)):
        require(f"{name} is not in the {kind}" for name in sorted(wanted - held))
    with zipfile.ZipFile(wheel) as archive:
        page = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    require(
        f"the page on PyPI has a link that leads nowhere: {link}"
        for link in re.findall(r'\]\(([^)\s]+)|(?:src|href)="([^"]+)"', page)
        for link in link
        if link and not re.match("https?://|#", link)
    )
    if wheel.stat().st_size > PACKAGE_LIMIT:
        raise Failed(f"the wheel has {wheel.stat().st_size / 1e6:.1f} MB; at most {PACKAGE_LIMIT / 1e6:.0f}")
    return wheel


def second_venv(folder, wheel, full):
    """A venv with the wheel and what it requires: versions as pinned, but fastcore the newest there is. All of it is
    installed by pip, or what is installed here already is lent."""
    developing = packages("dev_requirements") | packages("extra_notebooks")
    constraints = folder / "constraints.txt"
    constraints.write_text(
        "".join(f"{name}=={version}\n" for name, version in pins().items() if name not in developing)
    )
    venv.create(folder / "venv", with_pip=full)
    python = folder / "venv" / "bin" / "python"
    if not full:
        lend(python, ["pip", *packages("requirements")], without=["fastcore"])
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
        "--constraint",
        constraints,
        f"torch=={pins()['torch']}",
        wheel,
    )
    agree(python)
    return python


def use(python, work):
    "Use the installed package as a stranger would, from a folder that is not the repository."
    where = (
        "import importlib.metadata, importlib.resources, {0}; print(importlib.metadata.version('fastcore'), "
        "*[importlib.resources.files({0})/'assets'/name for name in ('demo_reference.mp4', 'demo_image.jpg')], "
        "sep='\\n')"
    )
    fastcore, reference, _ = run(python, "-c", where.format(NAME), cwd=work).splitlines()
    if not Path(reference).is_relative_to(python.parent.parent):
        raise Failed(f"the assets are not those of the wheel: {reference}")
    command = python.with_name(NAME)
    run(command, "--help", cwd=work)
    said = run("bash", "-ec", tutorial(), cwd=work, env=dict(ENV, PATH=f"{python.parent}{os.pathsep}{ENV['PATH']}"))
    for name in ("clip.mp4", "motion.png", "draft.mp4", "result.mp4", "result.raw.mp4", "result.png", "result.json"):
        if not (work / name).exists() or not (work / name).stat().st_size:
            raise Failed(f"{name} was not written")
    if Path(reference).read_bytes() != (work / "clip.mp4").read_bytes() or len(re.findall(r"^ratio ", said, re.M)) != 2:
        raise Failed(f"the tutorial went otherwise than it says\n{said}")
    return f"fastcore {fastcore}"


def tutorial():
    """The shell commands of the first tutorial as they stand there, but for the package, which is installed already,
    and with fewer steps."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```",
        "\n".join(
            cell["source"] for cell in cells(run_notebooks.find("first_transfer")) if cell["cell_type"] == "markdown"
        ),
        re.M | re.S,
    )
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    [long] = [line for line in lines if f"{NAME} transfer" in line]
    return "\n".join(
        f"{line} {TRANSFER}" if line is long else line for line in lines if not line.startswith("pip install")
    )


def step_notebooks(full):
    "The notebooks, as tests"
    if not notebooks():
        raise Failed("there are no notebooks")
    if full:
        ENV["CAMMIMIC_SLOW_CELLS"] = "1"
    runs = run_notebooks.run_all(notebooks(), timeout=NOTEBOOK_TIMEOUT)
    print("The slowest:", *run_notebooks.slowest(runs), sep="\n    ")
    return runs


def step_fuzz(full):
    "Every reader, fed with damaged files, bombs, playlists and names that lead elsewhere"
    number = 10_000 if full else 260  # Most of what 260 take is loading the readers
    said = run(sys.executable, ROOT / "tools/fuzz.py", "--inputs", number, "--seed", "7")
    return f"{json.loads(said.splitlines()[-1])['inputs']} files read or refused"


def step_hardening(full):
    """A full disk, a huge picture, caches and outputs in the way, a clock that jumps, and kill -9 (in each phase with
    --all)"""
    if not sys.platform.startswith("linux"):
        return "skipped: not Linux"
    said = run(sys.executable, ROOT / "tools/hardening.py", *shortened(full))
    return "; ".join(json.loads(said.splitlines()[-1]).values())


def shortened(full):
    return [] if full else ["--short"]


def step_browser(full):
    "The app, and the pages of a study and of a gallery, in Chromium, from the first click to the last"
    from browser import browser_path

    if browser_path() is None:
        if os.environ.get("CI"):
            raise Failed("there is no Chromium")
        return "skipped: there is no Chromium; apt-get install chromium"
    found = {}
    for name in ("study", "gallery", "app"):
        said = run(sys.executable, ROOT / f"tools/{name}_page.py", *shortened(full))
        found[name] = json.loads(said.splitlines()[-1])
    study, gallery, app = found.values()
    return (
        f"{study['participants']} participants, {gallery['videos']} videos seen {gallery['apart_ms']} ms apart at "
        f"most, app: preview {app['psnr']} dB, Chromium {study['chromium']}"
    )


# One after another; then the long ones, two at a time: the notebooks, themselves two at a time, and beside them the
# others, the longest first. So two processors have three processes, of which some wait, and are never idle
STEPS = {
    "install": step_install,
    "clean": step_clean,
    "lint": step_lint,
    "supply": step_supply,
    "graph": step_graph,
    "readme": step_readme,
}
BESIDE = {
    "notebooks": step_notebooks,
    "browser": step_browser,
    "site": step_site,
    "colab": step_colab,
    "hardening": step_hardening,
    "package": step_package,
    "fuzz": step_fuzz,
    "import": step_import,
}


@dataclass
class Outcome:
    name: str
    said: str  # All that the step printed
    passed: int = 0  # Notebooks
    failed: list = field(default_factory=list)  # Names of notebooks, or of the step
    seconds: float = 0.0
    processor: float = 0.0  # Seconds of processors, its children's included


def attempt(name, full):
    "Run a step in this process; what is to be told of it."
    passed, failed, said = 0, [], ""
    try:
        said = {**STEPS, **BESIDE}[name](full)
        if name == "notebooks":
            failed = [str(run_.path.relative_to(ROOT)) for run_ in said if not run_.passed]
            passed = len(said) - len(failed)
            said = f"{passed} of {len(said)}"
    except Exception as failure:
        failed = [name]
        print(failure if isinstance(failure, Failed) else traceback.format_exc(limit=-3))
    return dict(said=said, passed=passed, failed=failed)


def outcome_of(name, full, shown):
    "Run a step in a process of its own, so that its processor time can be told; with `shown` it prints as it goes."
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-step-") as folder:
        answer = Path(folder) / "outcome.json"
        log = Path(folder) / "log"
        command = [sys.executable, __file__, name, "--inside", str(answer), *(["--all"] if full else [])]
        with log.open("w") as stream:
            silent = {} if shown else dict(stdout=stream, stderr=subprocess.STDOUT)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **silent)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        told = dict(said="", passed=0, failed=[name])
        if answer.exists():
            told = json.loads(answer.read_text())
        seconds = time.perf_counter() - start
        said = told.pop("said") or ""
        verdict = "FAILED" if told["failed"] else "ok"
        processor = used.ru_utime + used.ru_stime
        last = f"{verdict}{f' ({said})' if said else ''}, {seconds:.0f} s, {processor:.0f} s of a processor"
        return Outcome(name, log.read_text() + last, **told, seconds=seconds, processor=processor)


def run_steps(names, full):
    "Run steps; each is told as it ends."
    outcomes = []
    alone = [name for name in names if name in STEPS]
    beside = [name for name in BESIDE if name in names]
    shown = "notebooks"  # Prints as it goes; what the others print comes with their outcome
    for name in alone:
        print(f"\n== {name}: {STEPS[name].__doc__}", flush=True)
        outcomes.append(outcome_of(name, full, True))
        print(outcomes[-1].said, flush=True)
    if shown in beside:
        print(f"\n== {shown}: {BESIDE[shown].__doc__}", flush=True)
    with ThreadPoolExecutor(2) as pool:
        for future in as_completed([pool.submit(outcome_of, name, full, name == shown) for name in beside]):
            outcomes.append(future.result())
            name = outcomes[-1].name
            print(f"\n== {name}: {BESIDE[name].__doc__}", outcomes[-1].said, sep="\n", flush=True)
    return outcomes


def main():
    everything = [*STEPS, *BESIDE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", help=", ".join(everything))
    parser.add_argument("--all", action="store_true", help="nothing is shortened: hours, for the nightly run")
    parser.add_argument("--inside", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.steps if name not in everything]:
        parser.error(f"no step named {', '.join(unknown)}; there are: {', '.join(everything)}")
    if arguments.inside:
        told = attempt(arguments.steps[0], arguments.all)
        Path(arguments.inside).write_text(json.dumps(told))
        return
    start = time.perf_counter()
    outcomes = run_steps(arguments.steps or everything, arguments.all)
    failures = [name for outcome in outcomes for name in outcome.failed]
    print("\nSeconds, and seconds of processors:")
    for outcome in outcomes:
        print(f"    {outcome.name:<10}{outcome.seconds:6.0f}{outcome.processor:6.0f}")
    total = sum(outcome.processor for outcome in outcomes)
    print(f"    {'all':<10}{time.perf_counter() - start:6.0f}{total:6.0f}")
    for name in failures:
        print(f"failed: {name}")
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
