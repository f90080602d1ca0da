"""The gallery's files and its catalogue, without a browser."""

import base64
import io
import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from project.report import build_report
from project.report.gallery import Attacked, GalleryKeeper, samples
from project.report.gallery import section as inside
from project.report.gallery.arrows import arrows, outline
from project.report.gallery.drawings import THUMBNAIL, class_layer
from project.report.gallery.index import script_json
from project.report.pictures import palette
from project.storage.rows import read_rows
from tests.report.conftest import VICTIMS, keep_sample, photo, write_sample

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=["classification", "segmentation"])
def run(request):
    return request.getfixturevalue(f"{request.param}_run")


def within(run):
    """Return what the gallery inside the page knows."""
    text = build_report(run).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="gallery-inside">(.*?)</script>', text, re.DOTALL)[1])


def beside(run):
    """Return the stamp, the catalogue and the sets of the scripts in the folder."""
    parts = {}
    for path in (run / "gallery").glob("catalogue*.js"):
        call = re.fullmatch(r'galleryPart\("(\w+)",(-?\d+),(.*)\);\n', path.read_text(), re.DOTALL)
        parts[int(call[2])] = call[1], json.loads(call[3])
    stamps = {stamp for stamp, _ in parts.values()}
    assert len(stamps) == 1
    return stamps.pop(), parts[-1][1], [parts[number][1] for number in sorted(parts)[1:]]


def pixels(uri):
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        return np.asarray(image.convert("RGB"))


def test_verdicts_and_numbers_of_the_catalogue_are_those_of_the_rows(classification_run):
    build_report(classification_run)
    _, about, sets = beside(classification_run)
    rows = {
        (row["attack"], row["source"], row["victim"], row["index"]): row
        for row in read_rows(classification_run / "rows.parquet").to_pylist()
    }
    assert [(one["attack"], one["source"]) for one in sets] == [
        (attack, VICTIMS[0]) for attack in ("ssta", "pgd")
    ]
    for one in sets:
        for place, image in enumerate(one["images"]):
            index = about["images"]["index"][image]
            for victim, verdict in one["verdicts"].items():
                row = rows[one["attack"], one["source"], victim, index]
                letter = "f" if row["fooled"] else "k" if row["clean_correct"] else "w"
                assert verdict["state"][place] == letter
                assert verdict["prediction"][place] == row["prediction"]
                assert verdict["share"][place] == row["confidence"]
                assert about["images"]["classes"][image] == [row["target"]]
                assert about["images"]["name"][image] == row["name"]
            ssim = rows[one["attack"], one["source"], VICTIMS[0], index]["ssim"]
            assert one["columns"]["ssim"][place] == pytest.approx(ssim, rel=1e-3)


def test_infinite_numbers_are_words_and_missing_ones_null(classification_run):
    build_report(classification_run)
    _, _, [_, pgd] = beside(classification_run)
    assert pgd["columns"]["psnr"][0] == "Infinity"
    assert set(pgd["columns"]["flow_max"]) == {None}


def test_a_segmenter_s_share_is_that_of_its_right_pixels(segmentation_run):
    build_report(segmentation_run)
    _, _, [first, *_] = beside(segmentation_run)
    rows = [
        row
        for row in read_rows(segmentation_run / "rows.parquet").to_pylist()
        if (row["attack"], row["source"]) == (first["attack"], first["source"])
    ]
    for victim, verdict in first["verdicts"].items():
        pixels_fooled = {r["index"]: r["fooled_pixels"] for r in rows if r["victim"] == victim}
        shares = [pixels_fooled[k] / 2500 for k in range(3)]
        assert verdict["share"] == pytest.approx(shares, rel=1e-3)


def test_every_picture_that_the_catalogue_names_is_there(run):
    build_report(run)
    _, about, sets = beside(run)
    for one in sets:
        for image in one["images"]:
            for address in one["pictures"].values():
                index = f"{about['images']['index'][image]:08d}"
                # The names of these runs hold nothing that an address must escape but <>.
                path = address.format(index=index).replace("%3C", "<").replace("%3E", ">")
                assert (run / "gallery" / path).is_file()


