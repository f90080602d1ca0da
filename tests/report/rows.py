"""Rows by hand: white box, one line of images per attack and victim."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from project.report.comparison.white_box import white_box
from project.report.run import Run
from project.report.run_rows import WORDS, RunRows
from project.storage.column_reader import ColumnReader
from project.storage.rows import COLUMNS, Measure


def results_of(rows, **options):
    """The results of some rows in the order given, as if from a file with options of Parquet."""
    rows = list(rows)
    names = dict.fromkeys(("attack", "source", "victim", "index"))
    names |= dict.fromkeys(name for row in rows for name in row)
    schema = pa.schema([(name, COLUMNS.get(name, pa.float64())) for name in names])
    columns = {name: [row.get(name) for row in rows] for name in names}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), sink, **options)
    return RunRows(ColumnReader(Path("rows"), pa.BufferReader(sink.getvalue()), WORDS))


def listed(results):
    """All rows of some results, group by group."""
    found = (
        results.rows(results.names, key, results.columns((), key).index) for key in results.groups
    )
    return [row for rows in found for row in rows.values()]


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
    pairs = dict.fromkeys((row["attack"], row["source"], row["victim"]) for row in rows)
    measures = [Measure(*key, "asr", 0.5) for key in pairs]
    return Run(Path(), {"task": "classification", **facts}, results_of(rows), measures, [])


def data_of(*groups, **facts):
    found = white_box(run_of(*groups, **facts))
    assert found is not None
    return found
