"""Peak memory of a step of each phase on the CPU, against the estimate: python experiments/cpu_memory.py
nbs/results/speed/cpu_memory.json

Two models two sizes each: zeroscope's exact architecture in bfloat16, and a UNet of its classes a fifth as wide in
float32, where activations outweigh the weights. Every phase is a process of its own, so that its peak is its own: what
the system says the process held at most, less what it held before the model was made. glibc keeps much of what is freed
in pieces of less than 32 MB (`kept`); told to give such pieces back at once (MALLOC_MMAP_THRESHOLD_), what is left is
what is in use (`measured`). Rows that are there are not measured again."""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))
from stage1_speed import WIDTHS, resident

RUNS = (("zeroscope", (128, 128)), ("zeroscope", (192, 128)), ("fifth", (192, 192)), ("fifth", (256, 256)))


def fifth():
    "A UNet of zeroscope's classes, narrower."
    import torch

    from cammimic import cost

    cost.PUBLISHED["fifth"] = dict(
        unet=("UNet3DConditionModel", dict(block_out_channels=WIDTHS, attention_head_dim=64, cross_attention_dim=1024)),
        vae=("AutoencoderKL", dict(cost.VAE_CONFIG, block_out_channels=(32, 64, 128, 128))),
        text_encoder=(
            "CLIPTextModel",
            dict(hidden_size=1024, intermediate_size=1024, num_hidden_layers=1, num_attention_heads=16),
        ),
    )
    return cost.architecture("fifth", torch_dtype=torch.float32)


def model(name):
    "A model on the meta device."
    from cammimic.model.cost import architecture

    return fifth() if name == "fifth" else architecture("cerspense/zeroscope_v2_576w")


def one(name, size, phase):
    "Run a phase once and say how much memory it took."
    import torch

    from cammimic.model.cost import steps_of

    torch.set_num_threads(2)
    backbone, before = model(name), resident()
    for part in (backbone.unet, backbone.vae, backbone.text_encoder):
        part.to_empty(device="cpu")
        for weight in (*part.parameters(), *part.buffers()):
            weight.data.fill_(0.01)  # touched, or the system would not count it; 0 where it is an index
    steps_of(backbone, size=size, num_frames=16)[phase]()
    print(json.dumps(dict(peak=int((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before) * 2**20))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output")
    parser.add_argument("--one", nargs=4, metavar=("MODEL", "WIDTH", "HEIGHT", "PHASE"))
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], tuple(map(int, arguments.one[1:3])), arguments.one[3])
    else:
        from cammimic.model.cost import estimate

        output, returning = (
            Path(arguments.output),
            dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536"),
        )
        rows = {
            (row["model"], *row["size"], row["phase"]): row
            for row in (json.loads(output.read_text()) if output.is_file() else [])
        }
        for name, size in RUNS:
            found = estimate(model(name), size=size, num_frames=16)
            for phase in found["phases"]:
                row = rows.setdefault((name, *size, phase["name"]), dict(model=name, size=size, phase=phase["name"]))
                row.update(weights=found["weights"], estimated=found["weights"] + phase["peak"])
                for column, environment in (("kept", os.environ), ("measured", returning)):
                    if column in row:
                        continue
                    said = subprocess.run(
                        [sys.executable, __file__, "-", "--one", name, *map(str, size), phase["name"]],
                        env=environment,
                        capture_output=True,
                        text=True,
                        check=True,
                    ).stdout.splitlines()[-1]
                    row[column] = json.loads(said)["peak"]
                output.write_text(json.dumps([*rows.values()], indent=1) + "\n")
                print(row, round(row["estimated"] / row["measured"], 2), flush=True)
