"""Folders of runs with missing, old, damaged and foreign files: the page, or one plain line."""

import json
import math
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from project.core.errors import InputError
from project.report import build_report
from tests.study.studies import make_run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("original"), images=2)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def rows(folder, change):
    path = folder / "rows.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def filled(name, value):
    def change(table):
        place = table.column_names.index(name)
        return table.set_column(place, name, pa.array([value] * table.num_rows, table[name].type))

    return change


def first_picture(folder):
    return min(folder.glob("gallery/*/*/*/adversarial.png"))


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


DAMAGED = {
    "rows cut": lambda folder: cut(folder / "rows.parquet"),
    "rows empty": write("rows.parquet", b""),
    "rows foreign": lambda folder: rows(folder, lambda table: pa.table({"a": [1]})),
    "rows of nobody": lambda folder: rows(folder, filled("attack", None)),
    "rows of words": lambda folder: rows(
        folder,
        lambda table: table.drop(["target"]).append_column(
            "target", pa.array(["cat"] * table.num_rows)
        ),
    ),
    "facts cut": write("run.json", b"{"),
    "facts a list": write("run.json", b"[]"),
    "facts in latin 1": write("run.json", b'{"title": "\xe9"}'),
    "facts odd": write("run.json", json.dumps({"attacks": 3}).encode()),
    "measures empty": write("metrics.csv", b""),
    "measures odd": lambda folder: (folder / "metrics.csv").write_text(
        (folder / "metrics.csv").read_text().replace("0.5", "half")
    ),
    "picture odd": lambda folder: first_picture(folder).write_bytes(b"none"),
    "picture cut": lambda folder: cut(first_picture(folder)),
    "flow odd": lambda folder: first_picture(folder).with_name("flow.npy").write_bytes(b"none"),
    "traces odd": write("traces.parquet", b"none"),
    "traces foreign": lambda folder: pq.write_table(
        pa.table({"a": [1]}), folder / "traces.parquet"
    ),
}


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_or_foreign_file_is_told_in_one_line(folder, kind):
    DAMAGED[kind](folder)
    with pytest.raises(InputError) as error:
        build_report(folder)
    assert len(str(error.value).splitlines()) == 1
    assert str(folder) in str(error.value)
    assert not (folder / "report.html").exists()


WHOLE = {
    "no rows": lambda folder: rows(folder, lambda table: table.slice(0, 0)),
    "one row": lambda folder: rows(folder, lambda table: table.slice(0, 1)),
    "an older version's rows": lambda folder: rows(
        folder, lambda table: table.drop(["name", "confidence", "success", "steps"])
    ),
    "distances that are no numbers": lambda folder: rows(folder, filled("lpips_alex", math.nan)),
    "distances without end": lambda folder: rows(folder, filled("lpips_alex", math.inf)),
    "nothing fooled": lambda folder: rows(folder, filled("fooled", False)),
    "all fooled": lambda folder: rows(folder, filled("fooled", True)),
    "nothing right": lambda folder: rows(folder, filled("clean_correct", False)),
    "no gallery": lambda folder: shutil.rmtree(folder / "gallery"),
    "a folder of the user's": lambda folder: shutil.copytree(
        first_picture(folder).parent, folder / "gallery" / "pgd" / "resnet" / "notes"
    ),
    "rates that are none": lambda folder: (folder / "metrics.csv").write_text(
        (folder / "metrics.csv").read_text().replace("0.5", "nan")
    ),
    "a picture of another size": lambda folder: Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(
        first_picture(folder)
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_degenerate_has_a_page_that_shows_no_nan(folder, kind):
    WHOLE[kind](folder)
    page = build_report(folder).read_text(encoding="utf-8")
    text = page.partition("</style>")[2].partition('<script type="application/json"')[0]
    assert not re.findall(r"(?:^|[\s>(=–-])(?:nan|inf|None)\b.{30}", text)
