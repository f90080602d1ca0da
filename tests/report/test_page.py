import base64
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from project import report
from project.report import build_report
from project.report.__main__ import main
from project.storage.rows import write_measures, write_rows

VOID_TAGS = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Keep what a page holds, and see that every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)

    def attributes(self, name):
        return [values[name] for _, values in self.elements if name in values]


@pytest.fixture(params=["classification", "segmentation"])
def run(request):
    return request.getfixturevalue(f"{request.param}_run")


def built(run):
    return build_report(run).read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_needs_nothing_outside_itself(run):
    text = built(run)
    page = Page(text)
    embedded = ("data:image/webp;base64,", "data:image/svg+xml;base64,")
    assert all(source.startswith(embedded) for source in page.attributes("src"))
    pictures = re.findall(r'"(data:[^"]{20})', text.split('id="gallery-inside"')[1])
    assert pictures
    assert all(uri.startswith("data:image/") for uri in pictures)
    assert all(link.startswith("#") for link in page.attributes("href"))
    assert {link[1:] for link in page.attributes("href")} <= set(page.attributes("id"))
    assert not re.search(r"@import|url\(|https?://", text)


def test_the_page_forbids_itself_the_network_and_allows_only_its_own_script(run):
    text = built(run)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    script = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    directives = {name: rest for name, *rest in map(str.split, html.unescape(policy).split(";"))}
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == [f"'sha256-{digest}'", "file:", "'self'"]
    assert set(directives["img-src"]) == {"data:", "file:", "'self'"}


def test_styles_share_only_the_classes_that_mean_the_same_in_each():
    files = ("report.css", "gallery/gallery.css")
    styles = [(Path(report.__file__).parent / name).read_text(encoding="utf-8") for name in files]
    selectors = (re.sub(r"\{[^{}]*\}|/\*.*?\*/", "", style) for style in styles)
    names = [set(re.findall(r"\.([a-z][\w-]*)", found)) for found in selectors]
    shared = set().union(*(one & other for one, other in combinations(names, 2)))
    assert shared == {"classes", "coarse", "fooled"}


def test_what_comes_from_outside_is_escaped(run):
    page = Page(built(run))
    assert not any(tag == "i" for tag, _ in page.elements)
    assert "<i>swin</i>" in " ".join(page.text)


def test_pictures_outside_the_gallery_are_described_and_can_be_opened(run):
    pictures = [values for tag, values in Page(built(run)).elements if tag == "img"]
    shown = [values for values in pictures if "src" in values]
    assert shown
    for values in shown:
        assert values["alt"]
        kind, content = values["src"].split(",")
        if "svg" in kind:
            ElementTree.fromstring(base64.b64decode(content))
            continue
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            image.load()


def test_command_versions_seeds_config_weights_and_notices_are_there(run):
    text = " ".join(Page(built(run)).text)
    facts = json.loads((run / "run.json").read_text())
    for expected in (
        facts["title"],
        facts["command"],
        facts["config"],
        facts["notices"][0],
        *facts["versions"].values(),
        *facts["weights"].values(),
    ):
        assert expected in text
    assert "40 images · 2 attacks · 2 sources · 3 victims" in text


def test_the_same_run_gives_the_same_page(run):
    assert built(run) == built(run)


def test_a_run_without_pictures_or_rows_still_has_a_report(tmp_path):
    write_rows(tmp_path / "rows.parquet", [])
    write_measures(tmp_path / "metrics.csv", [])
    (tmp_path / "run.json").write_text("{}")
    page = Page(built(tmp_path))
    assert "gallery" not in page.attributes("id")
    assert "0 images" in " ".join(page.text)


@pytest.mark.parametrize("name", ["rows.parquet", "metrics.csv", "run.json"])
def test_an_unfinished_run_is_named_with_what_it_lacks(classification_run, tmp_path, name):
    for file in ("rows.parquet", "metrics.csv", "run.json"):
        shutil.copy(classification_run / file, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {name}"):
        build_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_command_line_says_where_the_report_is(classification_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(classification_run)])
    main()
    assert capsys.readouterr().out.strip() == str(classification_run / "report.html")


def test_the_command_line_fails_on_a_folder_that_is_no_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "has no rows.parquet" in capsys.readouterr().err


def test_a_report_needs_no_torch():
    code = "import sys, project.report.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
