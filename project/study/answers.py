"""Raters' judgements, joined with what the run measured of the same pictures."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from project.core.json_text import parse_json
from project.report.run_rows import Row
from project.storage.csv_file import write_csv
from project.storage.files import replace_file
from project.study.database import Database
from project.study.stimulus_kind import Panel


class Judgement(NamedTuple):
    """One judgement of one picture.

    Attributes:
        rater: anonymous.
        place: of the page among the rater's, from 0.
        image: the image's id.
        name: the image's name.
        kind: attack, clean, identical or obvious.
        attack: empty unless the picture is adversarial.
        slot: place on the page, from 0 at the left.
        modified: whether it was judged modified; None where time ran out.
        seconds: that the page was open.
    """

    rater: str
    place: int
    image: int
    name: str
    kind: str
    attack: str
    slot: int
    modified: bool | None
    seconds: float

    @property
    def target(self) -> Panel:
        """The kind of picture that was judged."""
        return Panel(self.kind, self.attack)  # type: ignore[arg-type]


def answers(database: Database) -> list[Judgement]:
    """Return all judgements of pages that are closed, by rater, page and place."""
    query = """
        SELECT pages.rater, pages.place, pages.image, stimuli.name, panels.kind, panels.attack,
               panels.slot, panels.judged_modified, max(0.0, pages.closed_at - pages.shown_at)
        FROM panels
        JOIN pages ON pages.key = panels.page
        JOIN stimuli ON stimuli.image = pages.image AND stimuli.kind = 'clean'
        WHERE panels.kind != 'reference' AND pages.closed_at IS NOT NULL
        ORDER BY pages.rater, pages.place, panels.slot
    """
    with database.reading() as connection:
        rows = [Judgement(*row) for row in connection.execute(query)]
    return [
        row if row.modified is None else row._replace(modified=bool(row.modified)) for row in rows
    ]


def measured(database: Database) -> dict[tuple[str, int], Row]:
    """Return what the run measured of the pictures when the study was made, by attack and image."""
    query = "SELECT attack, image, facts FROM stimuli WHERE facts != '{}' ORDER BY attack, image"
    with database.reading() as connection:
        found = connection.execute(query).fetchall()
    return {(row["attack"], row["image"]): parse_json(row["facts"]) for row in found}


def write_answers(
    stem: Path, found: Sequence[Judgement], accepted: set[str], facts: dict[tuple[str, int], Row]
) -> list[Path]:
    """Write the judgements as CSV and Parquet, and return both paths.

    Args:
        stem: of the files' names.
        found: the judgements.
        accepted: raters that the analysis counts.
        facts: as :func:`measured` returns them.
    """
    table = pa.Table.from_pylist(
        [_row(one, accepted, facts) for one in found], schema=_schema(facts)
    )
    parquet = io.BytesIO()
    pq.write_table(table, parquet, compression="zstd")
    paths = [stem.with_name(f"{stem.name}_answers{end}") for end in (".csv", ".parquet")]
    rows = ([_told(cell) for cell in row.values()] for row in table.to_pylist())
    write_csv(paths[0], table.column_names, rows)
    replace_file(paths[1], parquet.getvalue())
    return paths


def _told(cell: object) -> object:
    """Return a cell as JSON and R have it, who write true and false small."""
    return json.dumps(cell) if isinstance(cell, bool) else cell


def judged(found: Sequence[Judgement]) -> list[Judgement]:
    """Return the judgements that were made in time, of what is no check."""
    return [one for one in found if one.modified is not None and not one.target.is_check]


def spread(found: Sequence[Judgement]) -> tuple[int, int]:
    """Return the fewest and the most judgements of an image × target that has any."""
    counts = Counter((one.image, one.target) for one in judged(found)).values()
    return min(counts, default=0), max(counts, default=0)


def _row(one: Judgement, accepted: set[str], facts: dict[tuple[str, int], Row]) -> dict[str, Any]:
    known = facts.get((one.attack, one.image), {}) if one.kind == "attack" else {}
    return one._asdict() | {"accepted": one.rater in accepted} | known


def _schema(facts: dict[tuple[str, int], Row]) -> pa.Schema:
    own = {
        "rater": pa.string(),
        "place": pa.int64(),
        "image": pa.int64(),
        "name": pa.string(),
        "kind": pa.string(),
        "attack": pa.string(),
        "slot": pa.int64(),
        "modified": pa.bool_(),
        "seconds": pa.float64(),
        "accepted": pa.bool_(),
        "fooled": pa.bool_(),
        "success": pa.bool_(),
    }
    further = {name: None for row in facts.values() for name in row if name not in own}
    return pa.schema([*own.items(), *((name, pa.float64()) for name in further)])
