"""What goes wrong on real machines: python tools/hardening.py [--short]

A full disk, a huge picture, a cache that cannot be written, two processes with one output, a clock that jumps, and kill
-9 in each phase: no half-written file, one sentence where it cannot go on, and the same video where it can."""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from project import ENV, ROOT

sys.path.insert(0, str(ROOT))

ASSETS = ROOT / "cammimic" / "assets"
CLIP, PICTURE = str(ASSETS / "demo_reference.mp4"), str(ASSETS / "demo_image.jpg")
CALL = "import sys; from cammimic.app.cli import main; main(sys.argv[1:])"
TINY = ["--num-frames", "4", "--train-steps", "4", "--steps", "4", "--prompt", "a", "--reference-prompt", "b"]
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
    sampling=transfer.default_sampling(backbone, steps=8), num_frames=16, state_folder=output + '.state', progress=here)
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


def run(*arguments, cwd, before=None, **env):
    "A command of cammimic."
    return subprocess.run(
        [sys.executable, "-c", CALL, *map(str, arguments)],
        cwd=cwd,
        env=dict(ENV, OMP_NUM_THREADS="1", **env),
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=1200,
    )


def one_sentence(done):
    lines = [line for line in done.stderr.splitlines() if "stands in for it" not in line]
    assert done.returncode not in (0, -9) and len(lines) == 1 and "Traceback" not in done.stderr, (
        done.returncode,
        done.stderr,
    )
    return lines[0]


def full_disk(folder):
    "No file may grow beyond 30 kB."

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    said = [
        one_sentence(run("preview", CLIP, PICTURE, "--output", "draft.mp4", cwd=folder, before=limit)),
        one_sentence(run("transfer", CLIP, PICTURE, *TINY, "--output", "made.mp4", cwd=folder, before=limit)),
    ]
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith((".mp4", ".json", ".png"))], left
    assert all("cannot be written" in line or "cannot write" in line for line in said) and not any(
        ".cammimic-" in line for line in said
    ), said
    return said[0]


def huge_picture(folder):
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


def unwritable_cache(folder):
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


def two_writers(folder):
    "Two processes write the same file."
    from cammimic.geometry.video import probe_video

    both = [
        subprocess.Popen(
            [sys.executable, "-c", CALL, "preview", CLIP, PICTURE, "--output", "same.mp4"],
            cwd=folder,
            env=ENV,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [process.wait(1200) for process in both] == [0, 0]
    assert probe_video(folder / "same.mp4").num_frames > 10 and not list(folder.glob(".cammimic-*"))
    return "one whole file"


def jumping_clock(folder):
    "The clock of the wall goes back by a day with every look at it."
    code = (
        "import itertools, time; start, days = time.time(), itertools.count(); time.time = lambda: start - "
        "86400*next(days); "
    ) + CALL
    done = subprocess.run(
        [sys.executable, "-c", code, "transfer", CLIP, PICTURE, *TINY, "--output", "clock.mp4", "--json"],
        cwd=folder,
        env=dict(ENV, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=1200,
    )
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


def kill_nine(folder, kills=KILLS):
    "Killed in each phase and started again, it ends in the same video."

    def made(phase, step, name):
        return subprocess.run(
            [sys.executable, "-c", KILLED, phase, str(step), name, CLIP, PICTURE],
            cwd=folder,
            env=dict(ENV, OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=1200,
        )

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


def kill_nine_once(folder):
    "Killed in one phase."
    return kill_nine(folder, KILLS[:1])


def timed(trial):
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        return trial(Path(folder).resolve()), time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="kill in one phase only")
    # The longest first
    trials = (
        kill_nine_once if parser.parse_args().short else kill_nine,
        full_disk,
        huge_picture,
        unwritable_cache,
        two_writers,
        jumping_clock,
    )
    with ProcessPoolExecutor(2) as pool:
        said = dict(zip((trial.__name__ for trial in trials), pool.map(timed, trials), strict=False))
    for name, (found, seconds) in said.items():
        print(f"{name}: {found} ({seconds:.0f} s)", file=sys.stderr)
    print(json.dumps({name: found for name, (found, _) in said.items()}))


if __name__ == "__main__":
    main()
