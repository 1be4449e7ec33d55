"""Composed videos against the answer, reflected, inpainted and completed borders: python experiments/composing_truth.py
FOLDER [--jobs 2] [--paths 28] [--split dev] [--borders]; --borders leaves the model out

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


def model_frames(backbone, case, path):
    "The embedded model's video of a path, as `--fast` makes it."
    from cammimic.benchmark.ablation import learn_picture, learn_reference, truth_methods
    from cammimic.geometry.video import to_canvas
    from cammimic.model.backbone import rare_token
    from cammimic.model.lora import lora_state
    from cammimic.model.motion import motion_prompt
    from cammimic.model.transfer import guided_video

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
    return frames


def composed_rows(frames, case, split):
    "The model's video and what is composed of it, by name."
    import cv2
    import numpy as np

    from cammimic.geometry.composing import compose_video

    options = {"composed": {}}
    if split == "dev":
        options |= {f"averaged {s:g}": dict(frames_averaged=s) for s in (0, 1, 4)}
        options |= {f"band {b:g}": dict(band=b) for b in (0.003, 0.007)}
    rows = {"raw": np.stack([cv2.resize(f, SIZE, interpolation=cv2.INTER_CUBIC) for f in frames])}
    for row, chosen in options.items():
        rows[row] = np.stack(list(compose_video(frames, case.image, case.measured, size=SIZE, **chosen)))
    return rows


def one(task):
    "A path, all rows."
    import numpy as np
    import torch

    from cammimic.benchmark.truth import content_measures, truth_case, truth_paths, warped_forward
    from cammimic.geometry.strips import contact_strip
    from cammimic.geometry.video import write_image
    from cammimic.geometry.weak_video import weak_video
    from cammimic.metrics.appearance import load_feature_maps
    from cammimic.model.loading import load_backbone

    folder, name, split, borders = task
    torch.set_num_threads(1)
    path = next(p for p in truth_paths(NBS / "sources", split=split) if p.name == name)
    backbone = load_backbone()
    case = truth_case(NBS / "sources", path, num_frames=backbone.num_frames, size=SIZE, larger=2)
    rows = {} if borders else composed_rows(model_frames(backbone, case, path), case, split)
    for border in ("reflect", "inpaint", "complete"):
        rows[border] = weak_video(case.image, case.measured, size=SIZE, border=border, supersample=2).frames
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
    parser.add_argument("--borders", action="store_true", help="no model")
    arguments = parser.parse_args()
    from cammimic.benchmark.truth import truth_paths
    from cammimic.parallel import TaskStore, in_processes

    store = TaskStore(arguments.folder / "tasks.jsonl")
    names = [path.name for path in truth_paths(NBS / "sources", split=arguments.split)][: arguments.paths]
    tasks = [
        (arguments.folder, name, arguments.split, arguments.borders) for name in store.pending(dict.fromkeys(names))
    ]
    for (_, name, *_), result in in_processes(one, tasks, workers=arguments.workers, in_order=False):
        if result is not None:
            store.add(name, result)
        print(name if result else f"{name}: its process died", flush=True)
    store.compact()