def test_the_page_holds_the_clean_image_once_and_bit_for_bit(classification_run):
    held = within(classification_run)
    assert len(held["sets"]) == 2
    clean = [name for name in held["pictures"] if name.endswith("clean.png")]
    assert clean == [f"originals/{k:08d}/clean.png" for k in range(3)]
    for k, name in enumerate(clean):
        expected = photo(np.random.default_rng(k))
        np.testing.assert_array_equal(pixels(held["pictures"][name]), expected)
    assert held["stamp"] == beside(classification_run)[0]
    assert not held["reduced"]


def test_a_page_that_would_be_too_large_holds_the_first_images(classification_run, monkeypatch):
    monkeypatch.setattr(inside, "MOST_BYTES", 1)
    held = within(classification_run)
    assert held["available"] == 6
    assert [len(one["images"]) for one in held["sets"]] == [1]
    assert held["about"]["images"]["index"] == [0]


def test_large_pictures_are_reduced_inside_the_page_and_whole_beside_it(tmp_path, segmentation_run):
    run = shutil.copytree(segmentation_run, tmp_path / "run")
    rng = np.random.default_rng(0)
    shutil.rmtree(run / "gallery")
    keeper, large = GalleryKeeper(run), photo(rng, 400, 800)
    classes = np.repeat(np.repeat(np.array([[0, 3], [255, 1]], np.uint8), 200, 0), 400, 1)
    keeper.keep_clean(0, large, classes, {VICTIMS[0]: classes})
    keeper.keep("pgd", VICTIMS[0], 0, Attacked(large, prediction=classes % 252))
    held = within(run)
    assert held["reduced"]
    assert pixels(held["pictures"]["originals/00000000/clean.png"]).shape == (320, 640, 3)
    for name in (
        "originals/00000000/target.webp",
        f"pgd/{VICTIMS[0]}/00000000/prediction_adversarial.webp",
    ):
        layer = pixels(held["pictures"][name])[:160]  # above the void
        colours = {tuple(colour) for colour in layer.reshape(-1, 3).tolist()}
        assert colours == {tuple(colour) for colour in palette()[[0, 3]].tolist()}
    np.testing.assert_array_equal(samples(run)[0].read("clean"), large)


def test_a_gallery_of_an_older_run_is_drawn_and_shown(tmp_path, segmentation_run):
    run = shutil.copytree(segmentation_run, tmp_path / "run")
    shutil.rmtree(run / "gallery")
    folder = run / "gallery" / "pgd" / VICTIMS[0] / f"{1:08d}"
    write_sample(folder, np.random.default_rng(1), flow=True, classes=True)
    [one] = within(run)["sets"]
    assert one["pictures"]["clean"].endswith("{index}/clean.png")
    assert not one["pictures"]["clean"].startswith("originals")
    assert set(one["pictures"]) == {
        *("clean", "adversarial", "thumbnail", "flow", "mask"),
        *("target", "prediction_clean", "prediction_adversarial"),
    }
    assert (folder / "flow.svg").is_file()


def test_what_is_shared_is_kept_once_and_found_by_every_sample(tmp_path):
    for attack in ("pgd", "fgsm"):
        keep_sample(tmp_path, attack, "net.v1", 7, classes=True)
    assert len(list(tmp_path.rglob("clean.png"))) == 1
    assert len(list(tmp_path.rglob("target.png"))) == 1
    assert len(list(tmp_path.rglob("predictions/net.v1.png"))) == 1
    for sample in samples(tmp_path):
        kinds = [picture.kind for picture in sample.pictures()]
        assert kinds == [
            *("clean", "adversarial", "difference"),
            *("target", "prediction_clean", "prediction_adversarial"),
        ]
        assert sample.classes() == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["pgd 8/255", "a%2Fb", '<i>"&', "μ·", "100%"])
def test_any_name_of_an_attack_or_source_comes_back(tmp_path, name):
    keep_sample(tmp_path, name, name, 0, classes=True)
    [sample] = samples(tmp_path, [name])
    assert (sample.attack, sample.source, sample.index) == (name, name, 0)
    assert sample.path("prediction_clean") is not None


