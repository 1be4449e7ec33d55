"""Readers fed with damaged files: python tools/fuzz.py [--inputs 10000] [--seed 0] [--output nbs/results/fuzz.json]
[--only NAME ...]

Good files are cut, mixed, overwritten and repeated; JSON and tables are also changed in their meaning. A reader may
read what it gets or refuse it by `InputError`. Anything else is a finding: another exception, a crash of the process,
more than 20 seconds of a processor, more than 2 GB. Each finding is kept with the seed that makes it again: python
tools/fuzz.py --again NAME NUMBER."""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import lru_cache
from pathlib import Path

from project import ROOT

sys.path.insert(0, str(ROOT))

SECONDS, BYTES = 20, 2_000_000_000
NASTY = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    2**63,
    "",
    "../../etc/passwd",
    "x" * 5000,
    [],
    {},
    [[]],
    "\0",
    "1e999",
    "-0",
    "NaN",
]


def good_files(folder):
    "Name of the reader -> (suffix, contents of good files)."
    import cv2
    import numpy as np
    from PIL import Image

    from cammimic.geometry.moves import motion_from_words
    from cammimic.geometry.video import write_gif, write_video

    generator, found = np.random.default_rng(0), {}
    photo = cv2.resize(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for kind, options in dict(jpg={}, png={}, webp={}, gif={}, tiff={}, bmp={}).items():
        Image.fromarray(photo).save(folder / f"p.{kind}", **options)
        pictures.append((folder / f"p.{kind}").read_bytes())
    Image.fromarray(photo).convert("CMYK").save(folder / "c.jpg")
    pictures.append((folder / "c.jpg").read_bytes())
    Image.fromarray(photo[..., 0].astype(np.uint16) * 200).save(folder / "d.png")
    pictures.append((folder / "d.png").read_bytes())
    clip = np.stack([np.roll(photo, 2 * k, axis=1) for k in range(8)])
    write_video(folder / "v.mp4", clip, fps=8)
    write_gif(folder / "v.gif", clip, fps=8)
    clips = [(folder / name).read_bytes() for name in ("v.mp4", "v.gif")]
    motion_from_words("zoom-in 1.3", num_frames=5).save(folder / "path.json")
    found.update(
        picture=(".img", pictures),
        video=(".mp4", clips),
        frames=(".mp4", clips),
        upload=(".any", [*pictures, *clips, (folder / "path.json").read_bytes()]),
        path=(".json", [(folder / "path.json").read_bytes()]),
        mask=(".png", pictures[:3]),
    )
    go_on(folder / "s.safetensors")
    found.update(
        motion=(".safetensors", [motion_file(folder)]),
        state=(".safetensors", [(folder / "s.safetensors").read_bytes()]),
    )
    tables = dict(
        collection=(".jsonl", ROOT / "nbs/results/dataset/release/clips/metadata.jsonl"),
        pairs=(".csv", None),
        results=(".csv", ROOT / "nbs/results/bench/results.csv"),
    )
    for name, (suffix, path) in tables.items():
        found[name] = (
            suffix,
            [
                b'reference,generated\na.mp4,b.mp4\n"c, d.mp4",e.mp4\n'
                if path is None
                else b"\n".join(path.read_bytes().split(b"\n")[:6]) + b"\n"
            ],
        )
    answers = (
        "participant,example,question,choice,order\np1,e1,scene,ours,ours|theirs\np1,e1,motion,theirs,theirs|ours\n"
        "p2,e1,scene,ours,ours|theirs\n"
    )
    found.update(
        answers=(".csv", [answers.encode()]),
        key=(
            ".json",
            [
                json.dumps(
                    dict(methods=["a", "b"], examples=dict(x="one"), videos=dict(v1=["x", "a"], v2=["x", "b"]))
                ).encode()
            ],
        ),
    )
    return found


def motion_file(folder):
    "A motion as `cammimic learn` writes it, with a tiny model."
    from cammimic.geometry.moves import motion_from_words
    from cammimic.model.backbone import tiny_backbone
    from cammimic.model.motion import unlearned_motion

    unlearned_motion(motion_from_words("pan-left 10%", num_frames=6), tiny_backbone(), size=(24, 16)).save(
        folder / "m.safetensors"
    )
    return (folder / "m.safetensors").read_bytes()


@lru_cache
def trained():
    "A tiny model, its clip and its text."
    import torch

    from cammimic.model.backbone import tiny_backbone
    from cammimic.model.lora import add_lora

    backbone = add_lora(tiny_backbone())
    return backbone, torch.zeros(1, 4, 4, 4, 4), backbone.encode_prompt("a scene")


def go_on(path):
    "Train one step, or find it done."
    from cammimic.model.training import TrainingSettings, train_motion

    backbone, clip, text = trained()
    train_motion(backbone, clip, text, settings=TrainingSettings(steps=1), state_path=path)


def read_with(name, path, folder):
    "Feed a file to a reader."
    from cammimic.geometry.video import probe_video, read_image, read_video

    if name == "picture":
        read_image(path)
    elif name == "video":
        probe_video(path)
    elif name == "frames":
        read_video(path, 4, max_side=64)
    elif name == "mask":
        from cammimic.geometry.weak_video import read_subject

        read_subject(path, (64, 48))
    elif name == "upload":
        from cammimic.app.settings import keep_upload

        keep_upload(
            "x", path.read_bytes(), folder / "kept", part=("reference", "image", "subject")[len(path.read_bytes()) % 3]
        )
    elif name == "path":
        from cammimic.geometry.path import CameraPath

        CameraPath.load(path).resample(4)
    elif name == "motion":
        from cammimic.model.motion import Motion

        Motion.load(path)
    elif name == "state":
        go_on(path)
    elif name == "collection":
        from cammimic.dataset.records import read_collection

        (folder / "set/clips").mkdir(parents=True, exist_ok=True)
        (folder / "set/clips/metadata.jsonl").write_bytes(path.read_bytes())
        read_collection(folder / "set")
    elif name == "pairs":
        from cammimic.metrics.scoring import read_pairs

        read_pairs(path)
    elif name == "results":
        from cammimic.benchmark.runner import read_table

        (folder / "results.csv").write_bytes(path.read_bytes())
        read_table(str(folder))
    elif name == "answers":
        from cammimic.study.preference import read_answers

        read_answers([path])
    elif name == "key":
        from cammimic.study.preference import read_key

        read_key(path)


def changed_meaning(value, rng):
    "A JSON value with something else somewhere in it."
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        copy = dict(value) if isinstance(value, dict) else list(value)
        if rng.random() < 0.1:
            del copy[key]
        else:
            copy[key] = changed_meaning(copy[key], rng)
        return copy
    return rng.choice(NASTY)


def damaged(contents, suffix, rng):
    "One damaged file."
    data = bytearray(rng.choice(contents))
    if suffix in (".json", ".jsonl") and rng.random() < 0.6:
        lines = data.decode().split("\n")
        k = rng.randrange(len([line for line in lines if line]))
        lines[k] = json.dumps(changed_meaning(json.loads(lines[k]), rng))
        return "\n".join(lines).encode()
    if suffix == ".safetensors" and rng.random() < 0.5:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        if rng.random() < 0.5:
            header["__metadata__"]["cammimic"] = json.dumps(
                changed_meaning(json.loads(header["__metadata__"]["cammimic"]), rng)
            )
        else:
            header = changed_meaning(header, rng)
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + bytes(data[8 + size :])
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        if not data:
            break
        at, kind = (
            rng.randrange(len(data)) if rng.random() < 0.5 else min(len(data) - 1, int(rng.expovariate(1 / 40))),
            rng.random(),
        )
        if kind < 0.35:
            data[at] = rng.randrange(256)
        elif kind < 0.5:
            data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
        elif kind < 0.65:
            del data[at:]
        elif kind < 0.75:
            del data[at : at + rng.randrange(1, 200)]
        elif kind < 0.85:
            data[at:at] = bytes(data[at : at + rng.randrange(1, 200)]) * rng.choice((1, 3))
        elif kind < 0.95:
            other = rng.choice(contents)
            data[at : at + 64] = other[at : at + 64]
        else:
            data[at:at] = rng.choice((b'"', b",", b"\n", b"\0", b"\xff", b"{", b".."))
    return bytes(data)


def work(folder, names, first, count, seed):
    "Inputs first, first + 1, ...: a line for each that is a finding, and a count at the end."
    from cammimic.core import InputError

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder, outcomes = Path(folder), Counter()
    good = good_files(folder)
    for number in range(first, first + count):
        for name in names:
            suffix, contents = good[name]
            path = folder / f"damaged{suffix}"
            path.write_bytes(damaged(contents, suffix, random.Random(f"{seed} {name} {number}")))
            print(json.dumps(dict(at=[name, number])), flush=True)
            begin = time.process_time()  # Not of the wall: other work on the machine does not count
            try:
                read_with(name, path, folder)
                outcome = "read"
            except InputError:
                outcome = "refused"
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"[:200]
            seconds, memory = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if seconds > SECONDS:
                outcome = f"took {seconds:.0f} s"
            elif memory > BYTES:
                outcome = f"took {memory / 1e9:.1f} GB"
            if outcome not in ("read", "refused"):
                print(json.dumps(dict(finding=[name, number, outcome])), flush=True)
            outcomes[f"{name} {'found' if outcome not in ('read', 'refused') else outcome}"] += 1
            if memory > BYTES:
                break
    print(json.dumps(dict(outcomes=outcomes)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--again", nargs=2)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        everything = (
            "picture",
            "video",
            "frames",
            "upload",
            "path",
            "mask",
            "motion",
            "state",
            "collection",
            "pairs",
            "results",
            "answers",
            "key",
        )
        names = arguments.only or everything
        if arguments.work:
            return work(arguments.work[0], names, int(arguments.work[1]), int(arguments.work[2]), arguments.seed)
        if arguments.again:
            name, number = arguments.again
            suffix, contents = good_files(Path(folder))[name]
            (Path(folder) / f"damaged{suffix}").write_bytes(
                damaged(contents, suffix, random.Random(f"{arguments.seed} {name} {number}"))
            )
            return read_with(name, Path(folder) / f"damaged{suffix}", Path(folder))
        rounds, first, findings, outcomes = -(-arguments.inputs // len(names)), 0, [], Counter()
        while first < rounds:
            worker = subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    "--work",
                    folder,
                    str(first),
                    str(min(200, rounds - first)),
                    "--seed",
                    str(arguments.seed),
                    "--only",
                    *names,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            last, ended = None, False
            for line in worker.stdout:
                said = json.loads(line)
                if "at" in said:
                    last = said["at"]
                if "finding" in said:
                    findings.append(said["finding"])
                    print(*said["finding"], flush=True)
                if "outcomes" in said:
                    outcomes.update(said["outcomes"])
                    ended = True
            worker.wait()
            if not ended:
                findings.append([*(last or ["start", first]), f"the process ended with status {worker.returncode}"])
                print(*findings[-1], flush=True)
            first = first + 200 if ended else (last[1] if last else first) + 1
    found = dict(
        inputs=sum(outcomes.values()), seed=arguments.seed, outcomes=dict(sorted(outcomes.items())), findings=findings
    )
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(dict(found, findings=len(findings))))
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
