"""Restart notebooks, run them from top to bottom, and store their outputs.

Each notebook runs in a process of its own, in its own folder. Cells with one of the `tst_flags` of settings.ini or `#|
eval: false` are skipped and keep the outputs they have. Outputs are cleaned as `nbdev_clean` does. If any cell of any
notebook fails, nothing is written. With --check nothing is written at all: the notebooks are tests, and on Linux their
processes are forks of one that has imported the heavy packages already."""

import argparse
import json
import os
import queue
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import forks
from project import CONFIG, ENV, NBS, ROOT, cells, notebooks

PROGRESS = re.compile(r"\d+%\|")
SECONDS = ROOT / "tools/notebook_seconds.json"  # Stem -> processor seconds, so that the longest begin first


@dataclass
class Run:
    path: Path
    passed: bool
    seconds: float
    message: str  # What went wrong, or what the notebook wrote to stderr
    processor: float | None = None  # Seconds of processors, its children's included; None where it was not measured


def processor_seconds():
    "What this process and its children that have ended have used."
    return sum(os.times()[:4])


def skipped(cell, flags):
    "Whether a cell must not run here."
    if cell.cell_type != "code" or "nbdev_export(" in cell.source:
        return True
    directives = getattr(cell, "directives_", None) or {}
    return directives.get("eval:", [""])[0].lower() == "false" or bool(flags & directives.keys())


def tidy(cell, index):
    "Clean the new outputs of a cell; what it wrote to stderr goes to the terminal instead."
    kept = []
    for output in cell.outputs:
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            if output["name"] == "stderr":
                sys.stderr.write(f"cell {index}: {text.rstrip()}\n")
                continue
            output["text"] = [line for line in text.splitlines(True) if not PROGRESS.search(line)]
            if not output["text"]:
                continue
        shown = "".join(output.get("text", []))
        shown += "".join("".join(value) for kind, value in output.get("data", {}).items() if kind.startswith("text"))
        for folder in (ROOT, Path.home(), Path(tempfile.gettempdir())):
            if f"{folder}{os.sep}" in shown:
                sys.exit(f"cell {index}: its output shows a path of this machine ({folder})")
        kept.append(output)
    cell.outputs = kept


def execute(
    source,  # Notebook to run
    target,  # Where the notebook with its new outputs goes; None: nowhere
):  # Whether every cell ran
    "Run one notebook in this process."
    from execnb.nbio import write_nb
    from execnb.shell import CaptureShell, format_exc
    from nbdev.clean import clean_nb
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import NBProcessor

    front = getattr(NBProcessor(source, procs=FrontmatterProc, process=True).nb, "frontmatter_", None) or {}
    if str(front.get("skip_exec", "")).lower() == "true":
        return True
    notebook = NBProcessor(source, rm_directives=False).nb
    flags = set(CONFIG.get("tst_flags", "notest").split())
    if "CAMMIMIC_SLOW_CELLS" in os.environ:
        flags.discard("slow")
    os.chdir(source.parent)
    shell = CaptureShell(source)
    slow = float(os.environ.get("CAMMIMIC_CELL_SECONDS", "inf"))
    for index, cell in enumerate(notebook.cells):
        if skipped(cell, flags):
            continue
        cell.outputs = []
        begin = processor_seconds()
        shell.cell(cell)
        if (used := processor_seconds() - begin) > slow:
            sys.stderr.write(f"cell {index}: {used:.1f} s  {cell.source.strip().splitlines()[-1][:100]}\n")
        if shell.exc:
            sys.stderr.write(f"cell {index}:\n{cell.source}\n\n{''.join(format_exc(shell.exc))}")
            return False
        if target:
            tidy(cell, index)
    if target:
        clean_nb(notebook, clean_ids=CONFIG.getboolean("clean_ids", True))
        write_nb(notebook, target)
    return True


def check(path):
    "Run one notebook in this process, as a test."
    return execute(Path(path), None)


def wants_fresh_process(path):
    "Whether a notebook needs packages to be unloaded: it says so, or sets what huggingface_hub reads at its import."
    marks = ("not in sys.modules", "HF_ENDPOINT=")
    return any(mark in cell["source"] for cell in cells(path) if cell["cell_type"] == "code" for mark in marks)


