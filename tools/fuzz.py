"""Readers fed with damaged files: python tools/fuzz.py [--inputs 10000] [--seed 0] [--output nbs/results/fuzz.json]
[--only NAME ...]

Good files are cut, mixed, overwritten and repeated; JSON, headers and tables are also changed in their meaning, names
lead out of their folder, headers promise sizes, playlists and scripts name a private file beside, and cameras do what
none can (tools/fuzz_inputs.py). A reader (tools/fuzz_readers.py) may read what it gets or refuse it by `InputError`.
Anything else is a finding: another exception, a crash of the process, more than 20 seconds of a processor, more than
300 MB for what is refused (450 MB for a picture) or 1.5 GB for what is read, a private file that is opened, moved or
changed, a file written elsewhere. Each finding is kept with the seed that makes it again:
python tools/fuzz.py --again NAME NUMBER."""

import argparse
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from fuzz_inputs import PRIVATE
from fuzz_readers import KINDS, clips, good_paths, pictures
from project import ENV, ROOT

sys.path.insert(0, str(ROOT))

SECONDS, WAIT, ROUNDS = 20, 900, 200  # Of a processor; by the clock; rounds of one process
READ_BYTES = 1_500_000_000  # Above what the process held before; for what is refused, a kind says how much
MORE = 6_000_000_000  # Tried where that is not enough
FINE = ("read", "refused")


def in_status(name):
    "A number of bytes in this process's status; 0 where the system does not tell."
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def forget_peak():
    "Let the peak of memory begin anew."
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then it is the largest of all inputs


class Watch:
    "Files that nobody may touch: what opens, changes or moves them is told by Linux, also where C code does it."

    TOUCHED = dict(opened=0x20, changed=0x2, moved=0x800, removed=0x400)

    def __init__(self):
        self.names, self.queue = {}, None
        if sys.platform.startswith("linux"):
            self.libc = ctypes.CDLL(None)
            self.queue = self.libc.inotify_init1(os.O_NONBLOCK)

    def add(self, path):
        if self.queue is not None:
            number = self.libc.inotify_add_watch(self.queue, os.fsencode(path), sum(self.TOUCHED.values()))
            self.names[number] = Path(path).name

    def told(self):
        "What was done since it was last asked."
        found = []
        while self.queue is not None:
            try:
                said = os.read(self.queue, 65536)
            except BlockingIOError:
                break
            while said:
                number, mask, length = (int.from_bytes(said[a : a + 4], sys.byteorder) for a in (0, 4, 12))
                done = [word for word, bit in self.TOUCHED.items() if mask & bit]
                found += [f"{word} {self.names.get(number, 'a private file')}" for word in done]
                said = said[16 + length :]
        return sorted(set(found))


class Place:
    "A folder `here` for one case after another, with private files above it."

    def __init__(self, folder):
        self.above, self.here, self.watch = Path(folder), Path(folder, "here"), Watch()
        self.here.mkdir(parents=True)
        os.chdir(self.here)
        contents = dict(png=pictures()[1], mp4=clips()[0], ts=next(c for c in clips() if c[:1] == b"G"))
        contents |= dict(json=good_paths()[0]["path.json"], safetensors=b"\x02" + bytes(7) + b"{}")
        for suffix in PRIVATE:
            path = self.above / f"private.{suffix}"
            path.write_bytes(contents.get(suffix, b"private,text\n"))
            self.watch.add(path)
        self.kept = {*os.listdir(self.above), "elsewhere"}
        self.empty()
        Path("../private.txt").read_bytes()
        if self.watch.queue is not None and self.faults() != ["opened private.txt"]:
            raise SystemExit("Linux does not tell who opens a file: there may be too many watches of inotify")

    def empty(self):
        "Remove what is left of the case before."
        for path in (*self.here.iterdir(), self.above / "elsewhere"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)

    def put(self, case):
        "Write the files of a case; the path of its first one."
        self.empty()
        (self.here / "link.mp4").symlink_to(self.above / "private.mp4")
        for name, content in case.items():
            path = Path(os.path.normpath(self.here / name))
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
                continue
            path.write_bytes(content)
            if name.startswith("../"):
                self.watch.add(path)
        self.watch.told()
        return self.here / next(iter(case))

    def faults(self):
        "What was touched that must not be."
        told = self.watch.told()
        for name in set(os.listdir(self.above)) - self.kept:
            told.append(f"wrote {name} elsewhere")
            shutil.rmtree(path) if (path := self.above / name).is_dir() else path.unlink()
        return told


def good_cases(name, place):
    "The good files of a kind."
    place.empty()
    found = KINDS[name].good()
    place.empty()
    return found


def case_of(name, number, seed, cases):
    "The damaged files of a number."
    return KINDS[name].damage(cases, random.Random(f"{seed} {name} {number}"))


def wanted_memory(error):
    """Whether an error came of an allocation that failed, of which its sentence does not tell. FFmpeg says so of other
    things, too: what it takes is measured."""
    told = "memory" in str(error)
    while error is not None:
        if isinstance(error, MemoryError) and not type(error).__module__.startswith("av."):
            return not told
        error = error.__cause__ or error.__context__
    return False


