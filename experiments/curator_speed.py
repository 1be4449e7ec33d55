"""How fast the curator is on one core, and how much memory it takes: python experiments/curator_speed.py
nbs/results/dataset/speed.json

A film of 1280x720 at 25 frames a second, half of its shots moving and half still, and the same film four times and
sixteen times over, each curated by a process of its own that is bound to one core."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import ROOT  # noqa: E402

ONE = """
import resource, sys, time
sys.path.insert(0, sys.argv[3])
import cv2
cv2.setNumThreads(1)
from cammimic.dataset.curator import curate_video
begin = time.perf_counter()
found = curate_video(sys.argv[1], sys.argv[2])
print(found["seconds"], time.perf_counter()-begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024,
    len(found["clips"]), len(found["rejected"]))
"""


def film(path, seconds):
    "Shots of five seconds from the large photographs."
    import numpy as np

    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_video

    photos = [read_image(p) for p in sorted((ROOT / "nbs/sources/large").glob("*.jpg"))]
    moves = (
        CameraMove(yaw=16),
        CameraMove(),
        CameraMove(zoom=1.4),
        CameraMove(),
        CameraMove(pitch=8),
        CameraMove(),
        CameraMove(roll=12),
        CameraMove(),
    )

    def frames():
        for k in range(seconds // 5):
            move, photo = moves[k % len(moves)], photos[k % len(photos)]
            if move == CameraMove():
                yield from np.repeat(
                    render_photo(photo, move, num_frames=2, size=(1280, 720), supersample=1)[:1], 125, 0
                )
            else:
                yield from render_photo(photo, move, num_frames=125, size=(1280, 720), supersample=1)

    write_video(path, frames(), fps=25, preset="veryfast", crf=23)


def repeat(path, source, times):
    "The same packets again and again."
    import av

    with av.open(path, "w") as target:
        stream, shift = None, 0
        for _ in range(times):
            with av.open(source) as container:
                stream = stream or target.add_stream_from_template(container.streams.video[0])
                end = shift
                for packet in container.demux(container.streams.video[0]):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    end = max(end, packet.pts + packet.duration)
                    target.mux(packet)
                shift = end


def main(output):
    results = []
    with tempfile.TemporaryDirectory() as folder:
        film(first := Path(folder) / "film.mp4", 40)
        for times, runs in ((1, 3), (4, 3), (16, 1)):
            repeat(path := Path(folder) / f"{times}.mp4", first, times)
            for run in range(runs):
                env = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
                bind = dict(preexec_fn=lambda: os.sched_setaffinity(0, {0})) if hasattr(os, "sched_setaffinity") else {}
                said = subprocess.run(
                    [sys.executable, "-c", ONE, path, Path(folder) / f"out-{times}-{run}", ROOT],
                    env=env,
                    text=True,
                    capture_output=True,
                    check=True,
                    **bind,
                ).stdout.split()
                results.append(
                    dict(
                        film=float(said[0]),
                        seconds=round(float(said[1]), 1),
                        peak_mb=round(float(said[2])),
                        clips=int(said[3]),
                        rejected=int(said[4]),
                    )
                )
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(json.dumps(dict(size="1280x720", cores=1, runs=results), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
