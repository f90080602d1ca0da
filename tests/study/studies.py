"""Small studies: a run's folder with drawn pictures, and a study with pictures of one colour."""

import json
import re
from urllib.parse import quote

import numpy as np
from PIL import Image

from project.storage.rows import Measure, write_measures, write_rows
from project.study.database import create
from project.study.designs import DESIGNS
from project.study.distortions import png
from project.study.judging import Judging
from project.study.raters import consent, find, invite
from project.study.settings import Settings
from project.study.stimuli import Stimulus
from project.study.stimulus_kind import CLEAN, OBVIOUS, Panel

ATTACKS = ("pgd", "ssta", "stadv")
SOURCE = "resnet"


class Clock:
    """A clock that a test winds."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def make_study(folder, images=6, attacks=ATTACKS, **settings):
    """A study whose pictures are told apart by colour: (image, place of the target, 0)."""
    chosen = Settings(attacks=attacks, source=SOURCE, **settings)
    chosen = Settings(**vars(chosen) | {"candidates": DESIGNS[chosen.design].candidates(chosen)})
    shown = [CLEAN, OBVIOUS, *(Panel("attack", name) for name in attacks)]
    pictures = (
        Stimulus(image, f"photo {image}", panel, coloured(image, place))
        for image in range(images)
        for place, panel in enumerate(shown)
    )
    return create(folder / "study.sqlite", chosen, pictures)


def coloured(image, place):
    return png(np.full((8, 8, 3), (image, place, 0), np.uint8))


def agreed(database, number=1):
    """Ids and tokens of raters who have consented."""
    found = []
    for token in invite(database, number):
        rater = find(database, token).id
        consent(database, rater)
        found.append((rater, token))
    return found


def rows(database, query, *values):
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query, values)]


def panels(database, key):
    """The panels of a page, from left to right."""
    query = "SELECT kind, attack FROM panels WHERE page = ? ORDER BY slot"
    return [Panel(*row) for row in rows(database, query, key)]


def form_for(database, key, modified):
    """What a rater posts who calls a panel modified where ``modified(panel)``."""
    slots = list(enumerate(panels(database, key)))
    if database.settings.design == "2afc":
        ((slot, target),) = [one for one in slots if one[1].kind != "reference"]
        return {"modified": str(slot if modified(target) else 1 - slot)}
    return {f"panel-{slot}": "different" if modified(one) else "same" for slot, one in slots[1:]}


def judge_all(database, rater, modified, seconds=5.0):
    """Let a rater go through all pages."""
    clock = Clock()
    judging = Judging(database, clock)
    while page := judging.current(rater):
        clock.now += seconds
        judging.answer(rater, page.key, form_for(database, page.key, modified))


def fields(html):
    """The names, values and types of a page's inputs."""
    tags = re.findall(r"<input ([^>]*)>", html)
    return [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in tags]


def key_of(html):
    return next(one["value"] for one in fields(html) if one.get("name") == "key")


def make_run(folder, attacks=ATTACKS, sources=(SOURCE,), images=6):
    """A finished run with a gallery; what pgd does is plain, what the others do is not."""
    rng, measures, found = np.random.default_rng(0), [], []
    for attack in attacks:
        for source in sources:
            measures.append(Measure(attack, source, source, "asr", 0.5))
            for index in range(images):
                parts = [quote(name, safe="") for name in (attack, source)]
                _write_sample(folder.joinpath("gallery", *parts, f"{index:08d}"), rng, attack)
                found.append(_row(attack, source, index))
    write_rows(folder / "rows.parquet", found)
    write_measures(folder / "metrics.csv", measures)
    (folder / "run.json").write_text(json.dumps({"task": "classification"}))
    return folder


def _write_sample(folder, rng, attack):
    folder.mkdir(parents=True)
    clean = np.random.default_rng(int(folder.name)).integers(40, 216, (24, 24, 3))
    strength = 30 if attack == "pgd" else 1
    changed = clean + rng.integers(-strength, strength + 1, clean.shape)
    Image.fromarray(clean.astype(np.uint8)).save(folder / "clean.png")
    Image.fromarray(changed.astype(np.uint8)).save(folder / "adversarial.png")


def _row(attack, source, index):
    fooled = index % 2 == 0
    return {
        "index": index,
        "name": f"photo, {index}",
        "task": "classification",
        "attack": attack,
        "source": source,
        "victim": source,
        "target": 0,
        "clean_prediction": 0,
        "prediction": int(fooled),
        "clean_correct": True,
        "correct": not fooled,
        "fooled": fooled,
        "success": fooled,
        "lpips_alex": (0.5 if attack == "pgd" else 0.01) + index / 1000,
        "psnr": float("inf") if index == 0 else 40.0 + index,
    }