def test_scripts_of_an_earlier_page_are_removed(tmp_path, classification_run):
    run = shutil.copytree(classification_run, tmp_path / "run")
    stale = run / "gallery" / "catalogue-77.js"
    stale.write_text("")
    build_report(run)
    assert not stale.exists()


def test_names_cannot_leave_the_script_that_holds_them():
    names = ["</script><img src=x>", "<!--", "a & b", "\u2028", 'quote " \\']
    text = script_json(names)
    assert json.loads(text) == names
    assert not set("<>&\u2028") & set(text)


def test_a_thumbnail_is_small_and_keeps_its_shape(tmp_path):
    keeper = GalleryKeeper(tmp_path)
    keeper.keep_clean(0, photo(np.random.default_rng(0), 200, 400))
    keeper.keep("a", "b", 0, Attacked(photo(np.random.default_rng(0), 200, 400)))
    with Image.open(next(tmp_path.rglob("thumbnail.webp"))) as image:
        assert image.size == (THUMBNAIL, THUMBNAIL // 2)


def test_class_layers_are_opaque_but_for_void():
    labels = np.array([[0, 255], [3, 1]], dtype=np.uint8)
    layer = np.asarray(class_layer(labels))
    np.testing.assert_array_equal(layer[..., 3], [[255, 0], [255, 255]])
    np.testing.assert_array_equal(layer[1, 0, :3], palette()[3])


def edges_of(svg):
    """Return the unit edges of an outline: (horizontal?, x, y)."""
    found = []
    path = ElementTree.fromstring(svg).find(f".//{SVG}path").get("d")
    for x, y, way, length in re.findall(r"M(\d+),(\d+)([hv])(\d+)", path):
        for k in range(int(length)):
            across = way == "h"
            found.append((across, int(x) + k * across, int(y) + k * (not across)))
    assert len(found) == len(set(found))
    return set(found)


def test_an_outline_is_every_edge_between_inside_and_outside():
    mask = (np.random.default_rng(0).random((7, 9)) < 0.5) * np.uint8(255)
    expected = set()
    for y in range(8):
        for x in range(10):
            inside_at = lambda v, u: 0 <= v < 7 and 0 <= u < 9 and mask[v, u] >= 128  # noqa: E731
            if x < 9 and inside_at(y - 1, x) != inside_at(y, x):
                expected.add((True, x, y))
            if y < 7 and inside_at(y, x - 1) != inside_at(y, x):
                expected.add((False, x, y))
    assert edges_of(outline(mask)) == expected


def test_no_mask_has_no_outline():
    assert edges_of(outline(np.zeros((4, 5), dtype=np.uint8))) == set()


def test_each_cell_s_longest_displacement_is_an_arrow_of_that_direction():
    flow = np.zeros((2, 24, 48))
    flow[:, 5, 7] = 1.5, 2.0  # the longest: 2.5 px, a cell and a half of two pixels
    flow[:, 4, 6] = -1.0, 0.0  # shorter in the same cell
    flow[:, 11, 30] = -1.25, 0.0
    svg = ElementTree.fromstring(arrows(flow.astype(np.float16)))
    path = svg.find(f"{SVG}path").get("d")
    lines = re.findall(r"M([\d.]+),([\d.]+)l(-?[\d.]+),(-?[\d.]+)", path)
    numbers = np.array(lines, dtype=float)
    starts = numbers[(numbers[:, :2] % 1 == 0.5).all(1)]  # barbs start at the tips
    np.testing.assert_allclose(starts[:, :2] - 0.5, [[7, 5], [30, 11]])
    np.testing.assert_allclose(starts[:, 2:], [[1.8, 2.4], [-1.5, 0]], atol=0.01)
    assert svg.find(f".//{SVG}text").text == "2.50 px"


def test_a_flow_of_nothing_has_no_arrow():
    svg = ElementTree.fromstring(arrows(np.zeros((2, 10, 12), dtype=np.float16)))
    assert svg.find(f"{SVG}path").get("d") == ""


def test_a_page_does_not_grow_with_what_lies_beside_it(many_run):
    """Two thousand images: pictures for a fifth of a megabyte are inside, and little else."""
    assert (many_run / "report.html").stat().st_size < 450_000
    _, about, [one] = beside(many_run)
    assert len(about["images"]["index"]) == len(one["images"]) == 2000
