"""Notebooks as Colab runs them: python tools/colab.py [NAMES]

Each lies alone in an empty folder, in a venv that has what Colab has and no cammimic, and is run by a Jupyter kernel
that calls itself Colab's, so its hidden cell installs the package and fetches what lies beside the notebooks. That cell
is `cell(path)`, the same for all. GitHub's address leads to this working tree, and versions are those of
constraints.txt. Cells that the tests skip are skipped here too.

--write puts the cell and the link to Colab into every notebook that has one: after it was moved, or EXTRAS changed.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
import venv
from pathlib import Path

from project import CONFIG, ENV, ROOT, call, cells, exported_module, notebooks, packages, pins
from run_notebooks import find
from venvs import lend

COLAB = "ipykernel nbclient ipywidgets matplotlib scipy scikit-image".split()  # Beside torch; Colab has much more
MORE = "diffusers transformers peft accelerate opencv-python".split()  # Of it, where what is installed here is lent
KERNEL = "type(get_ipython()).__repr__ = lambda shell: '<google.colab._shell.Shell object>'"
EXECUTE = (
    "import sys, nbformat; from nbclient import NotebookClient; NotebookClient(nbformat.read(sys.argv[1], 4), "
    "timeout=1200, kernel_name='python3').execute()"
)

INSTALLED = (
    "import json; from importlib.metadata import distribution; "
    "print(json.loads(distribution('cammimic').read_text('direct_url.json'))['vcs_info']['commit_id'])"
)

# What a notebook needs beyond the package and, where it exports a module, the extra `notebooks`; by name without number
EXTRAS = {
    "ablation": "bench",
    "annotation": "dataset",
    "app": "app",
    "appearance": "metrics",
    "baselines": "bench",
    "colmap": "colmap",
    "curator": "dataset",
    "dataset": "dataset",
    "figures": "bench",
    "index": "bench",
    "parallel": "ray",
    "preference": "study",
    "run_benchmark": "bench",
    "runner": "bench,ray",
    "scoring": "metrics",
    "statistics": "bench",
    "study": "study",
    "truth": "bench",
    "user_study": "study",
}


def extras(path):
    "The extras that a notebook needs."
    own = EXTRAS.get(re.sub(r"^\d+_", "", path.stem), "")
    return ["notebooks"] * bool(exported_module(path)) + [extra for extra in own.split(",") if extra]


def cell(path):
    "What the hidden cell runs on Colab: install the package, fetch the repository, go to the notebook's folder."
    name = CONFIG["lib_name"] + (f"[{','.join(extras(path))}]" if extras(path) else "")
    return f"""if "google.colab" in str(get_ipython()):
    %pip install -q "{name} @ git+{CONFIG["git_url"]}"
    !git clone -q --depth 1 {CONFIG["git_url"]}
    %cd -q {CONFIG["lib_name"]}/{path.parent.relative_to(ROOT).as_posix()}"""


LINK = r"https://colab\.research\.google\.com/github/[^\s)]*"


def link(path):
    "Where Colab opens a notebook."
    place = f"{CONFIG['user']}/{CONFIG['lib_name']}/blob/{CONFIG['branch']}"
    return f"https://colab.research.google.com/github/{place}/{path.relative_to(ROOT).as_posix()}"


def is_hidden_cell(source):
    "Whether a code cell is the one for Colab."
    return "git clone -q" in source and "google.colab" in source


def with_cell(path):
    "The notebook as it should be, as text: its hidden cell and its link to Colab from the template."
    book = json.loads(path.read_text(encoding="utf-8"))
    for part in book["cells"]:
        source = "".join(part["source"])
        if part["cell_type"] == "markdown":
            source = re.sub(rf"(?<=\[Open in Colab\]\(){LINK}", link(path), source)
        elif is_hidden_cell(source):
            source = "\n".join([*(line for line in source.split("\n") if line.startswith("#|")), cell(path)])
        part["source"] = source.splitlines(True)
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def problems(paths):
    "Which notebooks have no hidden cell, another than the template, or a link to another notebook."
    for path in paths:
        name = path.relative_to(ROOT)
        found = [
            part["source"] for part in cells(path) if part["cell_type"] == "code" and is_hidden_cell(part["source"])
        ]
        if len(found) != 1:
            yield f"{name} has {len(found)} hidden cells for Colab, and should have one: see tools/colab.py"
        elif path.read_text(encoding="utf-8") != with_cell(path):
            yield f"{name} has another cell or link for Colab than the template: run python tools/colab.py --write"
        elif max(map(len, found[0].splitlines())) > 120:
            yield f"{name} has a line of over 120 characters in its cell for Colab"


def run(*command, **options):
    status, said = call(*command, **options)
    if status:
        raise RuntimeError(said[-3000:].rstrip())
    return said


def as_on_colab(path, target):
    "A copy without the cells that the tests skip."
    flags = re.compile(rf"^#\|\s*({'|'.join(CONFIG['tst_flags'].split())}|eval:\s*false)\b", re.M)
    book = json.loads(path.read_text(encoding="utf-8"))
    book["cells"] = [
        cell for cell in book["cells"] if cell["cell_type"] == "markdown" or not flags.search("".join(cell["source"]))
    ]
    target.write_text(json.dumps(book), encoding="utf-8")


def publish(target, env):
    """A repository of one commit with the files of the working tree, which lets pip fetch files one by one, as GitHub
    does; its commit."""
    for name in filter(
        None, run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z", env=env).split("\0")
    ):
        if not os.path.lexists(ROOT / name):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for command in (
        ["init", "-q"],
        ["config", "core.compression", "0"],
        ["add", "-A", "-f"],
        ["commit", "-q", "-m", "Published"],
        ["config", "uploadpack.allowFilter", "true"],
        ["config", "uploadpack.allowAnySHA1InWant", "true"],
    ):
        run("git", "-C", target, *command, env=env)
    return run("git", "-C", target, "rev-parse", "HEAD", env=env).strip()


def check(paths, folder, report=print, lent=False):
    """Run notebooks; what went wrong, by name. What Colab has is installed by pip, or with `lent` it is what this
    environment has."""
    (folder / "gitconfig").write_text(
        "[user]\nname = colab\nemail = colab@localhost\n[safe]\ndirectory = *\n[url "
        f'"file://{folder / "github"}"]\ninsteadOf = {CONFIG["git_url"]}\n'
    )
    env = dict(ENV, GIT_CONFIG_GLOBAL=str(folder / "gitconfig"), GIT_CONFIG_NOSYSTEM="1")
    commit = publish(folder / "github", env)
    venv.create(folder / "colab", with_pip=not lent)
    python = folder / "colab" / "bin" / "python"
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-colab.py").write_text(KERNEL)
    constraints = folder / "colab.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins().items()))
    env |= dict(
        IPYTHONDIR=str(folder / "ipython"),
        PIP_CONSTRAINT=str(constraints),
        PATH=f"{python.parent}{os.pathsep}{ENV['PATH']}",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        MPLBACKEND="module://matplotlib_inline.backend_inline",
    )
    if lent:
        lend(python, [*COLAB, *MORE, "torch", "pip"])
    else:
        run(python, "-m", "pip", "install", "-q", "--no-compile", *COLAB, f"torch=={pins()['torch']}", env=env)
    optional, failed, before = (
        set().union(*(packages(key) for key in CONFIG if key.startswith("extra_"))) - set(COLAB),
        {},
        None,
    )
    for path in sorted(paths, key=lambda path: (extras(path), path.name)):
        if extras(path) != before:
            # what another notebook brought
            run(python, "-m", "pip", "uninstall", "-q", "-y", "cammimic", *sorted(optional - {"fastcore"}), env=env)
        before, alone, begin = extras(path), folder / path.stem, time.perf_counter()
        alone.mkdir()
        as_on_colab(path, alone / path.name)
        try:
            run(python, "-c", EXECUTE, path.name, cwd=alone, env=env, timeout=1500)
            if run(python, "-c", INSTALLED, cwd=folder, env=env).strip() != commit:
                raise RuntimeError("cammimic was not installed from this repository")
        except (RuntimeError, TimeoutError) as failure:
            failed[path.name] = str(failure)
        report(
            f"{'FAILED' if path.name in failed else 'passed'}  {path.name}  {time.perf_counter() - begin:.0f} s"
            + (f"\n{failed[path.name][-1500:]}" if path.name in failed else "")
        )
        shutil.rmtree(alone)
    return failed


def published():
    "The notebooks that Colab can open."
    return [path for path in notebooks() if "google.colab" in path.read_text(encoding="utf-8")]


def main():
    if sys.argv[1:] == ["--write"]:
        for path in notebooks():
            path.write_text(with_cell(path), encoding="utf-8")
        sys.exit("\n".join(problems(notebooks())) or None)
    with tempfile.TemporaryDirectory(prefix="cammimic-colab-") as folder:
        failed = check(
            [find(name) for name in sys.argv[1:]] or published(),
            Path(folder).resolve(),
            lambda text: print(text, flush=True),
        )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
