"""One image enlarged, and the whole page, in a real browser."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from project.report import build_report
from project.report.gallery import Attacked, GalleryKeeper, samples
from tests.report.conftest import VICTIMS
from tests.report.scripts import POOR_CONTRASTS, SHOWN, TO_THE_CORNER

pytestmark = pytest.mark.browser


def shown(opened):
    """Return the pixels of the difference, (H, W, 4)."""
    height, width, values = opened.page.evaluate(SHOWN)
    return np.array(values).reshape(height, width, 4)


def test_the_slider_moves_by_key_and_by_pointer(visit, pictured_run):
    opened = visit(pictured_run)
    opened.enlarge()
    clip = "getComputedStyle(document.querySelector('.photo.over')).clipPath"
    assert "50%" in opened.page.evaluate(clip)
    assert opened.page.evaluate("document.activeElement.type") == "range"
    opened.page.keyboard.press("ArrowRight")
    assert "50.5%" in opened.page.evaluate(clip)
    opened.page.keyboard.press("Home")
    assert opened.page.locator(".stage input").input_value() == "0"
    box = opened.page.locator(".stage").bounding_box()
    opened.page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    place = float(opened.page.locator(".stage input").input_value())
    assert place == pytest.approx(25, abs=2)


def test_the_difference_is_exact_on_eight_bits_for_every_factor(visit, tmp_path, pictured_run):
    """Inside the page: the pixels of pictures in the folder may be drawn but not read."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("rows.parquet", "metrics.csv", "run.json"):
        shutil.copy(pictured_run / name, run)
    rng, keeper = np.random.default_rng(0), GalleryKeeper(run)
    clean, noise = (rng.integers(0, 256, (40, 56, 3), dtype=np.uint8) for _ in range(2))
    clean[0, :2], noise[0, :2] = [[0] * 3, [255] * 3], [[255] * 3, [0] * 3]
    near = (clean[20:].astype(int) + rng.integers(-5, 6, clean[20:].shape)).clip(0, 255)
    adversarial = np.concatenate([noise[:20], near]).astype(np.uint8)
    keeper.keep_clean(0, clean)
    keeper.keep("pgd", VICTIMS[0], 0, Attacked(adversarial))
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(build_report(run), alone)
    opened = visit(alone)
    opened.enlarge()
    for power in range(7):
        opened.page.locator("[name=power]").fill(str(power))
        expected = (128 + 2**power * (adversarial.astype(int) - clean)).clip(0, 255)
        np.testing.assert_array_equal(shown(opened)[..., :3], expected)
        assert (shown(opened)[..., 3] == 255).all()
        assert opened.page.locator(".tools output").text_content() == f"×{2**power}"
    assert opened.page.locator("canvas").is_visible()


def test_the_difference_is_drawn_of_pictures_in_the_folder_too(visit, pictured_run):
    opened = visit(pictured_run)
    opened.enlarge()
    opened.page.keyboard.press("d")
    opened.page.locator("[name=power]").fill("6")
    sample = next(one for one in samples(pictured_run) if one.attack == "ssta")
    moved = sample.read("adversarial").astype(int) - sample.read("clean")
    opened.page.evaluate(TO_THE_CORNER, moved.shape[1])
    path = pictured_run / "stage.png"
    opened.page.screenshot(path=path, clip={"x": 0, "y": 0, "width": 64, "height": 48})
    with Image.open(path) as picture:
        seen = np.asarray(picture.convert("RGB"))
    path.unlink()
    inner = np.s_[4:-4, 4:-4]
    np.testing.assert_array_equal(seen[inner], (128 + 64 * moved).clip(0, 255)[inner])


def test_keys_go_from_image_to_image_and_back_to_the_card(visit, pictured_run):
    opened = visit(pictured_run)
    opened.choose(text="photo_00")
    opened.page.locator(".card-button").nth(2).focus()
    opened.page.keyboard.press("Enter")
    title = opened.page.locator("#viewer-title")
    told = []
    for key in ("n", "n", "p", "p", "p", "p"):
        opened.page.keyboard.press(key)
        told.append(title.text_content()[-1])
    assert told == ["3", "4", "3", "2", "1", "0"]
    opened.page.keyboard.press("p")
    assert title.text_content() == "photo_009"
    opened.page.keyboard.press("Escape")
    assert not opened.page.locator("dialog").is_visible()
    assert opened.page.evaluate("document.activeElement.textContent") == "photo_002"
    assert "image=" not in opened.page.evaluate("location.hash")


def test_keys_work_in_every_view(visit, pictured_run):
    opened = visit(pictured_run)
    opened.enlarge()
    title, line = opened.page.locator("#viewer-title"), opened.page.locator(".stage input")
    for turn, view in enumerate(("difference", "both", "difference"), start=1):
        opened.page.keyboard.press("d")
        assert opened.page.locator(".stage").get_attribute("data-view") == view
        opened.page.keyboard.press("n")
        assert title.text_content() == "photo_001"
        opened.page.keyboard.press("p")
        assert title.text_content() == "photo_000"
        opened.page.keyboard.press("ArrowRight")
        assert line.input_value() == str(50 + turn / 2).removesuffix(".0")
        assert opened.page.evaluate("document.activeElement.type") == "range"
    opened.page.locator(".stage").click(position={"x": 20, "y": 20})
    assert line.input_value() == "51.5"


