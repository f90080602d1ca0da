"""Rows by hand: white box, one line of images per attack and victim."""

from pathlib import Path

from project.report.comparison.white_box import white_box
from project.report.run import Run
from project.storage.rows import Measure


def rows_of(attack, victim, fooled, **columns):
    """Rows of images 0, 1, …

    ``fooled`` has a letter for each: ``x`` fooled, ``.`` kept, ``-`` wrong when clean.
    Each column is a list of one value per image.
    """
    return [
        {
            "index": index,
            "name": f"photo_{index}",
            "task": "classification",
            "attack": attack,
            "source": victim,
            "victim": victim,
            "target": 0,
            "clean_prediction": int(letter == "-"),
            "prediction": int(letter != "."),
            "clean_confidence": 0.9,
            "confidence": 0.5,
            "clean_correct": letter != "-",
            "correct": letter == ".",
            "fooled": letter == "x",
            "success": letter == "x",
            "success_float": letter == "x",
            "steps": 1,
            **{name: values[index] for name, values in columns.items()},
        }
        for index, letter in enumerate(fooled)
    ]


def run_of(*groups, **facts):
    """A run of some rows, its attacks and victims in the order in which they come."""
    rows = [row for group in groups for row in group]
    names = {name: None for row in rows for name in row}
    full = [names | row for row in rows]
    pairs = dict.fromkeys((row["attack"], row["source"], row["victim"]) for row in rows)
    measures = [Measure(*key, "asr", 0.5) for key in pairs]
    return Run(Path(), {"task": "classification", **facts}, full, measures, [])


def data_of(*groups, **facts):
    found = white_box(run_of(*groups, **facts))
    assert found is not None
    return found
