"""Completed beside mirrored borders, without names: python experiments/completion_choices.py FOLDER [--sheet CHOICES]

The last frames of 20 moves over 20 photographs of nbs/sources, drawn with a seed, as pair_NN.png (A left, B right) and
key.json; whoever chooses sees the pairs alone. The choices are nbs/results/completion/choices.jsonl, one line a pair;
with --sheet they are drawn as the picture beside that file: mirrored above, completed below, the chosen one framed."""

import argparse
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from project import NBS, ROOT  # noqa: E402

sys.path.insert(0, str(ROOT))

MOVES = (
    "pan-right 25%",
    "pan-left 30%",
    "tilt-up 30%",
    "zoom-out 1.5",
    "zoom-out 1.3 + pan-right 12%",
    "tilt-down 25%",
    "roll-right 12 + zoom-out 1.2",
)
# Shown or looked at while the completion was made
SEEN = (
    "aitzgorri_by_Aitzol_Berasategi brandenburg_gate cat_with_yarn giraffe_head museum_hall rocky_coast "
    "sunset_by_Aitzol_Berasategi"
).split()


def drawn(count=20):
    "Photographs and moves, by the numbers of the moves."
    names = [
        path
        for path in sorted((NBS / "sources").glob("*.jpg"))
        if path.stem not in SEEN and not path.stem.startswith("bl_") and not path.stem.endswith("panorama")
    ]
    chosen = random.Random(2024).sample(names, count)
    return [(path, MOVES[number % len(MOVES)]) for number, path in enumerate(chosen)]


def last_frame(path, move, border):
    from cammimic.geometry.moves import motion_from_words
    from cammimic.geometry.video import read_image
    from cammimic.geometry.weak_video import iterate_weak_video

    image = read_image(path, max_side=960)
    motion = motion_from_words(move, num_frames=8, aspect=image.shape[1] / image.shape[0])
    *_, (frame, _) = iterate_weak_video(image, motion, border=border)
    return frame


def write_pairs(folder):
    import numpy as np

    from cammimic.geometry.video import write_image

    order = random.Random(7)
    numbers, key = list(range(20)), []
    order.shuffle(numbers)
    moves = drawn()
    for place, number in enumerate(numbers, 1):
        path, move = moves[number]
        frames = {border: last_frame(path, move, border) for border in ("complete", "reflect")}
        left, right = sorted(frames, reverse=order.random() < 0.5)
        gap = np.full((len(frames[left]), 12, 3), 255, np.uint8)
        write_image(folder / f"pair_{place:02}.png", np.concatenate([frames[left], gap, frames[right]], axis=1))
        key.append(dict(number=place, image=path.stem, move=move, left=left))
    (folder / "key.json").write_text(json.dumps(key, indent=1))


def fitted(image, width=196, height=150):
    "An image on a white card."
    import cv2
    import numpy as np

    scale = min(width / image.shape[1], height / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    card = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    card[top : top + image.shape[0], left : left + image.shape[1]] = image
    return card


def write_sheet(choices):
    import cv2
    import numpy as np

    from cammimic.geometry.video import write_image

    paths, cells = {path.stem: path for path, _ in drawn()}, []
    for line in choices.read_text().splitlines():
        row, cards = json.loads(line), []
        for border in ("reflect", "complete"):
            card = fitted(last_frame(paths[row["image"]], row["move"], border))
            if border == row["chosen"]:
                cv2.rectangle(card, (0, 0), (card.shape[1] - 1, card.shape[0] - 1), (40, 160, 40), 3)
            cards.append(card)
        title = np.full((16, cards[0].shape[1], 3), 255, np.uint8)
        cv2.putText(title, str(row["number"]), (4, 13), 0, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        cell = np.concatenate([title, *cards])
        cells.append(np.pad(cell, ((0, 4), (2, 2), (0, 0)), constant_values=255))
    rows = [np.concatenate(cells[k : k + 5], axis=1) for k in range(0, len(cells), 5)]
    write_image(choices.with_suffix(".jpg"), np.concatenate(rows), max_bytes=150_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path, metavar="CHOICES")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.sheet:
        write_sheet(arguments.sheet)
    else:
        write_pairs(arguments.folder)
