from dataclasses import replace

import numpy as np
import pytest

from project.report.run import Run
from project.tracking.contact_sheets import MOST_SHEETS, PAIRS, contact_sheets, sheet
from project.tracking.gallery import MOST_SAMPLES, gallery_table
from project.tracking.subsample import shards, spread
from tests.report.conftest import make_run
from tests.report.rows import listed


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    return Run.read(make_run(tmp_path_factory.mktemp("run"), "classification", 10, 3))


def many(run, count):
    """Return a run with so many samples of each attack, all with the same files."""
    first = {sample.attack: sample for sample in reversed(run.gallery)}
    gallery = [replace(one, index=k) for one in first.values() for k in range(count)]
    return replace(run, gallery=gallery)


def test_a_spread_keeps_all_of_few_and_even_steps_of_many():
    assert spread([1, 2, 3], 5) == [1, 2, 3]
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread([], 4) == []


def test_shards_cut_without_loss_into_parts_of_nearly_equal_length():
    for length in range(30):
        parts = shards(range(length), 4, 3)
        assert [one for part in parts for one in part] == list(range(length))
        assert len(parts) == min(3, -(-length // 4))
        assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_table_tells_each_sample_as_its_source_sees_it(pictured):
    table = gallery_table(pictured)
    rows = {
        (r["attack"], r["source"], r["victim"], r["index"]): r for r in listed(pictured.results)
    }
    assert table.columns[:4] == ["picture", "attack", "source", "index"]
    assert "valid_pixels" not in table.columns
    assert len(table.data) == len(pictured.gallery) == 6
    names = pictured.facts["class_names"]
    for line in table.data:
        told = dict(zip(table.columns, line, strict=True))
        row = rows[told["attack"], told["source"], told["source"], told["index"]]
        assert told["fooled"] == row["fooled"]
        assert told["prediction"] == names[row["prediction"]]
        assert told["flow_max"] == row["flow_max"]


def test_fifty_thousand_images_are_a_handful_of_pictures(pictured):
    run = many(pictured, 50_000)
    assert len(gallery_table(run).data) == MOST_SAMPLES
    sheets = contact_sheets(run)
    assert set(sheets) == {"sheets/pgd", "sheets/ssta"}
    assert [len(found) for found in sheets.values()] == [MOST_SHEETS] * 2
    caption = f"images 12500 to 24999: {PAIRS} of 12500 pairs"
    assert sheets["sheets/pgd"][1]._caption == caption


def test_a_sheet_shows_clean_beside_adversarial_in_the_colour_of_the_verdict(pictured):
    pixels = np.asarray(sheet(pictured.gallery[:3], [True, False, None]))
    assert pixels.shape == (78, 3 * 150, 3)
    for place, sample in enumerate(pictured.gallery[:3]):
        left = place * 150 + 3 + 4  # 64 pixels amid 72
        top = 3 + 12
        seen = pixels[top : top + 48]
        np.testing.assert_array_equal(seen[:, left : left + 64], sample.read("clean"))
        shown = seen[:, left + 72 : left + 136]
        np.testing.assert_array_equal(shown, sample.read("adversarial"))
    frames = [tuple(pixels[0, place * 150]) for place in range(3)]
    assert frames == [(192, 57, 43), (59, 122, 87), (184, 184, 184)]


def test_a_sheet_goes_on_in_a_further_line(pictured):
    one = pictured.gallery[0]
    assert sheet([one] * 9, [None] * 9).size == (8 * 150, 2 * 78)


def test_a_class_without_a_name_is_told_as_text_among_names(pictured):
    run = replace(pictured, facts={"class_names": ["road"]})
    table = gallery_table(run)
    assert set(table.get_column("target")) <= {"road", "1", "2", "3"}


def test_a_run_without_a_gallery_has_neither(pictured):
    bare = replace(pictured, gallery=[])
    assert gallery_table(bare) is None
    assert contact_sheets(bare) == {}
