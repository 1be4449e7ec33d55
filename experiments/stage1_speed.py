"""Time and memory of a stage-1 step against MotionDirector's recipe: python experiments/stage1_speed.py
nbs/results/speed/stage1.json

A UNet of zeroscope's classes at widths 64/128/256/256, 16 frames of 16x16 latents, random weights, two threads. Each
row is a process of its own; the rows take turns. `motiondirector` is that project's published recipe, written anew:
adapters on feed-forward layers, too, with dropout; both graphs held until the end; the text encoded at every step (by
two layers of CLIP's width, where zeroscope has 23); its debiased loss. `equal_work` is the same loop with our adapters,
loss and cached text."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))

ROWS, STEPS, WIDTHS = ("motiondirector", "equal_work", "plain", "fast", "lean"), 6, (64, 128, 256, 256)
ATTENTION, FORWARD = r"attn1\.(to_q|to_k|to_v|to_out\.0)", r"ff\.net\.(0\.proj|2)"


def resident():
    "Megabytes in memory now."
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def scaled():
    "The model, and what it is trained on."
    import torch
    from diffusers import DDIMScheduler, UNet3DConditionModel

    from cammimic.model.backbone import Backbone, tiny_backbone

    torch.manual_seed(0)
    unet, tiny = (
        UNet3DConditionModel(
            sample_size=16,
            block_out_channels=WIDTHS,
            layers_per_block=2,
            attention_head_dim=64,
            cross_attention_dim=1024,
        ),
        tiny_backbone(),
    )
    backbone = Backbone(
        "scaled",
        unet,
        tiny.vae,
        tiny.text_encoder,
        tiny.tokenizer,
        DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
    )
    return backbone, torch.randn(1, 4, 16, 16, 16), torch.randn(1, 77, 1024)


def their_step(backbone, latents, text, *, equal, encode=None, skip=0.0, seed=0):
    """MotionDirector's published loop, written anew; `encode` gives the text at every step, `skip` is the share of
    steps without the single frame."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    from cammimic.model.lora import add_lora, lora_layers

    if equal:
        add_lora(backbone, rank=32)
    else:
        blocks = dict(
            spatial=rf".*\.attentions\.\d+\.transformer_blocks\.\d+\.({ATTENTION}|{FORWARD})",
            temporal=(
                r"(.*\.temp_attentions\.\d+|transformer_in)\.transformer_blocks\.\d+\."
                rf"({ATTENTION.replace('attn1', 'attn[12]')}|{FORWARD})"
            ),
        )
        torch.manual_seed(seed)
        for name, pattern in blocks.items():
            inject_adapter_in_model(
                LoraConfig(r=32, lora_alpha=32, lora_dropout=0.1, target_modules=pattern), backbone.unet, name
            )
        backbone.unet.train()
    layers, generator = lora_layers(backbone), torch.Generator().manual_seed(seed)
    for layer in layers.values():
        layer.set_adapter(list(layer.lora_A.keys()))
        for part in (layer.lora_A, layer.lora_B):
            part.requires_grad_(True)
    weights = {
        a: [part[a].weight for layer in layers.values() if a in layer.lora_A for part in (layer.lora_A, layer.lora_B)]
        for a in ("spatial", "temporal")
    }
    optimisers = [torch.optim.AdamW(found, lr=5e-4) for found in weights.values()]

    def scales(adapter, value):
        for layer in layers.values():
            if adapter in layer.lora_A:
                layer.scaling[adapter] = value

    def step():
        states = text if equal or encode is None else encode()
        timestep, noise = (
            torch.randint(1000, (1,), generator=generator),
            torch.randn(latents.shape, generator=generator),
        )
        noisy, target = backbone.noised(latents, noise, timestep), backbone.target(latents, noise, timestep)
        frame, anchor = torch.randint(latents.shape[2], (2,), generator=generator).tolist()
        skipped, losses = bool(torch.rand(1, generator=generator) < skip), []
        if not skipped:
            scales("temporal", 0.0)
            losses.append(
                (backbone.denoise(noisy[:, :, frame : frame + 1], timestep, states) - target[:, :, frame : frame + 1])
                .square()
                .mean()
            )
        scales("temporal", 1.0)
        scales("spatial", float(not skipped))
        error = backbone.denoise(noisy, timestep, states) - target
        temporal = error.square().mean()
        if not equal:
            temporal = temporal + (2**0.5 * error - error[:, :, anchor : anchor + 1]).square().mean()
        for optimiser in optimisers:
            optimiser.zero_grad()
        for loss in losses:
            loss.backward(retain_graph=True)
        temporal.backward()
        scales("spatial", 1.0)
        for optimiser in optimisers[skipped:]:
            optimiser.step()

    return step


