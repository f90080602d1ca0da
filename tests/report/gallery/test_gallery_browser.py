"""Choosing images in a real browser, on a page opened from a file."""

import shutil
from itertools import pairwise
from operator import itemgetter

import numpy as np
import pytest

from project.storage.rows import read_rows
from tests.report.conftest import PICTURED, VICTIMS

pytestmark = pytest.mark.browser


def rows_of(run, attack, source):
    rows = read_rows(run / "rows.parquet").to_pylist()
    return [row for row in rows if (row["attack"], row["source"]) == (attack, source)]


def test_the_page_asks_only_for_its_own_folder_and_complains_of_nothing(
    visit, pictured_run, pictured_streets
):
    for folder in (pictured_run, pictured_streets):
        opened = visit(folder)
        opened.enlarge()
        opened.page.keyboard.press("d")
        home = f"file://{folder}/"
        assert all(url.startswith((home, "data:image/")) for url in opened.requests)
        assert any("catalogue" in url for url in opened.requests)
        assert opened.complaints == []


def test_the_network_is_forbidden(visit, pictured_run):
    opened = visit(pictured_run)
    blocked = opened.page.evaluate(
        """() => new Promise((resolve) => {
            const found = [];
            setTimeout(() => resolve(found), 25000); // where one was let through
            addEventListener("securitypolicyviolation", (event) => {
              found.push(event.effectiveDirective);
              if (found.length === 3) resolve(found.sort());
            });
            fetch("http://127.0.0.1:9/").catch(() => {});
            new Image().src = "http://127.0.0.1:9/picture.png";
            const script = document.createElement("script");
            script.src = "http://127.0.0.1:9/script.js";
            document.head.append(script);
        })"""
    )
    assert blocked == ["connect-src", "img-src", "script-src-elem"]


def test_filters_count_what_the_rows_count(visit, pictured_run):
    opened = visit(pictured_run)
    opened.choose(attack="pgd")
    states = {}
    for row in rows_of(pictured_run, "pgd", VICTIMS[0]):
        if row["index"] < PICTURED:
            state = "fooled" if row["fooled"] else "kept" if row["clean_correct"] else "wrong"
            states.setdefault(row["index"], {})[row["victim"]] = state
    rules = {"some": lambda found: any(found.values()), "every": lambda found: all(found.values())}
    rules |= {f"={victim}": itemgetter(victim) for victim in VICTIMS}
    for verdict in ("fooled", "kept", "wrong"):
        for name, rule in rules.items():
            opened.choose(verdict=verdict, victim=name)
            hits = [rule({v: s == verdict for v, s in found.items()}) for found in states.values()]
            assert opened.count() == sum(hits)
            assert opened.page.locator(".card-button").count() == sum(hits)


def test_classes_and_names_filter(visit, pictured_run):
    opened = visit(pictured_run)
    opened.choose(label="2")
    assert opened.names() == [f"photo_{k:03d}" for k in range(2, PICTURED, 4)]
    opened.choose(label="", text="PHOTO_00")
    assert opened.count() == 10
    opened.choose(text="17")
    assert opened.names() == ["photo_017"]
    opened.choose(text="nowhere")
    assert opened.count() == 0


def test_images_are_sorted_by_any_number_with_infinity_at_its_end(visit, pictured_run):
    opened = visit(pictured_run)
    opened.choose(sort=".psnr", order="down")
    found = {
        r["name"]: r["psnr"]
        for r in rows_of(pictured_run, "ssta", VICTIMS[0])
        if r["victim"] == VICTIMS[0]
    }
    values = [found[name] for name in opened.names()]
    assert np.isinf(values[:3]).all()
    assert all(before >= after * (1 - 1e-3) for before, after in pairwise(values))
    opened.choose(order="up")
    assert found[opened.names()[0]] == pytest.approx(min(values), rel=1e-3)
    opened.choose(sort="name", order="down")
    assert opened.names()[0] == f"photo_{PICTURED - 1:03d}"


def test_the_address_remembers_what_was_chosen(visit, pictured_run):
    first = visit(pictured_run)
    first.choose(attack="pgd", verdict="fooled", sort=".ssim", order="down", label="1")
    first.enlarge(1)
    address = first.page.evaluate("location.hash")
    again = visit(pictured_run, address)
    assert again.names() == first.names()
    assert again.page.locator("dialog[open] h2").text_content() == first.names()[1]
    controls = ["attack", "verdict", "sort", "order", "label"]
    chosen = [again.page.locator(f".filters [name={name}]").input_value() for name in controls]
    assert chosen == ["pgd", "fooled", ".ssim", "down", "1"]


@pytest.mark.parametrize("address", ["#gallery?attack=none&sort=.none&page=99&image=12345", "#x?"])
def test_an_address_of_another_run_is_taken_as_far_as_it_fits(visit, pictured_run, address):
    opened = visit(pictured_run, address)
    assert opened.count() == PICTURED
    assert opened.complaints == []


def test_a_page_of_many_images_holds_few_of_them(visit, many_run):
    opened = visit(many_run)
    assert opened.count() == 2000
    assert opened.page.locator(".card-button").count() == 48
    assert opened.page.evaluate("document.querySelectorAll('*').length") < 1500
    opened.page.get_by_role("button", name="Next page").click()
    assert opened.names()[0] == "photo_048"
    assert opened.page.evaluate("document.activeElement.matches('.card-button')")
    opened.choose(text="photo_1999")
    assert opened.names() == ["photo_1999"]
    assert opened.complaints == []


def test_a_page_without_its_folder_says_so_and_shows_what_it_holds(visit, many_run, tmp_path):
    shutil.copy(many_run / "report.html", tmp_path)
    opened = visit(tmp_path)
    told = opened.page.locator("#gallery-origin")
    assert told.is_visible()
    assert "of 2,000 pictured samples are inside the page" in told.text_content()
    assert 0 < opened.count() < 200
    opened.enlarge()
    assert opened.page.locator(".photo").first.get_attribute("src").startswith("data:")


def test_the_folder_of_another_run_is_not_taken_for_its_own(
    visit, many_run, pictured_run, tmp_path
):
    shutil.copy(many_run / "report.html", tmp_path)
    shutil.copytree(pictured_run / "gallery", tmp_path / "gallery")
    opened = visit(tmp_path)
    assert opened.page.locator("#gallery-origin").is_visible()
    assert opened.complaints == []
    assert opened.names()[0] == "photo_000"
