"""Run zeroscope's exact architecture, with random weights, through the whole method: does it work, what does it cost,
does it repeat?

No weights are downloaded: time and memory depend on the architecture alone. What the videos look like is not tested
here.

    python experiments/exact_zeroscope.py --device cuda --dtype float32 bfloat16 float16 --output FILE.json
    # the same on a model of two blocks, in seconds, on any machine:
    python experiments/exact_zeroscope.py --tiny --output FILE.json
"""

import argparse
import datetime
import gc
import hashlib
import json
import platform
import resource
import tempfile
import time
import traceback
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from torch.utils.checkpoint import checkpoint
from transformers import CLIPTextConfig, CLIPTextModel

from cammimic.core import InputError
from cammimic.model.backbone import Backbone, build_tokenizer, tiny_backbone
from cammimic.model.lora import ADAPTERS, adapter_parameters, add_lora, set_adapters
from cammimic.model.motion import Motion, learn_motion, read_reference
from cammimic.model.sampling import Guidance, SamplingSettings, sample_latents
from cammimic.model.training import TrainingSettings, denoising_loss, train_motion, train_scene
from cammimic.model.transfer import apply_motion

ASSETS = Path(__file__).resolve().parent.parent / "cammimic" / "assets"
CLIP, PICTURE = ASSETS / "demo_reference.mp4", ASSETS / "demo_image.jpg"
SAMPLING_STEPS, TRAINING_STEPS = 30, 150  # of a whole transfer, for the estimate


def zeroscope(device, size, num_frames, seed=0):
    "The published configuration of cerspense/zeroscope_v2_576w with random weights; only the vocabulary is ours."
    tokenizer = build_tokenizer(["a", "video", "picture", "camera", "motion", "of"], max_length=77)
    torch.manual_seed(seed)
    with torch.device(device):
        unet = UNet3DConditionModel(
            block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2,
            attention_head_dim=64,
            cross_attention_dim=1024,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            scaling_factor=0.18215,
            sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=23,
                num_attention_heads=16,
                hidden_act="gelu",
                max_position_embeddings=77,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    return Backbone(
        "zeroscope architecture, random weights",
        unet,
        vae,
        text_encoder,
        tokenizer,
        scheduler,
        sizes=(size,),
        num_frames=num_frames,
    )


def checkpoint_blocks(unet):
    "Compute the inside of every block again in the backward pass instead of keeping it."
    blocks = ("ResnetBlock2D", "TemporalConvLayer", "Transformer2DModel", "TransformerTemporalModel")
    for module in unet.modules():
        if type(module).__name__ in blocks:
            module.forward = partial(checkpoint, module.forward, use_reentrant=False, preserve_rng_state=False)


class Meter:
    "Seconds and peak memory of each phase; one that fails, for want of memory or else, is noted, and the others go on."

    def __init__(self, device):
        self.cuda, self.phases, self.stamps = device.startswith("cuda"), {}, []

    def now(self, *_):
        if self.cuda:
            torch.cuda.synchronize()
        self.stamps.append(time.perf_counter())

    def __call__(self, name, work, *, repeats=None, warm_up=2):
        """What `work` returns: called `repeats` times, or once with a progress function that takes the time of every
        step."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        before, result, phase, self.stamps = torch.cuda.memory_allocated() if self.cuda else 0, None, {}, []
        try:
            self.now()
            if repeats is None:
                result = work(self.now)
            for _ in range(repeats or 0):
                result = None
                result = work()
                self.now()
            seconds = np.diff(self.stamps)
            kept = seconds[min(warm_up, len(seconds) - 1) :]
            phase = {
                key: round(float(value), 4)
                for key, value in dict(
                    seconds=np.median(kept), first=seconds[0], fastest=kept.min(), slowest=kept.max()
                ).items()
            }
        except (RuntimeError, InputError) as error:
            traceback.print_exc()
            phase = dict(
                error="out of memory"
                if isinstance(error, torch.OutOfMemoryError)
                else f"{type(error).__name__}: {str(error).splitlines()[0]}"
            )
        peak = (
            torch.cuda.max_memory_allocated()
            if self.cuda
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )
        self.phases[name] = dict(phase, before_gib=round(before / 2**30, 3), peak_gib=round(peak / 2**30, 3))
        print(f"  {name}: {self.phases[name]}", flush=True)
        return result


def compare(first, second):
    "Whether two lists of tensors are the same bits, and how far apart they are."
    differences = [float((a - b).abs().max()) for a, b in zip(first, second, strict=False)]
    return dict(
        bit_identical=all(map(torch.equal, first, second)),
        max_difference=max(differences),
        largest=max(float(a.abs().max()) for a in first),
    )


def parameters(backbone):
    return [w for a in ADAPTERS for w in adapter_parameters(backbone, a).values()]


def same_steps(backbone, reference, scales=(1, 2**14)):
    """Loss of the clip at fixed noise, time steps and adapters, and how far the adapters' gradient is from the
    reference's, by loss scale."""
    for w, stored in zip(parameters(backbone), reference["weights"], strict=False):
        w.data.copy_(stored)
    latents, text = reference["latents"].to(backbone.device), reference["text"].to(backbone.device, backbone.dtype)
    noise, rows = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1)).to(latents), []
    set_adapters(backbone, trainable=ADAPTERS)
    for t in (20, 250, 500, 750, 980):
        row = dict(timestep=t)
        for scale in scales:
            loss = denoising_loss(
                backbone, latents, text, noise=noise, timestep=torch.tensor([t], device=backbone.device)
            )
            gradient = (
                torch.cat([g.flatten() for g in torch.autograd.grad(loss * scale, parameters(backbone))])
                .double()
                .div(scale)
                .cpu()
            )
            truth = reference["gradients"].setdefault(t, gradient)
            row.update(
                {
                    "loss": loss.item(),
                    f"gradient_error_at_scale_{scale}": ((gradient - truth).norm() / truth.norm()).item(),
                    f"zeros_at_scale_{scale}": (gradient == 0).double().mean().item(),
                }
            )
        rows.append(row)
    set_adapters(backbone)
    return rows