def two_layers_of_clip():
    "A frozen text encoder of CLIP's width, and its work for one prompt."
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    encoder, tokens = (
        CLIPTextModel(
            CLIPTextConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=2, num_attention_heads=16)
        )
        .eval()
        .requires_grad_(False),
        torch.randint(0, 1000, (1, 77)),
    )
    return lambda: encoder(tokens).last_hidden_state


def peak_gflops():
    "What the machine's matrix product reaches."
    import torch

    a, b, times = torch.randn(1536, 1536), torch.randn(1536, 1536), []
    for _ in range(8):
        begin = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - begin)
    return 2 * 1536**3 / min(times) / 1e9


def one(row):
    "Seconds of each step but the first, and megabytes above the frozen weights."
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cammimic.model.families import make_efficient
    from cammimic.model.lora import add_lora
    from cammimic.model.training import TrainingSettings, train_motion

    torch.set_num_threads(2)
    backbone, latents, text = scaled()
    marks, settings = [], TrainingSettings(steps=STEPS + 1, masking="none")
    if row in ("motiondirector", "equal_work"):
        step, before = (
            their_step(backbone, latents, text, equal=row == "equal_work", encode=two_layers_of_clip()),
            resident(),
        )
        marks.append(time.perf_counter())
        for _ in range(STEPS + 1):
            step()
            marks.append(time.perf_counter())

        def again():
            step()
    else:
        if row != "plain":
            make_efficient(backbone, checkpointing=row == "lean")
        add_lora(backbone, rank=32)
        before = resident()
        marks.append(time.perf_counter())
        train_motion(
            backbone,
            latents,
            text,
            settings=settings,
            progress=lambda *_, marks=marks: marks.append(time.perf_counter()),
        )

        def again():
            train_motion(backbone, latents, text, settings=TrainingSettings(steps=1, masking="none"))

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    with FlopCounterMode(display=False) as counter:
        again()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        again()
    groups = dict(
        products=("mm", "addmm", "bmm", "baddbmm"),
        convolutions=("conv",),
        attention=("scaled_dot", "flash"),
        normalisation=("norm",),
    )
    spent = {name: 0.0 for name in (*groups, "rest")}
    for event in profile.key_averages():
        short = event.key.removeprefix("aten::")
        spent[
            next(
                (
                    name
                    for name, keys in groups.items()
                    if (short in keys if name == "products" else any(key in short for key in keys))
                ),
                "rest",
            )
        ] += event.self_cpu_time_total / 1e6
    print(
        json.dumps(
            dict(
                row=row,
                seconds=[b - a for a, b in zip(marks[1:], marks[2:], strict=False)],
                peak_mb=peak,
                gflop=counter.get_total_flops() / 1e9,
                gflops_peak=peak_gflops(),
                profile={name: round(value, 3) for name, value in spent.items()},
            )
        )
    )


def main(output, rounds):
    results = {row: [] for row in ROWS}
    for number in range(rounds):
        for row in ROWS if number % 2 == 0 else ROWS[::-1]:
            said = subprocess.run(
                [sys.executable, __file__, "--row", row], capture_output=True, text=True, check=True
            ).stdout.splitlines()[-1]
            results[row].append(json.loads(said))
            print(
                row,
                round(statistics.median(results[row][-1]["seconds"]), 2),
                "s",
                round(results[row][-1]["peak_mb"]),
                "MB",
                flush=True,
            )
    rows = {
        row: dict(
            seconds=round(statistics.median(statistics.median(r["seconds"]) for r in found), 3),
            rounds=[round(statistics.median(r["seconds"]), 3) for r in found],
            peak_mb=round(statistics.median(r["peak_mb"] for r in found)),
            gflop=round(found[0]["gflop"], 1),
            gflops_peak=round(statistics.median(r["gflops_peak"] for r in found), 1),
            profile=found[0]["profile"],
        )
        for row, found in results.items()
    }
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(
        json.dumps(
            dict(
                widths=WIDTHS,
                frames=16,
                latents=[16, 16],
                rank=32,
                threads=2,
                steps=STEPS,
                date=str(date.today()),
                rows=rows,
            ),
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output", nargs="?")
    parser.add_argument("--row", choices=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    one(arguments.row) if arguments.row else main(arguments.output, arguments.rounds)
