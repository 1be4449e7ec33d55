"""What goes wrong on real machines: python tools/hardening.py [--short]

A full disk, a huge picture, a cache that cannot be written, two processes with one output, a clock that jumps, and kill
-9 in each phase: no half-written file, one sentence where it cannot go on, and the same video where it can."""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import forks
from project import ENV, ROOT

sys.path.insert(0, str(ROOT))

ASSETS = ROOT / "cammimic" / "assets"
CLIP, PICTURE = str(ASSETS / "demo_reference.mp4"), str(ASSETS / "demo_image.jpg")
CALL = "import sys; from cammimic.app.cli import main; main(sys.argv[1:])"
TINY = ["--num-frames", "4", "--train-steps", "4", "--steps", "4", "--prompt", "a", "--reference-prompt", "b"]
TINY += ["--no-compose"]  # To write a hundred large frames takes longer than the model
MIRRORED = ["--border", "reflect"]
PANNED = ["--motion", "pan-right 10%", "--duration", ".5", *MIRRORED]
KILLED = """
import os, signal, sys
import cammimic.model.training as training, cammimic.model.transfer as transfer, cammimic.geometry.video as video
from cammimic.model.loading import load_backbone
from cammimic.model.training import TrainingSettings
phase, step, output = sys.argv[1], int(sys.argv[2]), sys.argv[3]
trained = training._train
training._train = lambda *args, **options: trained(*args, **options | dict(save_every=1))
def here(now, done, *_):
    here.first = getattr(here, 'first', f'{now} {done}')
    if (now, done) == (phase, step): os.kill(os.getpid(), signal.SIGKILL)
backbone = load_backbone()
result = transfer.transfer(sys.argv[4], sys.argv[5], backbone, training=TrainingSettings(steps=4),
    sampling=transfer.default_sampling(backbone, steps=4), num_frames=8, state_folder=output + '.state', progress=here)
if phase == 'writing':
    encode = video.av.VideoFrame.from_ndarray
    def halfway(*args, **options):
        here.count = getattr(here, 'count', 0) + 1
        if here.count == step: os.kill(os.getpid(), signal.SIGKILL)
        return encode(*args, **options)
    video.av.VideoFrame = type('Frame', (), dict(from_ndarray=staticmethod(halfway)))
transfer.write_result(result, output)
print(here.first)
"""


ONE_AT_A_TIME = threading.Lock()  # A zygote does one job at a time


def in_fork(argument):
    "A job of the zygote: run code as `python -c` does."
    job = json.loads(argument)
    os.chdir(job["cwd"])
    os.dup2(os.open(job["said"], os.O_WRONLY), 1)
    sys.argv = ["-c", *job["arguments"]]
    if job["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"],) * 2)
    try:
        exec(compile(job["code"], "<string>", "exec"), {"__name__": "__main__"})
    finally:
        sys.stdout.flush()
    return True


def python(code, *arguments, cwd, limit=None, zygote=None, **env):
    """What becomes of code with arguments: in a fork of a zygote, or in a new process, which alone reads an
    environment anew. No file may grow beyond `limit` bytes."""
    arguments = [*map(str, arguments)]
    if zygote is None or env:
        bound = limit and partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
        command = [sys.executable, "-c", code, *arguments]
        options = dict(cwd=cwd, env=dict(ENV, **env), preexec_fn=bound, timeout=1200)
        return subprocess.run(command, capture_output=True, text=True, **options)
    with tempfile.NamedTemporaryFile("r") as said, ONE_AT_A_TIME:
        job = dict(code=code, arguments=arguments, cwd=str(cwd), limit=limit, said=said.name)
        status, errors, _ = zygote.run(json.dumps(job), 1200)
        return subprocess.CompletedProcess(arguments, status, said.read(), errors)


def run(*arguments, **options):
    "A command of cammimic."
    return python(CALL, *arguments, **options)


def one_sentence(done):
    lines = [line for line in done.stderr.splitlines() if "stands in for it" not in line]
    assert done.returncode not in (0, -9) and len(lines) == 1 and "Traceback" not in done.stderr, (
        done.returncode,
        done.stderr,
    )
    return lines[0]


def full_disk(folder, zygote):
    "No file may grow beyond 30 kB."
    options = dict(cwd=folder, limit=30_000, zygote=zygote)
    said = [
        one_sentence(run("preview", CLIP, PICTURE, *MIRRORED, "--output", "draft.mp4", **options)),
        one_sentence(run("transfer", CLIP, PICTURE, *TINY, "--output", "made.mp4", **options)),
    ]
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith((".mp4", ".json", ".png"))], left
    assert all("cannot be written" in line or "cannot write" in line for line in said) and not any(
        ".cammimic-" in line for line in said
    ), said
    return said[0]


