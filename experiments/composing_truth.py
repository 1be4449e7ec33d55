"""Composed videos against the answer, reflected and inpainted borders: python experiments/composing_truth.py FOLDER
[--jobs 2] [--paths 28] [--split dev]

The test paths of the truth benchmark, rendered at 580x348 (the embedded model's shape at about zeroscope's size), with
`--fast`. Judged is the whole video at that size: inside the picture, in the newly seen area, at the seam, and how much
it flickers beyond the answer. A task is a line of tasks.jsonl; what is there is not done again."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import NBS, ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))

SIZE, SMALL = (580, 348), (80, 48)


def one(task):
    "A path, all rows."
    import cv2
    import numpy as np
    import torch

    from cammimic.benchmark.ablation import learn_picture, learn_reference, truth_methods
    from cammimic.benchmark.truth import content_measures, truth_case, truth_paths, warped_forward
    from cammimic.geometry.composing import compose_video
    from cammimic.geometry.strips import contact_strip
    from cammimic.geometry.video import to_canvas, write_image
    from cammimic.geometry.weak_video import weak_video
    from cammimic.metrics.appearance import load_feature_maps
    from cammimic.model.backbone import rare_token
    from cammimic.model.loading import load_backbone
    from cammimic.model.lora import lora_state
    from cammimic.model.motion import motion_prompt
    from cammimic.model.transfer import guided_video

    folder, name, split = task
    torch.set_num_threads(1)
    path = next(p for p in truth_paths(NBS / "sources", split=split) if p.name == name)
    backbone = load_backbone()
    case = truth_case(NBS / "sources", path, num_frames=backbone.num_frames, size=SIZE, larger=2)
    method = truth_methods(backbone)["full"]
    learn_reference(
        backbone, to_canvas(case.reference, SMALL), case.prompts[0], method.recipe.first_stage, seed=path.seed
    )
    learn_picture(
        backbone, case.image, case.prompts[1], method.recipe, size=SMALL, first=lora_state(backbone), seed=path.seed
    )
    text, negative = backbone.encode_prompt(
        [motion_prompt(case.prompts[1], rare_token(backbone.tokenizer, seed=path.seed)), ""]
    )[:, None]
    frames, _ = guided_video(
        backbone,
        case.image,
        case.measured,
        size=SMALL,
        text=text,
        negative_text=negative,
        sampling=method.sampling,
        guidance=method.guidance,
        seed=path.seed,
    )
    rows = dict(
        raw=np.stack([cv2.resize(f, SIZE, interpolation=cv2.INTER_CUBIC) for f in frames]),
        composed=np.stack(list(compose_video(frames, case.image, case.measured, size=SIZE))),
        **{
            f"averaged {s:g}": np.stack(
                list(compose_video(frames, case.image, case.measured, size=SIZE, frames_averaged=s))
            )
            for s in ((0, 1, 4) if split == "dev" else ())
        },
        **{
            f"band {b:g}": np.stack(list(compose_video(frames, case.image, case.measured, size=SIZE, band=b)))
            for b in ((0.003, 0.007) if split == "dev" else ())
        },
        **{
            border: weak_video(case.image, case.measured, size=SIZE, border=border, supersample=2).frames
            for border in ("reflect", "inpaint")
        },
    )
    maps, found = load_feature_maps(), {}
    new = ~case.valid

    def flicker(video):  # of the new area, along the true path
        moved, inside = warped_forward(video, case.true_path)
        here = inside & new[1:]
        return float(np.abs(video[1:].astype(np.float32) - moved).mean(-1)[here].mean()) if here.sum() > 400 else None

    for row, video in rows.items():
        found[row] = content_measures(video, case, decoded=case.answer, maps=maps) | dict(flicker_new=flicker(video))
    found["answer"] = dict(flicker_new=flicker(case.answer))
    if name in ("zoom_out", "pan_right", "pan_roll_ease") or split == "dev":
        write_image(
            Path(folder) / f"{name}.jpg",
            contact_strip({"answer": case.answer, **rows}, num_columns=4, height=170),
            max_bytes=150_000,
        )
    return dict(rows=found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", dest="workers", type=int, default=2)
    parser.add_argument("--paths", type=int)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    arguments = parser.parse_args()
    from cammimic.benchmark.truth import truth_paths
    from cammimic.parallel import TaskStore, in_processes

    store = TaskStore(arguments.folder / "tasks.jsonl")
    names = [path.name for path in truth_paths(NBS / "sources", split=arguments.split)][: arguments.paths]
    tasks = [(arguments.folder, name, arguments.split) for name in store.pending(dict.fromkeys(names))]
    for (_, name, _), result in in_processes(one, tasks, workers=arguments.workers, in_order=False):
        if result is not None:
            store.add(name, result)
        print(name if result else f"{name}: its process died", flush=True)
    store.compact()