def attempt(name, path):
    "What a reader makes of a file, seconds of a processor, and bytes above what was held before."
    from cammimic.core import InputError

    begin, start = time.process_time(), in_status("VmRSS")  # Not by the clock: other work does not count
    resource.setrlimit(resource.RLIMIT_CPU, (int(begin) + 2 * SECONDS, resource.RLIM_INFINITY))
    signal.alarm(WAIT)
    forget_peak()
    try:
        KINDS[name].read(path)
        outcome = "was read" if KINDS[name].refuse else "read"
    except InputError as error:
        outcome = "took all memory" if wanted_memory(error) else "refused"
    except MemoryError:
        outcome = "took all memory"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
    signal.alarm(0)
    return outcome, time.process_time() - begin, in_status("VmHWM") - start


def outcome_of(name, path, place):
    "What a reader makes of a file: read, refused, or what is wrong."
    outcome, seconds, memory = attempt(name, path)
    faults = place.faults()
    if outcome == "took all memory":  # what is asked for and not used is not taken
        limit_memory(MORE)
        outcome, seconds, memory = attempt(name, path)
        limit_memory(READ_BYTES)
    if seconds > SECONDS:
        outcome = f"took {seconds:.0f} s"
    elif memory > (KINDS[name].taken if outcome == "refused" else READ_BYTES):
        outcome = f"took {memory / 1e9:.2f} GB ({outcome})"
    return "; ".join([outcome, *faults])


def limit_memory(more):
    "Let this process have so many bytes more than it has now."
    if most := in_status("VmData"):
        resource.setrlimit(resource.RLIMIT_DATA, (most + more, resource.RLIM_INFINITY))


def ready(names, folder):
    "The place and the good files of each kind, each read once: what is loaded then counts for no input."
    warnings.simplefilter("ignore")
    place = Place(folder)
    good = {name: good_cases(name, place) for name in names}
    for name, cases in good.items():
        said = [outcome_of(name, place.put(case), place) for case in cases]
        if said.count("read") < len(said) / 2:
            raise SystemExit(f"good files are not read: {name} {said}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(READ_BYTES)
    return place, good


def work(folder, names, first, count, seed):
    "Inputs first, first + 1, ...: a line before and after each; what libraries print goes to stderr."
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    place, good = ready(names, folder)
    for number in range(first, first + count):
        for name in names:
            path = place.put(case_of(name, number, seed, good[name]))
            print(json.dumps(dict(at=[name, number])), file=told, flush=True)
            outcome = outcome_of(name, path, place)
            print(json.dumps(dict(outcome=[name, number, outcome])), file=told, flush=True)
    print(json.dumps(dict(ended=True)), file=told, flush=True)


def again(folder, name, number, seed):
    "One input: the files that are damaged, and what becomes of it, with its traceback."
    place, good = ready([name], folder)
    case, whole = case_of(name, number, seed, good[name]), [file for case in good[name] for file in case.values()]
    print(*(f"{file}: {content[:2000]!r}" for file, content in case.items() if content not in whole), sep="\n")
    path = place.put(case)
    try:
        KINDS[name].read(path)
        print("read")
    finally:
        print(*place.faults(), f"peak {in_status('VmHWM') / 1e6:.0f} MB", sep="\n")


def run_worker(folder, names, first, count, seed):
    "Lines of a process that takes some rounds, and at last its status."
    options = ["--work", folder, str(first), str(count), "--seed", str(seed), "--only", *names]
    command, pipe = [sys.executable, __file__, *options], subprocess.PIPE
    with tempfile.TemporaryFile("w+") as errors:
        worker = subprocess.Popen(command, stdout=pipe, stderr=errors, text=True, env=ENV)
        for line in worker.stdout:
            yield json.loads(line)
        status = worker.wait()
        errors.seek(0)
        yield dict(status=status, said=errors.read().strip().splitlines()[-1:])


def run_all(names, inputs, seed):
    "Outcomes and findings of all inputs."
    rounds, first, findings, outcomes = -(-inputs // len(names)), 0, [], Counter()
    while first < rounds:
        last, ended = None, False
        with tempfile.TemporaryDirectory() as folder:
            for said in run_worker(folder, names, first, min(ROUNDS, rounds - first), seed):
                last, ended = said.get("at", last), said.get("ended", ended)
                if "outcome" not in said:
                    continue
                name, _, outcome = said["outcome"]
                outcomes[f"{name} {outcome if outcome in FINE else 'found'}"] += 1
                if outcome not in FINE:
                    findings.append(said["outcome"])
                    print(*findings[-1], flush=True)
        if not ended:
            if last is None:
                raise SystemExit(f"the good files are not read: {said['said']}")
            findings.append([*last, f"the process ended with status {said['status']} {said['said']}"])
            print(*findings[-1], flush=True)
        first = first + ROUNDS if ended else last[1] + 1
    return outcomes, findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", nargs="*", choices=KINDS)
    parser.add_argument("--again", nargs=2)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.only or list(KINDS)
    if arguments.work:
        folder, first, count = arguments.work
        return work(folder, names, int(first), int(count), arguments.seed)
    if arguments.again:
        with tempfile.TemporaryDirectory() as folder:
            return again(folder, arguments.again[0], int(arguments.again[1]), arguments.seed)
    outcomes, findings = run_all(names, arguments.inputs, arguments.seed)
    found = dict(
        inputs=sum(outcomes.values()), seed=arguments.seed, outcomes=dict(sorted(outcomes.items())), findings=findings
    )
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(dict(found, findings=len(findings))))
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