def test_keys_work_wherever_the_focus_is_and_inputs_keep_their_own(visit, pictured_run):
    opened = visit(pictured_run)
    opened.enlarge()
    line, power = opened.page.locator(".stage input"), opened.page.locator("[name=power]")
    opened.page.evaluate("document.activeElement.blur()")
    opened.page.keyboard.press("n")
    assert opened.page.locator("#viewer-title").text_content() == "photo_001"
    opened.page.keyboard.press("ArrowLeft")
    assert line.input_value() == "49.5"
    assert "--split: 49.5%" in opened.page.locator(".stage").get_attribute("style")
    power.focus()
    opened.page.keyboard.press("ArrowRight")
    assert (power.input_value(), line.input_value()) == ("5", "49.5")
    opened.page.keyboard.press("Escape")
    opened.page.locator(".filters [name=text]").focus()
    opened.page.keyboard.press("n")
    assert not opened.page.locator("dialog").is_visible()


def test_another_attack_shows_the_same_image(visit, pictured_run):
    opened = visit(pictured_run)
    opened.choose(text="photo_005")
    opened.enlarge()
    before = opened.page.locator(".photo.over").get_attribute("src")
    assert opened.page.locator("[data-layer=flow]").is_visible()
    opened.page.locator("[name=set]").select_option(label=f"pgd on {VICTIMS[0]}")
    opened.page.locator(".about", has_text="pgd on").wait_for()
    assert opened.page.locator("#viewer-title").text_content() == "photo_005"
    assert opened.page.locator(".photo.over").get_attribute("src") != before
    assert not opened.page.locator("[data-layer=flow]").is_visible()


def test_layers_lie_above_the_image_as_opaque_as_asked(visit, pictured_run, pictured_streets):
    opened = visit(pictured_streets)
    opened.enlarge()
    for layer in ("target", "prediction_clean", "prediction_adversarial"):
        picture = opened.page.locator(f".layer.{layer}")
        assert not picture.is_visible()
        opened.page.locator(f".tools [name={layer}]").check()
        assert picture.is_visible()
        assert picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 64
    opened.page.locator("[name=opacity]").fill("30")
    assert float(picture.evaluate("(one) => getComputedStyle(one).opacity")) == 0.3
    assert "road & path" in opened.page.locator(".tools .classes").text_content()
    other = visit(pictured_run)
    other.enlarge()
    for layer in ("flow", "mask"):
        other.page.locator(f".tools [name={layer}]").check()
        assert other.page.locator(f".layer.{layer}").evaluate("(one) => one.decode()") is None


def test_every_victim_gives_its_verdict(visit, pictured_run):
    opened = visit(pictured_run)
    opened.enlarge()
    told = opened.page.locator("dialog .verdicts li").all_text_contents()
    assert [text.split(" ")[0] for text in told] == list(VICTIMS)
    assert "◆" in told[0]
    assert all("for the truth" in text for text in told)


def test_odd_names_are_shown_as_they_are(visit, odd_run):
    folder, odd = odd_run
    opened = visit(folder)
    assert opened.complaints == []
    assert opened.names() == [odd, odd]
    assert opened.page.locator(".filters [name=attack]").input_value() == odd
    opened.enlarge()
    for layer in ("flow", "mask"):
        opened.page.locator(f".tools [name={layer}]").check()
        assert opened.page.locator(f".layer.{layer}").evaluate("(one) => one.decode()") is None
    assert f"{odd} on {odd}" in opened.page.locator(".about").text_content()
    assert odd in opened.page.locator("dialog .verdicts").text_content()
    assert opened.page.locator("x-injected").count() == 0
    again = visit(folder, opened.page.evaluate("location.hash"))
    assert again.page.locator("#viewer-title").text_content() == odd


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_scrolling_sideways(visit, pictured_run, pictured_streets, width):
    for folder in (pictured_run, pictured_streets):
        opened = visit(folder, viewport={"width": width, "height": 800})
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
        opened.enlarge()
        viewer = opened.page.locator("dialog")
        assert viewer.evaluate("(one) => one.scrollWidth") == width
        assert opened.page.locator("[value=difference]").is_visible()


def test_on_a_phone_the_heat_map_is_as_large_as_drawn_and_scrolls_in_its_box(visit, pictured_run):
    opened = visit(pictured_run, viewport={"width": 390, "height": 800})
    box = opened.page.locator("#transfer .plot")
    picture = box.locator("img")
    natural = picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)")
    assert natural > 700
    assert picture.bounding_box()["width"] == pytest.approx(natural, abs=1)
    assert box.evaluate("(one) => { one.scrollLeft = 200; return one.scrollLeft; }") == 200
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_both_themes(visit, pictured_run, pictured_streets, scheme):
    for folder in (pictured_run, pictured_streets):
        opened = visit(folder, color_scheme=scheme)
        assert opened.page.evaluate(POOR_CONTRASTS) == []
        opened.enlarge()
        assert opened.page.evaluate(POOR_CONTRASTS) == []


def test_headings_go_down_one_by_one_and_the_first_stop_skips_to_the_content(visit, pictured_run):
    opened = visit(pictured_run)
    levels = opened.page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].filter((one) => !one.closest('dialog'))"
        ".map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "content"


def test_the_command_can_be_copied(visit, pictured_run):
    opened = visit(pictured_run)
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = opened.page.get_by_role("button", name="Copy the command")
    button.click()
    opened.page.get_by_role("button", name="Copied").wait_for()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == "python attack.py --config configs/classification.yaml"