def huge_picture(folder, _):
    "A picture of 20 000 x 3 000 pixels, within 1.5 GB."
    import numpy as np
    from PIL import Image

    rows = np.linspace(0, 255, 20_000, dtype=np.uint8)[None].repeat(3000, axis=0)
    Image.fromarray(rows).convert("RGB").save(folder / "huge.jpg", quality=60)
    measured = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            measured,
            sys.executable,
            "-c",
            CALL,
            "preview",
            "huge.jpg",
            "--motion",
            "zoom-in 1.2",
            "--duration",
            ".4",
            "--output",
            "huge.mp4",
        ],
        cwd=folder,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.splitlines()[-1]) / 1e6
    assert peak < 1.5, f"{peak} GB"
    return f"{peak:.1f} GB"


def unwritable_cache(folder, _):
    "Every cache lies where nothing can be written."
    nowhere = "/dev/null/cache"
    done = run(
        "transfer",
        CLIP,
        PICTURE,
        *TINY,
        "--output",
        "cached.mp4",
        cwd=folder,
        HF_HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        MPLCONFIGDIR=nowhere,
        TORCH_HOME=nowhere,
        HOME=nowhere,
    )
    assert done.returncode == 0 and (folder / "cached.mp4").exists(), done.stderr
    return "works"


def two_writers(folder, _):
    "Two processes write the same file."
    from cammimic.geometry.video import probe_video

    both = [
        subprocess.Popen(
            [sys.executable, "-c", CALL, "preview", PICTURE, *PANNED, "--output", "same.mp4"],
            cwd=folder,
            env=ENV,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [process.wait(1200) for process in both] == [0, 0]
    assert probe_video(folder / "same.mp4").num_frames > 10 and not list(folder.glob(".cammimic-*"))
    return "one whole file"


def jumping_clock(folder, zygote):
    "The clock of the wall goes back by a day with every look at it."
    code = (
        "import itertools, time; start, days = time.time(), itertools.count(); time.time = lambda: start - "
        "86400*next(days); "
    ) + CALL
    done = python(code, "transfer", CLIP, PICTURE, *TINY, "--output", "clock.mp4", "--json", cwd=folder, zygote=zygote)
    assert done.returncode == 0, done.stderr
    assert all(seconds >= 0 for seconds in json.loads(done.stdout)["seconds"].values())
    return "seconds stay positive"


# Phase, step, and what the next run begins with
KILLS = (
    ("scene", 3, "scene 3"),
    ("motion", 2, "motion 2"),
    ("motion", 4, "motion 4"),
    ("sampling", 1, "sampling 1"),
    ("writing", 7, "sampling 1"),
)


def kill_nine(folder, zygote, kills=KILLS):
    "Killed in each phase and started again, it ends in the same video."

    def made(phase, step, name):
        return python(KILLED, phase, step, name, CLIP, PICTURE, cwd=folder, zygote=zygote)

    whole = made("never", 0, "whole.mp4")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.split() == ["motion", "1"], whole.stdout
    for phase, step, goes_on in kills:
        name = f"{phase}{step}.mp4"
        assert made(phase, step, name).returncode == -signal.SIGKILL and not (folder / name).exists(), (phase, step)
        again = made("never", 0, name)
        assert again.returncode == 0, again.stderr
        # nothing is done twice but the step it was killed in
        assert again.stdout.strip() == goes_on, (phase, step, again.stdout)
        assert (folder / name).read_bytes() == (folder / "whole.mp4").read_bytes(), (phase, step)
    return f"{len(kills)} kills, no step done twice, the same bytes"


def kill_nine_once(folder, zygote):
    "Killed in one phase."
    return kill_nine(folder, zygote, KILLS[:1])


def timed(trial, zygote):
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        return trial(Path(folder).resolve(), zygote), time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--short", action="store_true", help="kill in one phase only, in forks of one process that has torch already"
    )
    short = parser.parse_args().short
    # The longest first
    trials = (
        kill_nine_once if short else kill_nine,
        huge_picture,
        unwritable_cache,
        two_writers,
        full_disk,
        jumping_clock,
    )
    with forks.Zygote("hardening.in_fork", ENV) if short else nullcontext() as zygote, ThreadPoolExecutor(2) as pool:
        found = pool.map(partial(timed, zygote=zygote), trials)
        said = dict(zip((trial.__name__ for trial in trials), found, strict=True))
    for name, (found, seconds) in said.items():
        print(f"{name}: {found} ({seconds:.0f} s)", file=sys.stderr)
    print(json.dumps({name: found for name, (found, _) in said.items()}))


if __name__ == "__main__":
    main()
