"""What reusing first stages saves, and what two workers on Ray gain: four clips with six scenes each, one thread a process.

    OMP_NUM_THREADS=1 python tools/runner_speed.py DATA OUTPUT.json     # alone on a quiet machine; DATA of cammimic dataset build

Arms that stand in OUTPUT.json already are kept; remove it to measure anew.
"""
import argparse, json, shutil, tempfile, time
from functools import partial
from pathlib import Path
from cammimic.cluster import in_ray
from cammimic.collection import read_collection
from cammimic.command import in_processes
from cammimic.runner import Setup, chosen, columns_of, plan, run_tasks, tidy_table
from cammimic.video import atomic_path

def without_reuse(work, items, *, folder):
    "One task after another, each with nothing learnt before it."
    for item in items:
        shutil.rmtree(folder/'parts', ignore_errors=True)
        yield item, work(item)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data'); parser.add_argument('output', type=Path)
    arguments = parser.parse_args()
    found = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    pairs = chosen(read_collection(arguments.data), clips=4, scenes=6)
    with tempfile.TemporaryDirectory() as root:
        for name in ('reuse', 'ray', 'without reuse'):
            if name in found: continue
            folder = Path(root)/name.replace(' ', '_')
            execute = {'reuse': partial(in_processes, workers=0), 'ray': partial(in_ray, workers=2), 'without reuse': partial(without_reuse, folder=folder)}[name]
            tasks = plan(Setup(arguments.data, str(folder), device='cpu', fast=True), pairs, ('cammimic',))
            begin = time.perf_counter()
            counts = run_tasks(tasks, execute=execute)
            found[name] = dict(seconds=round(time.perf_counter() - begin, 1), tasks=counts['computed'], failed=len(counts['failed']), ratios=[round(x, 6) for x in columns_of(tidy_table(tasks))['cammimic']['ratio']])
            with atomic_path(arguments.output) as part: Path(part).write_text(json.dumps(found, indent=1) + '\n')
            print(name, found[name]['seconds'], 's', flush=True)

if __name__ == '__main__': main()
