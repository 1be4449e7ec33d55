"""Does keeping a moving object out of stage 1 help? The embedded backbone learns rendered clips whose camera path is
known, with and without the mask.

A large object crosses each clip on a way of its own. Three motions are learned from it: `plain` (all cells count),
`masked` (the cells of the measured mask do not), and `clean` (the same clip without the object, which nobody has). All
get the camera path measured on the clip with the object, so they differ in stage 1 alone. The temporal adapter alone is
judged by its loss, as a share of the loss without adapters, on
- `camera`: the clip without its object (`backwards`: the same in reverse), where lower is better,
- `object`: the object on its way before another, still scene, in its cells only, where 1 means that nothing of it was
  learned; and all of it by videos of another picture, measured against the true path:
- `gain`: motion that the temporal adapter brings into a still picture without guidance, 1 is all of it,
- `ratio`: displacement ratio of a whole transfer, 0 is perfect, 1 is a still video.

    python experiments/masked_training.py --output nbs/results/masked_training  # three quarters of an hour on one core
"""

import argparse
import datetime
import json
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from cammimic.core import show
from cammimic.geometry.path import CameraPath
from cammimic.geometry.render import CameraMove, MovingObject, paste_objects, render_panorama
from cammimic.geometry.robust import measure_clip
from cammimic.geometry.strips import contact_strip
from cammimic.geometry.video import Video, read_image, to_canvas, write_video
from cammimic.metrics.camerascore import measure_path, score_paths
from cammimic.model.loading import load_backbone
from cammimic.model.lora import install_lora, scale_adapters
from cammimic.model.motion import NEUTRAL_REFERENCE, Motion, learn_motion, motion_prompt
from cammimic.model.training import TrainingSettings, background_weights, denoising_loss
from cammimic.model.transfer import GuidanceSettings, apply_motion, default_sampling

SOURCES, FRAMES, FPS, LARGE, SMALL = (
    Path(__file__).resolve().parent.parent / "nbs" / "sources",
    16,
    8,
    (576, 346),
    (80, 48),
)
CASES = {
    "pan, object up and down": (CameraMove(yaw=26, fov=65), "bl_city", dict(heading=90.0, turn=24.0), 90),
    "zoom in, object to the right": (CameraMove(zoom=1.7, fov=70), "esplanade", dict(heading=0.0, turn=0.0), 40),
}
ARMS, TIMESTEPS = ("plain", "masked", "clean"), (100, 300, 500, 650, 800, 950)


def picture(name):
    return read_image(SOURCES / f"{name}.jpg")


def make_clips(case, folder):
    """Files of the clip with and without its object, its true path, rows of the strip, and how well the measured mask
    fits."""
    move, scene, way, heading = CASES[case]
    clean = render_panorama(picture(scene), move, num_frames=FRAMES, size=LARGE, heading=heading)
    moving, mask = paste_objects(clean, [the_object(case)])
    files = {
        name: write_video(folder / f"{name}.mp4", frames, fps=FPS, crf=8)
        for name, frames in (("object", moving), ("clean", clean))
    }
    truth, found = (
        CameraPath(move.homographies(FRAMES), np.arange(FRAMES) / FPS, LARGE[0] / LARGE[1]),
        measure_clip(moving),
    )
    masks = found.masks[..., None].repeat(3, -1) * np.uint8(255)
    measured = to_canvas(masks, LARGE)[..., 0] > 127
    return (
        files,
        truth,
        {"reference": moving, "measured mask": masks},
        dict(
            object_share=float(mask.mean()),
            moving_share=found.moving,
            verdict=str(found.verdict),
            missed=float((mask & ~measured).sum() / mask.sum()),
            wrong=float((measured & ~mask).sum() / measured.sum()),
        ),
    )


def the_object(case):
    return MovingObject(picture("Picture_1A_by_freespace"), 0.3, speed=0.04, **CASES[case][2])


