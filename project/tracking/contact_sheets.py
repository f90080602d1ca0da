"""Contact sheets: many samples in one file, so that a large gallery is a handful of files.

Each attack's gallery is cut into shards, in the order of the images, and each shard is one sheet of
pairs, clean and adversarial, evenly spaced over it. So however many images a run has, an attack has
at most ``MOST_SHEETS`` files of at most ``PAIRS`` pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import wandb
from PIL import Image

from project.report.gallery import Sample
from project.report.run import Run
from project.tracking.gallery import own_rows
from project.tracking.subsample import shards, spread

MOST_SHEETS = 4  # per attack
PAIRS = 48  # per sheet
_ACROSS, _SIDE, _FRAME = 8, 72, 3  # pairs in a line; pixels
_CELL = (2 * _SIDE + 2 * _FRAME, _SIDE + 2 * _FRAME)
_COLOURS = {True: "#c0392b", False: "#3b7a57", None: "#b8b8b8"}


def contact_sheets(run: Run) -> dict[str, list[wandb.Image]]:
    """Return the sheets of each attack that has a gallery, under ``sheets/ATTACK``."""
    found = {}
    for attack in run.attacks:
        gallery = [sample for sample in run.gallery if sample.attack == attack]
        gallery.sort(key=lambda sample: (sample.index, sample.source))
        if gallery:
            cut = shards(gallery, PAIRS, MOST_SHEETS)
            found[f"sheets/{attack}"] = [_logged(run, shard) for shard in cut]
    return found


def sheet(samples: Sequence[Sample], fooled: Sequence[bool | None]) -> Image.Image:
    """Put samples side by side, clean beside adversarial, in a frame.

    Args:
        samples: in reading order.
        fooled: whether each fools its source: a red frame, else green; grey where it is not said.
    """
    lines = -(-len(samples) // _ACROSS)
    width = min(_ACROSS, len(samples)) * _CELL[0]
    canvas = Image.new("RGB", (width, lines * _CELL[1]), "white")
    for place, (sample, verdict) in enumerate(zip(samples, fooled, strict=True)):
        line, column = divmod(place, _ACROSS)
        canvas.paste(_pair(sample, _COLOURS[verdict]), (column * _CELL[0], line * _CELL[1]))
    return canvas


def _logged(run: Run, shard: Sequence[Sample]) -> wandb.Image:
    shown = spread(shard, PAIRS)
    rows = own_rows(run, shown, ["fooled"])
    own = [rows.get((one.attack, one.source, one.index), {}) for one in shown]
    caption = f"images {shard[0].index} to {shard[-1].index}: {len(shown)} of {len(shard)} pairs"
    drawn = sheet(shown, [row.get("fooled") for row in own])
    return wandb.Image(drawn, caption=caption, file_type="jpg")


def _pair(sample: Sample, colour: str) -> Image.Image:
    pair = Image.new("RGB", _CELL, colour)
    for place, kind in enumerate(("clean", "adversarial")):
        picture = Image.fromarray(sample.read(kind))
        picture.thumbnail((_SIDE, _SIDE))
        # In the middle of its square, whatever its shape.
        left = _FRAME + place * _SIDE + (_SIDE - picture.width) // 2
        pair.paste(picture, (left, _FRAME + (_SIDE - picture.height) // 2))
    return pair
