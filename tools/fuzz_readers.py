"""What tools/fuzz.py feeds: for each kind its good cases, how they are damaged, and the reader."""

import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from fuzz_inputs import absurd, bent, damaged, elsewhere, led_away, playlist
from project import ROOT

FPS = 8


@dataclass(frozen=True)
class Kind:
    "Files of one kind."

    good: Callable  # Called with an empty folder: cases that are read
    read: Callable  # Called with the first file of a case, in its folder
    damage: Callable = damaged  # Called with the good cases and a random generator: a damaged case
    refuse: bool = False  # Whether nothing of it may be read, good or bad
    taken: int = 300_000_000  # Bytes that may be taken for what is refused in the end


# Of a picture of 100 million pixels it may turn out that it is cut off once it is decoded
DECODED = 450_000_000


def photo(size=(64, 48)):
    "A small picture with some detail."
    import cv2
    import numpy as np

    rough = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC)


@lru_cache
def pictures():
    "One picture in each format and depth that is read."
    import numpy as np
    from PIL import Image

    image, found = Image.fromarray(photo()), []
    ways = [(image, kind, {}) for kind in ("jpeg", "png", "webp", "gif", "tiff", "bmp", "ppm", "avif", "jpeg2000")]
    ways += [
        (image.convert("CMYK"), "jpeg", {}),
        (image, "jpeg", dict(progressive=True)),
        (Image.fromarray(photo()[..., 0].astype(np.uint16) * 200), "png", {}),
        (image.convert("1"), "png", {}),
        (image.convert("1"), "tiff", dict(compression="group4")),
        (image, "tiff", dict(compression="tiff_deflate")),
        (image.convert("RGBA"), "webp", dict(lossless=True)),
        (image.quantize(16), "bmp", {}),
        (image, "gif", dict(save_all=True, append_images=[image.rotate(90)])),
        (image, "png", dict(save_all=True, append_images=[image.rotate(90)])),
    ]
    for picture, kind, options in ways:
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        found.append(stream.getvalue())
    return found


CLIPS = (
    ("mp4", "libx264", (64, 48), (1, 1)),
    ("mp4", "mpeg4", (64, 48), (1, 1)),
    ("mp4", "libx264", (64, 48), (1, 100)),
    ("mp4", "libx264", (64, 48), (100, 1)),
    ("mp4", "libx264", (4, 360), (1, 1)),
    ("matroska", "libx264", (64, 48), (1, 1)),
    ("matroska", "mjpeg", (64, 48), (1, 100)),
    ("webm", "libvpx", (64, 48), (1, 1)),
    ("avi", "mpeg4", (64, 48), (1, 1)),
    ("avi", "mjpeg", (64, 48), (1, 1)),
    ("mpegts", "mpeg2video", (64, 48), (1, 1)),
    ("mpeg", "mpeg2video", (64, 48), (1, 1)),
    ("flv", "flv", (64, 48), (1, 1)),
    ("gif", "gif", (64, 48), (1, 1)),
    ("webp", "libwebp_anim", (64, 48), (1, 1)),
)


@lru_cache
def clips():
    "Eight frames in each format that is read, some with long pixels or a narrow picture."
    return [clip(*way) for way in CLIPS]


def plain_clips():
    "Those whose motion can be measured."
    return [content for content, way in zip(clips(), CLIPS, strict=True) if way[2:] == ((64, 48), (1, 1))]


def clip(kind, codec, size, aspect, num_frames=8):
    "A clip that pans."
    import av
    import numpy as np

    stream = io.BytesIO()
    with av.open(stream, "w", format=kind, options=dict(fflags="+bitexact")) as container:
        track = container.add_stream(codec, rate=25 if "mpeg2" in codec else FPS)
        track.width, track.height = size
        track.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        track.codec_context.sample_aspect_ratio = Fraction(*aspect)
        track.codec_context.thread_count = 1
        for k in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(photo(size), 2 * k, axis=1)))
            container.mux(track.encode(frame.reformat(format=track.pix_fmt)))
        container.mux(track.encode(None))
    return stream.getvalue()


