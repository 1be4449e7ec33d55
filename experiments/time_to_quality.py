"""How long until the motion is learnt, against MotionDirector's recipe: python experiments/time_to_quality.py FOLDER
[--jobs 2]

On the development paths of the truth benchmark and the embedded model, without homography guidance and from pure noise,
so that whatever moves was learnt: both sample with the temporal adapter alone. Two measures: `ratio`, how far the
video's motion is from the true path (0 is right, 1 a still); `fit`, how much less the denoiser errs on the reference
clip, at noise and time steps that are the same for all, than without adapters (spatial adapter off). A task is a line
of tasks.jsonl; what is there is not done again.

    # alone on a quiet machine: seconds of a step, into seconds.json
    python experiments/time_to_quality.py FOLDER --steps-per-second
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import NBS, ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))
from stage1_speed import their_step

CHECKPOINTS = (25, 75)  # And 150 of the recipe
RATES = dict(ours=5e-4, ours_faster=2e-3)
ROWS = ("motiondirector", *RATES)


def measures(backbone, case, text, reference, prompt, seed):
    "Ratio of a video sampled with the temporal adapter alone, and the error on the reference."
    from dataclasses import replace

    import torch

    from cammimic.benchmark.truth import motion_measures
    from cammimic.model.lora import set_adapters
    from cammimic.model.training import denoising_loss
    from cammimic.model.transfer import GuidanceSettings, fast_settings, guided_video

    backbone.unet.eval()
    with torch.no_grad():
        set_adapters(backbone, active=("temporal",))
        errors = [
            denoising_loss(
                backbone,
                reference,
                prompt,
                noise=torch.randn(reference.shape, generator=torch.Generator().manual_seed(k)),
                timestep=torch.tensor([t]),
            ).item()
            for k, t in enumerate(range(25, 1000, 50))
        ]
        video, _ = guided_video(
            backbone,
            case.image,
            case.measured,
            size=(80, 48),
            text=text,
            negative_text=backbone.encode_prompt(""),
            sampling=replace(fast_settings(backbone)[1], strength=1.0),
            guidance=GuidanceSettings(scale=0.0),
            seed=seed,
        )
    found = motion_measures(video, case)
    return dict(
        ratio=1.0 if found["ratio"] is None else found["ratio"], pairs=found["pairs"], error=sum(errors) / len(errors)
    )


def one(task):
    "A path, a row and a seed, at all checkpoints."
    import torch

    from cammimic.benchmark.truth import truth_case, truth_paths
    from cammimic.model.backbone import rare_token
    from cammimic.model.loading import load_backbone
    from cammimic.model.lora import add_lora, remove_lora
    from cammimic.model.motion import motion_prompt, phase_seed
    from cammimic.model.training import TrainingSettings, train_motion

    name, row, seed = task
    torch.set_num_threads(1)
    backbone, sources = load_backbone(), NBS / "sources"
    path = next(p for p in truth_paths(sources, split="dev") if p.name == name)
    case, seed = truth_case(sources, path, num_frames=backbone.num_frames), 1000 * seed + path.seed
    reference, token, found = backbone.encode_video(case.reference), rare_token(backbone.tokenizer, seed=seed), {}

    def prompts(tokened):
        return [backbone.encode_prompt(motion_prompt(p, token) if tokened else p) for p in case.prompts]

    if row == "motiondirector":
        prompt, text = prompts(False)
        found[0] = measures(add_lora(backbone, rank=32), case, text, reference, prompt, seed)
        remove_lora(backbone)
        step = their_step(
            backbone,
            reference,
            prompt,
            equal=False,
            encode=lambda: backbone.encode_prompt(case.prompts[0]),
            skip=0.2,
            seed=seed,
        )
        for count in range(1, 151):
            step()
            if count in (*CHECKPOINTS, 150):
                found[count] = measures(backbone, case, text, reference, prompt, seed)
                trained(backbone)
    else:
        prompt, text = prompts(True)
        for count in (0, *CHECKPOINTS):
            add_lora(remove_lora(backbone), rank=32, seed=phase_seed(seed, "lora"))
            train_motion(
                backbone,
                reference,
                prompt,
                settings=TrainingSettings(steps=count, learning_rate=RATES[row]),
                seed=phase_seed(seed, "motion"),
            )
            found[count] = measures(backbone, case, text, reference, prompt, seed)
    return dict(path=name, row=row, seed=task[2], checkpoints=found)


def trained(backbone):
    "Back to training both adapters, with dropout, after a look at what was learnt."
    from cammimic.model.lora import lora_layers

    backbone.unet.train()
    for layer in lora_layers(backbone).values():
        layer.set_adapter(list(layer.lora_A.keys()))
        for adapter in layer.lora_A:
            layer.scaling[adapter] = 1.0
        for part in (layer.lora_A, layer.lora_B):
            part.requires_grad_(True)


def step_seconds(rounds=3, steps=21):
    "Seconds of a step of each recipe on the embedded model, in turns."
    import torch

    from cammimic.model.loading import load_backbone
    from cammimic.model.lora import add_lora
    from cammimic.model.training import TrainingSettings, train_motion

    torch.set_num_threads(2)
    found = dict(motiondirector=[], ours=[])
    for _ in range(rounds):
        for row, seconds in found.items():
            backbone, marks = load_backbone(), []
            latents = torch.randn(1, backbone.unet.config.in_channels, 16, 12, 20)
            text = backbone.encode_prompt("a picture")
            if row == "motiondirector":
                step = their_step(
                    backbone,
                    latents,
                    text,
                    equal=False,
                    encode=lambda backbone=backbone: backbone.encode_prompt("a picture"),
                    skip=0.2,
                )
                for _ in range(steps):
                    marks.append(time.perf_counter())
                    step()
            else:
                train_motion(
                    add_lora(backbone, rank=32),
                    latents,
                    text,
                    settings=TrainingSettings(steps=steps),
                    progress=lambda *_, marks=marks: marks.append(time.perf_counter()),
                )
            seconds.append(statistics.mean(b - a for a, b in zip(marks[1:], marks[2:], strict=False)))
    return {row: dict(seconds=statistics.median(seconds), rounds=seconds) for row, seconds in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", dest="workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps-per-second", action="store_true")
    arguments = parser.parse_args()
    if arguments.steps_per_second:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        (arguments.folder / "seconds.json").write_text(json.dumps(step_seconds(), indent=1) + "\n")
    else:
        from cammimic.benchmark.truth import truth_paths
        from cammimic.parallel import TaskStore, in_processes

        store, paths = TaskStore(arguments.folder / "tasks.jsonl"), truth_paths(NBS / "sources", split="dev")
        tasks = {
            f"{path.name}-{row}-{seed}": (path.name, row, seed)
            for seed in range(arguments.seeds)
            for path in paths
            for row in ROWS
        }
        pending = store.pending(dict.fromkeys(tasks))
        for task, result in in_processes(
            one, [tasks[name] for name in pending], workers=arguments.workers, in_order=False
        ):
            name = "-".join(map(str, task))
            if result is not None:
                store.add(name, result)
            print(name if result else f"{name}: its process died", flush=True)
        store.compact()
