"""Which objective learns most in the same steps? The denoiser of frames, trained briefly from nothing with each.

    OMP_NUM_THREADS=2 python experiments/pretraining_objectives.py nbs/results/pretraining/objectives.json

All see the same pictures, noise and time steps, and are judged alike: velocity loss on frames of development scenes,
whatever they predict. `v` weighs every time step alike; `v, min-SNR 5` weighs by min(SNR, 5)/(SNR + 1), `v, SNR` by
SNR/(SNR + 1), which is what predicting the noise amounts to; `epsilon` predicts the noise."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from cammimic.core import atomic_path
from cammimic.geometry.sources import read_sources
from cammimic.model.backbone import Backbone
from cammimic.model.embedded import embedded_parts, load_embedded
from cammimic.model.pretraining import training_batch, training_clip

STEPS, LEVELS, SOURCES = 500, (50, 200, 400, 600, 800, 950), Path(__file__).parents[1] / "nbs" / "sources"


def draw(backbone, latents, captions, *, timestep, generator):
    "Noisy latents, noise and prediction."
    noise = torch.randn(latents.shape, generator=generator)
    tokens = backbone.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    noisy = backbone.scheduler.add_noise(latents, noise, timestep)
    return noisy, noise, backbone.denoise(noisy, timestep, backbone.text_encoder(tokens).last_hidden_state)


def encode(backbone, frames):
    return torch.cat([backbone.encode_video(f, chunk_size=32) for f in frames])[:, :, 0]


def train(objective, rows):
    "A denoiser of frames after STEPS steps."
    shipped = load_embedded()
    backbone = Backbone(**embedded_parts(shipped.vae, shipped.tokenizer, image=True))
    for part in (backbone.unet, backbone.text_encoder):
        part.train().requires_grad_()
    parameters = [*backbone.unet.parameters(), *backbone.text_encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.99))
    for step in range(STEPS):
        frames, captions = training_batch(rows, step, phase="frames")
        latents, generator = encode(backbone, frames), torch.Generator().manual_seed(step)
        timestep = (
            (torch.arange(len(latents)) + torch.rand(len(latents), generator=generator)) * 1000 / len(latents)
        ).long()
        noisy, noise, prediction = draw(backbone, latents, captions, timestep=timestep, generator=generator)
        target = noise if objective == "epsilon" else backbone.scheduler.get_velocity(latents, noise, timestep)
        error = (prediction - target).square().mean((1, 2, 3))
        if "SNR" in objective:
            alpha = backbone.scheduler.alphas_cumprod[timestep]
            snr = alpha / (1 - alpha)
            error = error * (snr.clamp(max=5) / (snr + 1) if "min" in objective else alpha)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 100) * min(1, (STEPS - step) / 100)
        optimizer.zero_grad()
        error.mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    backbone.unet.eval()
    backbone.text_encoder.eval()
    return backbone


@torch.no_grad()
def judge(backbone, objective, frames, captions):
    "Velocity loss at each level."
    losses, latents = [], encode(backbone, frames)
    for level in LEVELS:
        timestep = torch.full((len(latents),), level)
        noisy, noise, prediction = draw(
            backbone, latents, captions, timestep=timestep, generator=torch.Generator().manual_seed(level)
        )
        alpha = backbone.scheduler.alphas_cumprod[level]
        if objective == "epsilon":
            prediction = (
                alpha.sqrt() * prediction
                - (1 - alpha).sqrt() * (noisy - (1 - alpha).sqrt() * prediction) / alpha.sqrt()
            )
        losses.append(
            round(float((prediction - backbone.scheduler.get_velocity(latents, noise, timestep)).square().mean()), 4)
        )
    return losses


def main(output):
    rows = read_sources(SOURCES, split="train")
    clips = [
        training_clip(read_sources(SOURCES, split="dev"), np.random.default_rng([5, s]), num_frames=2)
        for s in range(48)
    ]
    frames, captions = np.stack([c[0][:1] for c in clips]), [c[1] for c in clips]
    results = json.loads(Path(output).read_text())["losses"] if Path(output).is_file() else {}
    for objective in ("v", "v, min-SNR 5", "v, SNR", "epsilon"):
        if objective in results:
            continue
        results[objective] = judge(train(objective, rows), objective, frames, captions)
        with atomic_path(output) as temporary:
            Path(temporary).write_text(json.dumps(dict(steps=STEPS, levels=LEVELS, losses=results), indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
