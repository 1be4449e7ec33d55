"""What each CPU-side saving of the pretraining buys: seconds of a training step with and without it.

    OMP_NUM_THREADS=2 python experiments/pretraining_costs.py nbs/results/pretraining/costs.json

Every pair is timed in turns in one process; the file holds medians of the rounds. Run it on a quiet machine.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor

from cammimic.core import atomic_path
from cammimic.geometry.sources import read_sources
from cammimic.model.backbone import Backbone, build_tokenizer
from cammimic.model.embedded import HEAD_WIDTH, PatchAutoencoder, embedded_parts, load_embedded
from cammimic.model.pretraining import training_batch

ROUNDS = 7
VAE, TOKENIZER = PatchAutoencoder(), build_tokenizer(["a"])


def model(*, image=False, head=None, dropout=False):
    "A model ready to be trained."
    backbone = Backbone(**embedded_parts(VAE, TOKENIZER, image=image, head_width=head or HEAD_WIDTH))
    backbone.unet.train().requires_grad_()
    for module in backbone.unet.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    return backbone.unet


def step(unet, shape, *, repeat=1, autocast=False):
    "A function that does one training step on random latents."
    z, t, text = torch.randn(shape), torch.full(shape[:1], 500), torch.randn(shape[0], 40, 64)

    def run():
        unet.zero_grad()
        for _ in range(repeat):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = unet(z, t, encoder_hidden_states=text).sample.float().square().mean()
            loss.backward()

    return run


def cases():
    "(name, what is done, what it is compared with)"
    clip, short, frames = (2, 8, 16, 12, 20), (4, 8, 8, 12, 20), (32, 8, 1, 12, 20)
    plain, image = model(), model(image=True)
    eager = model()
    eager.set_attn_processor(AttnProcessor())
    channels = model(image=True).to(memory_format=torch.channels_last)
    yield "attention heads 16 wide, not 8", step(plain, clip), step(model(head=8), clip)
    yield "no dropout in temporal convolutions", step(plain, clip), step(model(dropout=True), clip)
    yield "fused attention", step(plain, clip), step(eager, clip)
    yield "channels last (denoiser of frames)", step(channels, (32, 8, 12, 20)), step(image, (32, 8, 12, 20))
    yield "bfloat16 autocast", step(plain, clip, autocast=True), step(plain, clip)
    yield "32 single frames in the denoiser of frames, not of clips", step(image, (32, 8, 12, 20)), step(plain, frames)
    yield "32 single frames rather than 2 clips of 16", step(image, (32, 8, 12, 20)), step(plain, clip)
    yield "4 clips of 8 frames, not 2 of 16", step(plain, short), step(plain, clip)
    yield "a batch of 2, not 2 accumulated", step(plain, clip), step(plain, (1, *clip[1:]), repeat=2)

    def stepped(fused):
        optimizer, work = torch.optim.AdamW(plain.parameters(), lr=0.0, fused=fused), step(plain, clip)

        def run():
            work()
            optimizer.step()

        return run

    yield "fused AdamW", stepped(True), stepped(False)
    rows, backbone = read_sources(Path(__file__).parents[1] / "nbs" / "sources", split="train"), load_embedded()
    batch = training_batch(rows, 1, phase="full")

    def rendered():
        training_batch(rows, 1, phase="full")
        torch.cat([backbone.encode_video(f, chunk_size=16) for f in batch[0]])
        step_once()

    step_once = step(plain, clip)
    yield "latents from a cache, not rendered and encoded", step_once, rendered


def main(output):
    results = []
    for name, with_it, without in cases():
        with_it()
        without()
        seconds = [], []
        for _ in range(ROUNDS):
            for kind, run in zip(seconds, (with_it, without), strict=False):
                begin = time.perf_counter()
                run()
                kind.append(time.perf_counter() - begin)
        a, b = (float(np.median(s)) for s in seconds)
        results.append(dict(name=name, seconds=round(a, 3), without=round(b, 3), ratio=round(b / a, 2)))
        print(results[-1], flush=True)
    with atomic_path(output) as temporary:
        Path(temporary).write_text(
            json.dumps(dict(threads=torch.get_num_threads(), rounds=ROUNDS, costs=results), indent=1)
        )


if __name__ == "__main__":
    main(sys.argv[1])