def test_clips(case):
    "Frames and weights of what the temporal adapter is judged on."
    move, scene, way, heading = CASES[case]
    camera = to_canvas(render_panorama(picture(scene), move, num_frames=FRAMES, size=LARGE, heading=heading), SMALL)
    still = render_panorama(picture("sunset"), move, num_frames=2, size=LARGE, heading=200)[:1].repeat(FRAMES, 0)
    moving, mask = paste_objects(still, [the_object(case)])
    return dict(
        camera=(camera, None),
        backwards=(camera[::-1], None),
        object=(to_canvas(moving, SMALL), background_weights(~mask, (SMALL[0] // 4, SMALL[1] // 4), floor=0.0)),
    )


@torch.no_grad()
def losses(backbone, motion, case, *, temporal):
    "Mean loss over the time steps, with the temporal adapter alone at a strength."
    install_lora(backbone, motion.tensors, motion.header)
    scale_adapters(backbone, spatial=0.0, temporal=temporal)
    text, found = backbone.encode_prompt(motion_prompt(NEUTRAL_REFERENCE, motion.token)), {}
    for name, (frames, weights) in test_clips(case).items():
        latents = backbone.encode_video(frames)
        found[name] = np.array(
            [
                denoising_loss(
                    backbone,
                    latents,
                    text,
                    noise=torch.randn(latents.shape, generator=torch.Generator().manual_seed(t)),
                    timestep=torch.tensor([t]),
                    weights=weights,
                ).item()
                for t in TIMESTEPS
            ]
        )
    return found


def judge(backbone, motion, case, truth, seed):
    "All measures of a motion, and the video of the whole transfer."
    with_adapter, without = (losses(backbone, motion, case, temporal=t) for t in (1.0, 0.0))
    image, none = picture("life_by_Aitzol_Berasategi"), TrainingSettings(steps=0)
    still = replace(motion, path=CameraPath.identity(FRAMES, aspect=truth.aspect, duration=truth.duration))
    free = apply_motion(
        still,
        image,
        backbone,
        settings=none,
        guidance=GuidanceSettings(scale=0.0),
        lora_scales=(0.0, 1.0),
        seed=seed,
        sampling=default_sampling(backbone, steps=25, strength=0.7),
    )
    whole = apply_motion(motion, image, backbone, seed=seed)
    gains, ratio = (
        getattr(score_paths(truth, measure_path(Video(r.frames, truth.times, FPS), aspect=truth.aspect)[0]), key)
        for r, key in ((free, "gains"), (whole, "ratio"))
    )
    shares = {name: float((with_adapter[name] / without[name]).mean()) for name in without}
    return dict(shares, gain=gains["pan" if "pan" in case else "zoom"], ratio=ratio), whole.frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--steps", type=int, default=150, help="of stage 1")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--motions", type=Path, help="folder that keeps the learned motions, so that a broken run can be continued"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    backbone, rows, facts = load_backbone(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        motions = args.motions or Path(folder)
        for seed in range(args.seeds):
            for case in CASES:
                name, paths = case.split()[0].strip(","), []
                files, truth, strip, facts[case] = make_clips(case, Path(folder))
                for arm in ARMS:
                    begin, file = time.perf_counter(), motions / f"{name[:3]}_{seed}_{arm}.safetensors"
                    if not file.exists():
                        learn_motion(
                            files["clean" if arm == "clean" else "object"],
                            backbone,
                            mask_objects=arm == "masked",
                            settings=TrainingSettings(steps=args.steps),
                            size=SMALL,
                            seed=seed,
                        ).save(file)
                    motion = Motion.load(file)
                    paths.append(motion.path)
                    values, strip[f"{arm}: whole transfer"] = judge(
                        backbone, replace(motion, path=paths[0]), case, truth, seed
                    )
                    rows.append(
                        dict(case=case, seed=seed, arm=arm, seconds=round(time.perf_counter() - begin), **values)
                    )
                    print(rows[-1], flush=True)
                    write_json(args, rows, facts)
                if seed == 0:
                    show(contact_strip(strip, num_columns=6, height=72)).save(args.output / f"{name}.png")


def write_json(args, rows, facts):
    "Store what has come out so far."
    command = (
        f"python experiments/masked_training.py --output nbs/results/masked_training --steps {args.steps} --seeds "
        f"{args.seeds}"
    )
    versions = {package: version(package) for package in ("cammimic", "torch", "diffusers")}
    result = dict(
        command=command,
        date=datetime.date.today().isoformat(),
        device="one CPU core",
        versions=versions,
        clips=facts,
        rows=rows,
    )
    (args.output / "masked_training.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
