"""What reusing first stages saves, and what two workers on Ray gain: four clips with six scenes each, one thread a
process.

    # alone on a quiet machine; DATA of cammimic dataset build:
    OMP_NUM_THREADS=1 python experiments/runner_speed.py DATA OUTPUT.json
    # reuse at the paper's steps, each transfer with it and without in turn:
    OMP_NUM_THREADS=1 python experiments/runner_speed.py DATA OUTPUT.json --full

Arms and transfers that stand in OUTPUT.json already are kept; remove it to measure anew.
"""

import argparse
import json
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

from cammimic.benchmark.runner import Setup, chosen, columns_of, method_of, plan, run_one, run_tasks, tidy_table
from cammimic.core import atomic_path
from cammimic.dataset.records import read_collection
from cammimic.parallel import in_processes, in_ray


def without_reuse(work, items, *, folder):
    "One task after another, each with nothing learnt before it."
    for item in items:
        shutil.rmtree(folder / "parts", ignore_errors=True)
        yield item, work(item)


def in_turn(data, pairs, output):
    """Every transfer twice, one right after the other: after its clip's first stage was learnt, where it was, and from
    nothing."""
    found = json.loads(output.read_text()) if output.is_file() else []
    root = output.with_suffix(".parts")  # what was learnt, so that a run that was cut off goes on
    arms = {
        name: plan(Setup(data, str(root / name), device="cpu", fast=False), pairs, ("cammimic",))
        for name in ("with", "without")
    }
    tasks = sorted(zip(*arms.values(), strict=False), key=lambda two: (two[0].clip.id, two[0].scene.id))
    for i, two in enumerate(tasks[len(found) :], len(found)):
        result = {}
        for name, task in sorted(zip(arms, two, strict=False), reverse=bool(i % 2)):
            if name == "without":
                shutil.rmtree(root / name, ignore_errors=True)
            method_of(task)  # the model is loaded before the clock starts, as where one process does all tasks
            begin, cpu = time.perf_counter(), time.process_time()
            ratio = run_one(task)["ratio"]
            result[name] = dict(
                seconds=round(time.perf_counter() - begin, 2),
                cpu=round(time.process_time() - cpu, 2),
                ratio=round(ratio, 6),
            )
        found.append(dict(clip=two[0].clip.id, scene=two[0].scene.id, **result))
        with atomic_path(output) as part:
            Path(part).write_text(json.dumps(found, indent=1) + "\n")
        print(found[-1], flush=True)
    shutil.rmtree(root)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("output", type=Path)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    pairs = chosen(read_collection(arguments.data), clips=4, scenes=6)
    if arguments.full:
        return in_turn(arguments.data, pairs, arguments.output)
    found = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    with tempfile.TemporaryDirectory() as root:
        for name in ("reuse", "ray", "without reuse"):
            if name in found:
                continue
            folder = Path(root) / name.replace(" ", "_")
            execute = {
                "reuse": partial(in_processes, workers=0),
                "ray": partial(in_ray, workers=2),
                "without reuse": partial(without_reuse, folder=folder),
            }[name]
            tasks = plan(Setup(arguments.data, str(folder), device="cpu", fast=True), pairs, ("cammimic",))
            begin = time.perf_counter()
            counts = run_tasks(tasks, execute=execute)
            found[name] = dict(
                seconds=round(time.perf_counter() - begin, 1),
                tasks=counts["computed"],
                failed=len(counts["failed"]),
                ratios=[round(x, 6) for x in columns_of(tidy_table(tasks))["cammimic"]["ratio"]],
            )
            with atomic_path(arguments.output) as part:
                Path(part).write_text(json.dumps(found, indent=1) + "\n")
            print(name, found[name]["seconds"], "s", flush=True)


if __name__ == "__main__":
    main()