def trial(args, size, dtype, num_frames, reference):
    "Everything at one dtype and number of frames; `reference` keeps the first dtype's inputs for the others."
    print(f"{dtype}, {num_frames} frames", flush=True)
    meter, short = Meter(args.device), TrainingSettings(steps=args.steps)
    backbone = (tiny_backbone() if args.tiny else zeroscope(args.device, size, num_frames)).to(
        args.device, getattr(torch, dtype)
    )
    if args.checkpoint:
        checkpoint_blocks(backbone.unet)
    frames = read_reference(CLIP, size=size, num_frames=num_frames)[0]
    facts = dict(
        dtype=dtype,
        num_frames=num_frames,
        fingerprint=add_lora(backbone, rank=args.rank).fingerprint(),
        lora_dtype=str(parameters(backbone)[0].dtype),
        lora_parameters={a: sum(w.numel() for w in adapter_parameters(backbone, a).values()) for a in ADAPTERS},
        parameters={
            part: sum(w.numel() for n, w in getattr(backbone, part).named_parameters() if "lora_" not in n)
            for part in ("unet", "vae", "text_encoder")
        },
    )
    text = meter("encode 2 prompts", lambda: backbone.encode_prompt(["a video", ""]), repeats=4)[:, None]
    latents = meter(f"encode {num_frames} frames", lambda: backbone.encode_video(frames), repeats=5)

    def stage_1(now):
        return train_motion(
            add_lora(backbone, rank=args.rank), latents, text[0], settings=short, seed=0, progress=now
        ), [w.detach().float().cpu() for w in parameters(backbone)]

    def stage_2(now, form="subspace"):
        return train_scene(
            backbone, latents[:, :, :1], text[0], settings=replace(short, orthogonality=form), seed=0, progress=now
        )

    once, again = (meter(name, stage_1) for name in ("stage 1 step", "stage 1 step again"))  # the same seed twice
    if once:
        facts.update(
            losses=once[0], trained_twice=again and dict(same_losses=once[0] == again[0], **compare(once[1], again[1]))
        )
    if once and reference is None:
        reference = dict(weights=once[1], latents=latents.float().cpu(), text=text[0].cpu(), gradients={})
    facts.update(scene_losses=meter("stage 2 step", stage_2))
    meter("stage 2 step without orthogonality", partial(stage_2, form=None))
    z_P = latents.float()
    pull, sampling = (
        Guidance(z_P, torch.ones_like(z_P[:, :1])),
        SamplingSettings(steps=args.steps, guidance_scale=backbone.guidance_scale),
    )

    def sample(now):
        return sample_latents(
            backbone,
            *text,
            shape=z_P.shape,
            settings=sampling,
            guidance=pull,
            generator=torch.Generator().manual_seed(0),
            progress=now,
        )

    pair = [meter(name, sample) for name in ("guided sampling step", "guided sampling step again")]
    if all(p is not None for p in pair):
        facts.update(
            sampled_twice=compare(pair[:1], pair[1:]),
            latents_sha256=hashlib.sha256(pair[0].cpu().numpy().tobytes()).hexdigest(),
        )
    meter(
        f"decode {num_frames} frames", lambda: backbone.decode_latents(z_P if pair[0] is None else pair[0]), repeats=5
    )
    if reference is not None:
        facts.update(
            same_steps=meter("loss and gradient at fixed steps", lambda: same_steps(backbone, reference), repeats=1)
        )
    few = TrainingSettings(steps=3)
    motion = meter(
        "learn_motion, 3 steps",
        lambda: learn_motion(CLIP, backbone, size=size, num_frames=num_frames, settings=few, rank=args.rank),
        repeats=1,
    )
    if motion is not None:
        with tempfile.TemporaryDirectory() as folder:
            motion.save(Path(folder) / "motion.safetensors")
            facts.update(motion_file_bytes=(Path(folder) / "motion.safetensors").stat().st_size)
            loaded = Motion.load(Path(folder) / "motion.safetensors")
        facts.update(
            reloaded_bit_equal=loaded.tensors.keys() == motion.tensors.keys()
            and all(torch.equal(w, loaded.tensors[k]) for k, w in motion.tensors.items())
        )
        result = meter(
            "apply_motion, 3 + 3 steps",
            lambda: apply_motion(loaded, PICTURE, backbone, settings=few, sampling=replace(sampling, steps=3)),
            repeats=1,
        )
        if result is not None:
            facts.update(result=list(result.frames.shape), apply_motion_seconds=result.facts["seconds"])
    spent = {name: phase.get("seconds", np.nan) for name, phase in meter.phases.items()}
    # of the model's work; reading, measuring and writing are left out
    whole = (
        TRAINING_STEPS * (spent["stage 1 step"] + spent["stage 2 step"])
        + SAMPLING_STEPS * spent["guided sampling step"]
        + 2 * spent[f"encode {num_frames} frames"]
        + spent[f"decode {num_frames} frames"]
    )
    return dict(
        facts, phases=meter.phases, whole_transfer_seconds=None if np.isnan(whole) else round(whole, 1)
    ), reference


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtype",
        nargs="+",
        default=["float32"],
        help="one or more of float32, bfloat16, float16; the first is what the others are compared with",
    )
    parser.add_argument("--size", default="576x320", help="WxH in pixels, multiples of 64")
    parser.add_argument("--num-frames", type=int, default=16)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument(
        "--steps",
        type=int,
        default=8,
        help="steps of each stage and of the sampler that are run; the first two are not timed",
    )
    parser.add_argument("--checkpoint", action="store_true", help="gradient checkpointing of all blocks")
    parser.add_argument("--tiny", action="store_true", help="a model of two blocks at 16x16 pixels and rank 4 instead")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parser.parse_args()
    if args.tiny:
        args.size, args.rank = "16x16", 4
    diffusers.utils.logging.set_verbosity_error()
    size, reference, trials = tuple(map(int, args.size.split("x"))), None, []
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    options = {k.replace("_", "-"): v for k, v in vars(args).items() if k != "output" and v is not False}
    command = " ".join(
        f"--{k}" if v is True else f"--{k} {' '.join(v) if isinstance(v, list) else v}" for k, v in options.items()
    )
    head = dict(
        command=f"python experiments/exact_zeroscope.py {command} --output FILE.json",
        date=str(datetime.date.today()),
        device=torch.cuda.get_device_name()
        if args.device.startswith("cuda")
        else f"CPU, {torch.get_num_threads()} threads",
        python=platform.python_version(),
        versions={package: version(package) for package in ("torch", "diffusers", "transformers", "peft")},
        cuda=torch.version.cuda,
        tf32=dict(matmul=torch.backends.cuda.matmul.allow_tf32, convolution=torch.backends.cudnn.allow_tf32),
    )
    for dtype in args.dtype:
        facts, reference = trial(args, size, dtype, args.num_frames, reference)
        trials.append(facts)
        # after every trial: a later one may not end
        Path(args.output).write_text(json.dumps(dict(head, trials=trials), indent=1) + "\n")


if __name__ == "__main__":
    main()