def film(num_frames=20):
    "A clip that is measured in a moment."
    import cv2
    import numpy as np

    from cammimic.geometry.video import write_video

    large = photo((120, 80))
    frames = [cv2.warpAffine(large, np.float32([[1, 0, -k], [0, 1, 0]]), (96, 64)) for k in range(num_frames)]
    write_video("film.mp4", np.stack(frames), fps=FPS)
    return Path("film.mp4").read_bytes()


def named(suffix):
    "Makes cases of one file each."
    return lambda contents: [{f"damaged{suffix}": content} for content in contents]


def text(content):
    return content.encode()


def files_of(folder):
    "All files of a folder, as a case has them."
    return {path.as_posix(): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


# Pictures and videos


def any_upload():
    return named(".any")([*pictures(), *clips(), path_file()])


def read_picture(path):
    from cammimic.geometry.video import is_picture, read_image

    is_picture(path)
    read_image(path)


def read_smaller(path):
    from cammimic.geometry.video import read_image

    read_image(path, max_side=32)


def probe(path):
    from cammimic.geometry.video import probe_video

    probe_video(path)


def read_frames(path):
    from cammimic.geometry.video import read_video

    read_video(path, 4, max_side=64)


def read_all_frames(path):
    from cammimic.geometry.cuts import refuse_cuts
    from cammimic.geometry.video import read_video

    refuse_cuts(path)
    read_video(path)


def read_film(path):
    from cammimic.dataset.curator import find_scenes, windows_of

    windows_of(find_scenes(path))


def read_mask_of(path):
    from cammimic.geometry.robust import read_mask
    from cammimic.geometry.video import is_picture
    from cammimic.geometry.weak_video import read_subject

    if path.stat().st_size % 2 or not is_picture(path):
        read_mask(path, 8, size=(64, 48))
    else:
        read_subject(path, (64, 48))


def keep(path, part):
    from cammimic.app.settings import keep_upload

    keep_upload(path.name, path.read_bytes(), "kept", part=part)


def refused(read, path):
    "Whether a reader refuses a file."
    from cammimic.core import InputError

    try:
        read(path)
    except InputError:
        return True
    return False


def read_upload(path):
    "As whatever part it can be."
    from cammimic.core import InputError

    parts = ("reference", "image", "subject")
    if all([refused(lambda path, part=part: keep(path, part), path) for part in parts]):
        raise InputError("it can be no part")


def read_playlist(path):
    "Each reader must refuse it; the first that does not is an error."
    from cammimic.core import InputError

    readers = [read_picture, probe, read_frames, read_film, read_mask_of, read_path, read_motion_file]
    readers += [lambda path, part=part: keep(path, part) for part in ("reference", "image", "subject")]
    for read in readers:
        if not refused(read, path):
            raise ValueError(f"{getattr(read, '__name__', 'upload')} takes it")
    raise InputError("none takes it")


def good_references():
    return [{"clip.mp4": clips()[0]}]


def read_elsewhere(path):
    read_frames(path)
    read_film(path)


# Paths, words, measurements


def path_file():
    from cammimic.geometry.moves import motion_from_words

    motion_from_words("zoom-in 1.3", num_frames=5).save("path.json")
    return Path("path.json").read_bytes()


def good_paths():
    from cammimic.geometry.moves import motion_from_words

    found = []
    for words in ("zoom-in 1.3", "pan-left 30% + roll-right 20", "handheld 3", "static"):
        motion_from_words(words, num_frames=6).save("path.json")
        found.append({"path.json": Path("path.json").read_bytes()})
    return found


def read_path(path):
    from cammimic.geometry.path import CameraPath

    CameraPath.load(path).resample(4)


def good_cameras():
    "A camera in each kind of file that is read, and the log of a gyroscope."
    from cammimic.geometry.camera_files import READ_CAMERAS, WRITTEN_CAMERAS, camera_from_path, write_camera
    from cammimic.geometry.moves import motion_from_words

    camera = camera_from_path(motion_from_words("pan-right 20% + zoom-in 1.2", num_frames=5, aspect=1.5), fov=50)
    names = [f"camera{ending}" for ending in READ_CAMERAS if ending in WRITTEN_CAMERAS and ending != ".json"]
    found = [{name: write_camera(name, camera).read_bytes()} for name in names]
    log = "GYROFLOW IMU LOG\nversion,1.3\norientation,YxZ\ntscale,0.01\ngscale,0.01\nt,gx,gy,gz\n"
    return [*found, {"camera.gcsv": text(log + "".join(f"{k},{k % 7},{k % 5},{k % 3}\n" for k in range(40)))}]


def read_camera_file(path):
    from cammimic.geometry.camera_files import read_camera_path

    read_camera_path(path, fps=25.0, aspect=1.5, fov=50.0).resample(4)


def read_bent(path):
    "Load, change, measure and render; which way, the content says."
    from cammimic.geometry.path import CameraPath

    rng = random.Random(path.read_bytes())
    found = CameraPath.load(path)
    if rng.random() < 0.5:
        found = some_change(rng).apply(found)
    render(found.resample(4), rng)


def some_change(rng):
    from cammimic.geometry.moves import MotionChange

    return MotionChange(
        reverse=rng.random() < 0.3,
        amplitude=rng.choice((1.0, 1.0, 0.0, 0.5, -1.0, 3.0)),
        curve=rng.choice(("linear", "linear", "ease")),
        smooth=rng.choice((0.0, 0.0, 0.3)),
        speed=rng.choice((1.0, 1.0, 0.25, 4.0)),
        loop=rng.random() < 0.2,
    )


def render(path, rng):
    "Everything that is made of a path of four frames, on a tiny picture."
    import numpy as np

    from cammimic.core import to_json
    from cammimic.geometry.composing import compose_video
    from cammimic.geometry.path import CameraPath
    from cammimic.geometry.weak_video import weak_video

    tables = [path.components(), path.curves(), path.total()]
    if not all(np.isfinite(values).all() for table in tables for values in table.values()):
        raise ValueError("it says of its motion what is no number")
    path.label(), path.is_reliable, CameraPath.from_dict(json.loads(to_json(path.to_dict())))
    image, subject = photo((24, 18)), np.zeros((18, 24), bool)
    subject[6:12, 8:16] = True
    anchor = rng.choice(("first", "middle", "last"))
    weak = weak_video(
        image,
        path,
        subject=subject if rng.random() < 0.15 else None,
        size=rng.choice((None, (16, 12), (32, 8))),
        border=rng.choice(("black", "reflect", "replicate", "inpaint")),
        anchor=anchor,
        fit=rng.random() < 0.15,
        composition="sequential" if rng.random() < 0.15 else "compose",
        supersample=rng.choice((1, 1, 2)),
    )
    for _ in compose_video(weak.frames, image, path, anchor=anchor):
        pass


def good_words():
    usual = dict(reverse=False, amplitude=1.0, curve="linear", smooth=0.0, speed=1.0, loop=False)
    options = dict(num_frames=5, aspect=1.78, duration=2.0, seed=0)
    return [{"words.json": text(json.dumps(dict(words="pan-left 10% ease", change=usual, **options)))}]


def read_words(path):
    from cammimic.geometry.camera_files import read_motion
    from cammimic.geometry.moves import MotionChange

    values = json.loads(path.read_bytes())
    words, change = str(values.pop("words")), MotionChange(**values.pop("change"))
    render(change.apply(read_motion(words, **values)).resample(4), random.Random(words))


def good_measurements():
    "A measurement in the cache, of a clip that could not be measured now: it is looked at no more."
    from cammimic.geometry import measure

    Path("film.mp4").write_bytes(b"no film")
    real, measure._read_stretch = measure._read_stretch, lambda *_: real("true.mp4", 0.0, None)
    Path("true.mp4").write_bytes(film(9))
    Path("film.mp4").write_bytes(b"no film")
    os.environ["CAMMIMIC_CACHE"] = "."
    try:
        measure.measure_file("film.mp4")
    finally:
        measure._read_stretch = real
    return [{"film.mp4": b"no film", **files_of("motion")}]


def read_measured(path):
    "The kept measurement, and all that commands take from it."
    from cammimic.core import to_json
    from cammimic.geometry.measure import measure_file

    os.environ["CAMMIMIC_CACHE"] = "."
    found = measure_file(path)
    found.path.resample(4), found.camera.resample(4), found.moving, found.turns
    found.masks_at(found.path.times), found.at(found.path.times[:3])
    to_json([found.path.to_dict(), found.residuals, found.focal, found.size])


# Motions, models and states


def good_motions():
    from cammimic.geometry.moves import motion_from_words
    from cammimic.model.backbone import tiny_backbone
    from cammimic.model.motion import unlearned_motion

    path = motion_from_words("pan-left 10%", num_frames=6)
    unlearned_motion(path, tiny_backbone(), size=(24, 16)).save("motion.safetensors")
    return named(".safetensors")([Path("motion.safetensors").read_bytes()])


def read_motion_file(path):
    from cammimic.model.motion import Motion

    Motion.load(path)


@lru_cache
def trained():
    "A tiny model, its clip and its text."
    import torch

    from cammimic.model.backbone import tiny_backbone
    from cammimic.model.lora import add_lora

    backbone = add_lora(tiny_backbone())
    return backbone, torch.zeros(1, 4, 4, 4, 4), backbone.encode_prompt("a scene")


def read_state(path):
    "Train one step, or find it done."
    from cammimic.model.training import TrainingSettings, train_motion

    backbone, latents, words = trained()
    train_motion(backbone, latents, words, settings=TrainingSettings(steps=1), state_path=path)


def good_states():
    read_state("state.safetensors")
    return named(".safetensors")([Path("state.safetensors").read_bytes()])


def part_of(folder, made):
    "A stored part of a baseline."
    from cammimic.benchmark.baselines import Parts

    return Parts(folder).get(dict(method="x"), made)


def good_parts():
    import torch

    part_of("parts", lambda: (dict(a=torch.ones(3)), dict(losses=[1.0])))
    return [files_of("parts")]


def read_part(path):
    part_of(path.parent, lambda: ({}, {}))


def good_models():
    "Tiny models in the layout of diffusers."
    from cammimic.model.backbone import tiny_backbone
    from cammimic.model.families import tiny_wan
    from cammimic.model.loading import save_backbone

    found = []
    for name, backbone in (("tiny", tiny_backbone()), ("wan", tiny_wan())):
        save_backbone(backbone, name)
        found.append(dict(sorted(files_of(name).items(), key=lambda item: not item[0].endswith("index.json"))))
    return found


def read_model(path):
    from cammimic.model.loading import load_backbone

    backbone = load_backbone(str(path.parent))
    backbone.encode_prompt("a scene")


def read_estimate(path):
    "What a model would need, of its settings alone."
    from cammimic.model.cost import architecture, estimate

    estimate(architecture(str(path.parent)))


def good_runs():
    "What a run of pretraining began with, and how long a model was trained."
    began = dict(first_step=4000, start=True, sources="0123456789abcdef")
    trained = [dict(steps=4000), dict(steps=4000, image_steps=6000)]
    return [{"run/begun.json": text(json.dumps(began))}, *({"run/training.json": text(json.dumps(t))} for t in trained)]


def read_run(path):
    from cammimic.model import pretraining

    (pretraining._begun if path.name == "begun.json" else pretraining._trained)(path.parent)


# Collections, results and studies


def caption(_):
    return "a scene"


def add_films(path):
    "Turn a film into clips; a failure that is no sentence is an error."
    from cammimic.dataset.curator import Provenance, add_videos
    from cammimic.dataset.records import read_rows

    counts = add_videos("set", [path], origin=Provenance("CC0-1.0"), caption=caption, workers=0)
    if wrong := [said for said in counts["failed"] if re.search(r": \w*(Error|Exception|Warning|Interrupt)\b", said)]:
        raise ValueError(wrong[0])
    read_rows("set", "clips")
    return counts


@lru_cache
def curated():
    "What a film leaves in a collection, and the clip that was taken of it."
    add_films(Path(write("long.mp4", film())))
    [clip] = Path("set/clips").glob("*.mp4")
    found, content = files_of("set"), clip.read_bytes()
    shutil.rmtree("set")
    return found, content


def good_curations():
    "A film whose clips were found before; a film of four frames stands for it, so that nothing is measured anew."
    found, clip = curated()
    [result] = [content for name, content in found.items() if name.endswith("result.json")]
    add_films(Path(write("short.mp4", film(4))))
    [folder] = Path("set/.curator").iterdir()
    return [
        {
            "short.mp4": Path("short.mp4").read_bytes(),
            f"{folder.as_posix()}/result.json": result,
            f"{folder.as_posix()}/0000.mp4": clip,
            "set/curation.jsonl": found["set/curation.jsonl"],
        }
    ]


def write(name, content):
    Path(name).write_bytes(content)
    return name


@lru_cache
def collection():
    "A collection of a clip, a scene and their combination."
    from cammimic.core import file_digest
    from cammimic.dataset.records import Combination, Scene, read_rows, write_rows

    kept = {name: content for name, content in curated()[0].items() if "curat" not in name}
    for name, content in kept.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    [clip], folder = read_rows("set", "clips"), Path("set/scenes")
    folder.mkdir()
    (folder / "s.png").write_bytes(pictures()[1])
    sha = file_digest(folder / "s.png")
    facts = dict(source="here", licence="CC0-1.0", author="unnamed", content="film", complexity="sparse")
    facts |= dict(prompt="a scene", width=64, height=48, split="test", trained_backbone=False)
    write_rows("set", "scenes", [Scene("s.png", "s", sha, **facts)])
    write_rows("set", "combinations", [Combination("c", clip.id, "s")])
    return dict(sorted(files_of("set").items(), key=lambda item: not item[0].startswith("set/clips/metadata")))


def good_collections():
    lines = (ROOT / "nbs/results/dataset/release/clips/metadata.jsonl").read_bytes().split(b"\n")[:6]
    return [collection(), {"set/clips/metadata.jsonl": b"\n".join(lines) + b"\n"}]


def read_whole_collection(path):
    "Its rows, then every file that they name, then what a check says."
    from cammimic.core import InputError
    from cammimic.dataset.records import check_collection, file_of, read_collection

    found = read_collection("set")
    for row in (*found.clips, *found.scenes):
        try:
            file_of("set", row).read_bytes()
        except InputError:
            continue
    check_collection("set", measure=False)


def good_annotations():
    [name] = [name for name in collection() if name.endswith(".mp4")]
    clip = Path(name).stem
    said = dict(clip=clip, prompt="a thing", motion="pan right", content="vlog", complexity="sparse")
    lines = [dict(said, annotator=who) for who in ("a", "b", "c")]
    return [{"set/annotations.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines).encode()} | collection()]


def read_annotations(_):
    from cammimic.dataset.annotation import agreement_of, apply_annotations
    from cammimic.dataset.records import read_rows

    agreement_of("set")
    apply_annotations("set")
    read_rows("set", "clips")


def good_releases():
    columns = "file\tkind\tscene\tsplit\tcaption\tlicence\tauthor\tsource\tcontent\n"
    return [
        {
            "set/.release.json": b'{"release": 0, "seed": 0}',
            "sources/SOURCES.tsv": text(f"{columns}p.png\tphoto\tx\ttest\ta hill\tCC0-1.0\tme\there\tfilm\n"),
            "sources/real/SOURCES.tsv": text(columns),
            "sources/p.png": pictures()[1],
        }
    ]


def read_release(_):
    from cammimic.dataset.dataset import build_release
    from cammimic.geometry.sources import read_sources

    read_sources("sources")
    build_release("set", sources="sources", plan=[], num_scenes=0, workers=0)


def good_tasks():
    lines = [dict(task=f"a/b+c-{k}", digest="0123456789ab", ratio=0.5, seconds=dict(motion=1.5)) for k in range(4)]
    old = json.dumps(dict(digest="0123456789ab", ratio=0.25)).encode()
    return [
        {"out/tasks.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines).encode()},
        {"out/m/a+b-0.json": old, "out/tasks.jsonl": b""},
    ]


def read_tasks(_):
    from cammimic.parallel import TaskStore

    store = TaskStore("out/tasks.jsonl")
    store.adopt("*/*.json")
    store.pending({"a/b+c-0": "0123456789ab", "a/b+c-9": None})
    store.add("x/y", dict(ratio=1.0))
    store.compact()
    if store.get("x/y") is None:
        raise ValueError("a result that was added is not there")


CREDITS = 'file,source,author,licence\nreferences/a.mp4,here,"Ann, B.",CC0-1.0\nscenes/b.jpg,there,me,public domain\n'


def good_results():
    lines = (ROOT / "nbs/results/bench/results.csv").read_bytes().split(b"\n")[:6]
    return [{"out/results.csv": b"\n".join(lines) + b"\n", "out/credits.csv": text(CREDITS)}]


def read_results(path):
    from cammimic.benchmark.gallery import gallery_data
    from cammimic.benchmark.runner import columns_of, read_credits, read_table
    from cammimic.core import to_json

    rows = read_table("out")
    columns_of(rows)
    to_json(gallery_data(rows, credits=read_credits("out")))


def good_pairs():
    return named(".csv")([b'reference,generated\na.mp4,b.mp4\n"c, d.mp4",e.mp4\n'])


def read_pair_table(path):
    from cammimic.metrics.scoring import read_pairs

    read_pairs(path)


def good_scores():
    "A table of pairs, and the scores that an earlier run left of them."
    from cammimic.metrics import scoring

    Path("pairs.csv").write_bytes(b"reference,generated,prompt\na.mp4,b.mp4,=x\nc.mp4,d.mp4,\n")
    columns, rows = scoring.read_pairs("pairs.csv")
    done = {key: dict(dict.fromkeys(scoring.SCORES, "0.5"), key=key, error="") for key in ("0" * 16, "1" * 16)}
    scoring._Table(Path("scores.csv"), columns, rows, [*done], done).rewrite()
    return [{"scores.csv": Path("scores.csv").read_bytes(), "pairs.csv": Path("pairs.csv").read_bytes()}]


def read_scores(_):
    "What is kept of an earlier run."
    from cammimic.metrics import scoring

    columns, rows = scoring.read_pairs("pairs.csv")
    done = scoring._finished(Path("scores.csv"), rows)
    scoring._Table(Path("new.csv"), columns, rows, [*done], done).rewrite()
    scoring._finished(Path("new.csv"), rows)


ANSWERS = (
    "participant,example,question,choice,order,trial,time,study\np1,e1,scene,v1,v1|v2,1,2.5,\n"
    "p1,e1,motion,v2,v2|v1,1,2.5,\np2,e1,scene,v1,v1|v2,1,3,\n"
)
KEY = dict(methods=["a", "b"], examples=dict(e1="one"), videos=dict(v1=["e1", "a"], v2=["e1", "b"]))


def good_answers():
    "Answers as CSV, with and without the key of their blind names, and as Parquet."
    import pyarrow
    from pyarrow import parquet

    rows = [dict(participant="p1", example="e1", question="scene", choice="a", order="a|b", time=1.5)] * 2
    parquet.write_table(pyarrow.Table.from_pylist(rows), "answers.parquet")
    return [
        {"answers.csv": text(ANSWERS)},
        {"answers.csv": text(ANSWERS), "key.json": text(json.dumps(KEY))},
        {"answers.parquet": Path("answers.parquet").read_bytes()},
    ]


def read_answer_file(path):
    from cammimic.study.preference import read_answers

    key = "key.json" if Path("key.json").exists() else None
    answers = read_answers([path], key=key, skip_bad=path.stat().st_size % 2 == 0)
    if answers.counts.sum() + len(answers.missing) < 1:
        raise ValueError("there are no answers")


def good_keys():
    return named(".json")([text(json.dumps(KEY)), text(json.dumps(KEY | dict(study="0" * 12, questions=["scene"])))])


def read_key_file(path):
    from cammimic.study.preference import read_key

    read_key(path)


def good_examples():
    clip, names = clips()[0], ("reference.mp4", "scene.png", "a.mp4", "b.mp4")
    files = {f"study/e1/{name}": pictures()[1] if name.endswith("png") else clip for name in names}
    table = "example,reference,scene,a,b\ne1," + ",".join(f"e1/{name}" for name in names) + "\n"
    return [{"study/list.csv": text(table), **files}, files]


def read_study(path):
    "The examples, and the files that they name."
    from cammimic.study.questionnaire import read_examples

    for example in read_examples(path if path.suffix == ".csv" else path.parent.parent):
        for file in (example.reference, example.scene, *example.videos.values()):
            file.read_bytes()


def media(contents):
    "Makes cases of contents that are made when they are wanted."
    return lambda: named(".media")(contents())


KINDS = dict(
    picture=Kind(media(pictures), read_picture, taken=DECODED),
    smaller=Kind(media(pictures), read_smaller, taken=DECODED),
    mask=Kind(media(lambda: [*pictures()[:3], *clips()[:2]]), read_mask_of, taken=DECODED),
    video=Kind(media(clips), probe),
    frames=Kind(media(clips), read_frames),
    cuts=Kind(media(plain_clips), read_all_frames),
    film=Kind(media(lambda: clips()[:-1]), read_film),
    upload=Kind(any_upload, read_upload, taken=DECODED),
    playlist=Kind(lambda: [], read_playlist, playlist, refuse=True, taken=DECODED),
    elsewhere=Kind(good_references, read_elsewhere, elsewhere),
    path=Kind(good_paths, read_path),
    camera=Kind(good_cameras, read_camera_file),
    bent=Kind(good_paths, read_bent, bent),
    words=Kind(good_words, read_words, absurd),
    measured=Kind(good_measurements, read_measured, led_away),
    motion=Kind(good_motions, read_motion_file),
    state=Kind(good_states, read_state),
    part=Kind(good_parts, read_part, led_away),
    model=Kind(good_models, read_model, led_away),
    estimate=Kind(good_models, read_estimate, led_away),
    run=Kind(good_runs, read_run, led_away),
    curated=Kind(good_curations, add_films, led_away),
    collection=Kind(good_collections, read_whole_collection, led_away),
    annotations=Kind(good_annotations, read_annotations, led_away),
    release=Kind(good_releases, read_release, led_away),
    tasks=Kind(good_tasks, read_tasks, led_away),
    results=Kind(good_results, read_results, led_away),
    pairs=Kind(good_pairs, read_pair_table),
    scores=Kind(good_scores, read_scores),
    answers=Kind(good_answers, read_answer_file),
    key=Kind(good_keys, read_key_file),
    examples=Kind(good_examples, read_study, led_away),
)
