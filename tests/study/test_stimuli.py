import io
import shutil

import numpy as np
import pytest
from PIL import Image

from project.core.errors import InputError
from project.report.run import Run
from project.study.create import open_or_make
from project.study.distortions import examples, landscape, obvious
from project.study.raters import invited
from project.study.settings import Settings
from project.study.stimuli import settled, stimuli
from project.study.stimulus_kind import CLEAN, Panel
from tests.study.studies import ATTACKS, SOURCE, make_run


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run.read(make_run(tmp_path_factory.mktemp("run")))


def test_a_study_shows_the_runs_pictures_to_the_bit(run):
    found = {(one.image, one.shows): one for one in stimuli(run, settled(run, Settings()))}
    assert len(found) == 6 * (2 + len(ATTACKS))
    for sample in run.gallery:
        attacked = found[sample.index, Panel("attack", sample.attack)]
        assert (pixels(attacked.png) == sample.read("adversarial")).all()
        assert (pixels(found[sample.index, CLEAN].png) == sample.read("clean")).all()
        assert attacked.name == f"photo, {sample.index}"


def test_pictures_carry_no_text_that_tells_what_they_are(run):
    for one in stimuli(run, settled(run, Settings())):
        with Image.open(io.BytesIO(one.png)) as image:
            assert image.info == {}


def test_the_obvious_change_is_plain_on_any_image():
    for level in (0, 60, 128, 255):
        for size in ((24, 24), (224, 224), (360, 480)):
            image = np.full((*size, 3), level, np.uint8)
            change = np.abs(obvious(image).astype(int) - image)
            assert (change > 60).any(-1).mean() > 0.08


def test_the_examples_are_as_they_are_called():
    original, *others = examples().values()
    assert (pixels(original.png) == landscape()).all()
    for one in others:
        assert one.same == (one.png == original.png)


def test_without_being_told_a_study_takes_the_source_with_most_pictures_and_all_its_attacks(
    tmp_path,
):
    folder = make_run(tmp_path, sources=("vit", "resnet"))
    shutil.rmtree(folder / "gallery" / "pgd" / "vit" / "00000000")
    settings = settled(Run.read(folder), Settings())
    assert (settings.source, settings.attacks, settings.candidates) == ("resnet", ATTACKS, 3)


def test_only_images_that_every_attack_shows_are_used(tmp_path):
    folder = make_run(tmp_path)
    shutil.rmtree(folder / "gallery" / "pgd" / SOURCE / "00000002")
    run = Run.read(folder)
    found = {one.image for one in stimuli(run, settled(run, Settings()))}
    assert found == {0, 1, 3, 4, 5}


def test_images_are_drawn_by_the_seed(run):
    def drawn(seed):
        settings = settled(run, Settings(images=3, seed=seed))
        return {one.image for one in stimuli(run, settings)}

    assert drawn(0) == drawn(0)
    assert {len(drawn(seed)) for seed in range(4)} == {3}
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("given", [{"attacks": ("pgd", "fgsm")}, {"source": "fgsm"}])
def test_what_the_gallery_does_not_have_is_named(run, given):
    with pytest.raises(InputError, match="must be in the gallery, got fgsm"):
        settled(run, Settings(**given))


def test_a_run_without_pictures_cannot_be_studied(tmp_path):
    folder = make_run(tmp_path)
    shutil.rmtree(folder / "gallery")
    with pytest.raises(InputError, match=r"run\.gallery"):
        settled(Run.read(folder), Settings())


def test_a_study_is_made_once_and_keeps_its_settings_and_pictures(tmp_path):
    folder = make_run(tmp_path)
    made = open_or_make(folder, "study", {"design": "2afc", "seconds": 60})
    shutil.rmtree(folder / "gallery")  # as a new run would
    assert open_or_make(folder, "study", {"seconds": 60}).settings == made.settings
    with pytest.raises(InputError, match="seconds 60, got 30"):
        open_or_make(folder, "study", {"seconds": 30})


@pytest.mark.parametrize(
    "given",
    [
        {"candidates": 0, "source": "", "attacks": []},
        {"design": "paper", "candidates": 2, "checks": 0},
        {"design": "2afc", "candidates": 0},
        {"source": SOURCE, "attacks": ["ssta", "pgd"]},
    ],
)
def test_the_same_settings_open_the_study_that_they_made(tmp_path, given):
    folder = make_run(tmp_path)
    made = open_or_make(folder, "study", given)
    assert open_or_make(folder, "study", given).settings == made.settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"checks": 0}, "checks 4, got 0"),
        ({"candidates": 2}, "candidates 3, got 2"),
        ({"design": "2afc"}, "design 'paper', got '2afc'"),
        ({"attacks": ["pgd"]}, r"attacks \(.*\), got \('pgd',\)"),
    ],
)
def test_other_settings_than_the_studys_are_named(tmp_path, given, message):
    folder = make_run(tmp_path)
    open_or_make(folder, "study", {})
    with pytest.raises(InputError, match=message):
        open_or_make(folder, "study", given)


def test_an_attack_is_judged_once():
    with pytest.raises(InputError, match="judged once, got --attacks pgd ssta pgd"):
        Settings(attacks=("pgd", "ssta", "pgd"))


@pytest.mark.parametrize("content", [None, b"Ich erkl\xe4re"])
def test_a_consent_that_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / "consent"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"the path of a text in UTF-8, got .*consent: "):
        open_or_make(make_run(tmp_path), "study", {"consent": path})


def test_a_deleted_study_leaves_no_trace_in_the_next(tmp_path):
    folder = make_run(tmp_path)
    old = open_or_make(folder, "study", {})
    with old.writing() as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("UPDATE stimuli SET name = 'changed'")
        journal = (folder / "study.sqlite-journal").read_bytes()
    assert len(journal) > 512
    (folder / "study.sqlite").unlink()
    (folder / "study.sqlite-journal").write_bytes(journal)  # as a killed server leaves it
    assert invited(open_or_make(folder, "study", {})) == 0


def test_a_study_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    folder = make_run(tmp_path)
    (folder / "gallery" / "pgd" / SOURCE / "00000003" / "adversarial.png").write_bytes(b"none")
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="cannot identify"):
        open_or_make(folder, "study", {})
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["../other", "a/b", "", "a.b"])
def test_a_studys_name_cannot_leave_the_runs_folder(tmp_path, name):
    with pytest.raises(InputError, match="name has at most 64 letters"):
        open_or_make(make_run(tmp_path), name, {})
