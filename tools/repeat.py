"""Walks through pages again and again on a busy machine: python tools/repeat.py [study gallery app site] [--times 20]
[--busy 2]

Each walk runs --times times in a row while --busy processes keep the cores occupied. None of them may fail. `site`
looks at the pages that tools/docs.py has rendered."""

import argparse
import contextlib
import subprocess
import sys
import time

from project import ENV, ROOT, call

WALKS = dict(
    study=["tools/study_page.py"],
    gallery=["tools/gallery_page.py"],
    app=["tools/app_page.py"],
    site=["tools/docs.py", "--rendered"],
)
SPIN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
TIMEOUT = 3600  # Seconds of one walk


@contextlib.contextmanager
def busy(count):
    "So many processes that do nothing but compute."
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def repeat(name, times):
    "Take a walk several times; how often it failed."
    failed = 0
    for number in range(1, times + 1):
        begin = time.perf_counter()
        try:
            status, text = call(sys.executable, *WALKS[name], cwd=ROOT, env=ENV, timeout=TIMEOUT)
        except TimeoutError as failure:
            status, text = 1, str(failure)
        failed += status != 0
        seconds = time.perf_counter() - begin
        print(f"{'FAILED' if status else 'passed'}  {name} {number} of {times}, {seconds:.0f} s", flush=True)
        if status:
            print(text[-4000:], flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("walks", nargs="*", help=", ".join(WALKS))
    parser.add_argument("--times", type=int, default=20, help="runs of each walk in a row")
    parser.add_argument("--busy", type=int, default=2, help="processes that only compute meanwhile")
    arguments = parser.parse_args()
    if unknown := set(arguments.walks) - set(WALKS):
        parser.error(f"no walk named {', '.join(sorted(unknown))}; there are: {', '.join(WALKS)}")
    names = arguments.walks or list(WALKS)
    with busy(arguments.busy):
        failed = {name: repeat(name, arguments.times) for name in names}
    print(", ".join(f"{name}: {arguments.times - count} of {arguments.times}" for name, count in failed.items()))
    sys.exit(any(failed.values()))


if __name__ == "__main__":
    main()