def run_one(path, target, *, timeout=None, zygote=None):
    "Run one notebook in a new process, or in a fork of a zygote."
    start = time.perf_counter()
    processor = None
    try:
        command = [sys.executable, __file__, "--child", str(path), *([str(target)] if target else [])]
        if zygote:
            fresh = command if wants_fresh_process(path) else None
            status, message, processor = zygote.run(str(path), timeout, fresh)
        else:
            env = dict(ENV, TQDM_DISABLE="1", HF_HUB_DISABLE_PROGRESS_BARS="1") if target else dict(ENV, IN_TEST="1")
            status, message = forks.run_quietly(command, env=env, timeout=timeout)
    except TimeoutError as failure:
        return Run(path, False, time.perf_counter() - start, str(failure))
    if status and not message:
        message = f"ended with status {status}"
    return Run(path, status == 0, time.perf_counter() - start, message, processor)


def stored_seconds():
    "Stem -> processor seconds of an earlier run."
    return json.loads(SECONDS.read_text()) if SECONDS.exists() else {}


def longest_first(paths):
    "Notebooks in the order in which they should begin; one that nobody measured is taken for a long one."
    known = stored_seconds()
    return sorted(paths, key=lambda path: -known.get(path.stem, 60))


def say(run, with_message):
    used = "" if run.processor is None else f", {run.processor:.1f} s of a processor"
    verdict = "passed" if run.passed else "FAILED"
    text = f"{verdict}  {run.path.relative_to(NBS)}  {run.seconds:.1f} s{used}"
    if run.message and (with_message or not run.passed):
        text += "\n    " + run.message.replace("\n", "\n    ")
    print(text, flush=True)


def run_all(paths, *, targets=None, jobs=2, timeout=None, with_messages=False):
    "Run notebooks, `jobs` at a time, the longest first, and print a line for each as it ends."
    todo = queue.SimpleQueue()
    for path in longest_first(paths):
        todo.put(path)
    runs = {}

    def work():
        zygote = None if targets or not forks.POSSIBLE else forks.Zygote("run_notebooks.check", dict(ENV, IN_TEST="1"))
        with zygote or forks.Nothing():
            while True:
                try:
                    path = todo.get_nowait()
                except queue.Empty:
                    return
                runs[path] = run_one(path, targets[path] if targets else None, timeout=timeout, zygote=zygote)
                say(runs[path], targets or with_messages)

    workers = [threading.Thread(target=work) for _ in range(min(jobs, len(paths)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [runs.get(path) or Run(path, False, 0.0, "its worker ended before it") for path in paths]


def slowest(runs, count=10):
    "A line for each of the slowest notebooks."
    for run in sorted(runs, key=lambda run: -(run.processor or run.seconds))[:count]:
        used = "" if run.processor is None else f", {run.processor:.1f} s of a processor"
        yield f"{run.path.stem}: {run.seconds:.1f} s{used}"


def find(name):
    "The notebook that a name, stem or path means."
    stem = Path(name).name.removesuffix(".ipynb")
    found = [path for path in notebooks() if path.stem == stem or path.stem.partition("_")[2] == stem]
    if not found:
        sys.exit(f"No notebook named {name}; there are: {', '.join(path.stem for path in notebooks())}")
    return found[0]


def store(targets):
    "Put notebooks with new outputs in the place of the old ones."
    for path, target in targets.items():
        if not target.exists():
            continue  # Its front matter says skip_exec
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(target.read_bytes())
        os.replace(beside, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks, such as 01_video; all of them if none is named")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time")
    parser.add_argument("--cells", type=float, metavar="SECONDS", help="name the cells that use a processor longer")
    parser.add_argument("--store-seconds", action="store_true", help=f"with --check, write {SECONDS.relative_to(ROOT)}")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sys.exit(not execute(Path(args.names[0]), Path(args.names[1]) if len(args.names) > 1 else None))
    if args.cells is not None:
        ENV["CAMMIMIC_CELL_SECONDS"] = str(args.cells)

    paths = [find(name) for name in args.names] or notebooks()
    with tempfile.TemporaryDirectory(prefix="cammimic-run-") as folder:
        targets = None if args.check else {path: Path(folder) / f"{index}.ipynb" for index, path in enumerate(paths)}
        runs = run_all(paths, targets=targets, jobs=args.jobs, with_messages=args.cells is not None)
        failed = sum(not run.passed for run in runs)
        if targets and not failed:
            store(targets)
        elif targets:
            print("Nothing was written.")
    if args.check and args.store_seconds:
        measured = {run.path.stem: round(run.processor or run.seconds) for run in runs}
        SECONDS.write_text(json.dumps(dict(sorted((stored_seconds() | measured).items())), indent=1) + "\n")
    print("The slowest:", *slowest(runs), sep="\n    ")
    print(f"{len(runs) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
