"""One sample's story: made again to the bit, and told as it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml

from project.attacks import Attack
from project.cli import attack_main
from project.core.errors import InputError
from project.data.samplers import DealtBatchSampler
from project.evaluation import Pass
from project.explain import Again, Difference, FinishedRun
from project.explain.__main__ import main
from project.explain.story import sparkline
from project.explain.views import view
from project.storage.checksums import forget
from project.storage.rows import read_rows
from project.storage.store import Store, StoredSample
from project.victims import SegmentationVictim
from tests.experiment.scene import pass_folder

# Lightning's own use of jsonargparse
pytestmark = pytest.mark.filterwarnings(
    "ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"
)

IMAGES, BATCH = 6, 4
NETWORK = {"channels": [8, 8, 8, 8], "stem_width": 8}


def victim(folder: Path, seed: int) -> dict:
    """Write random weights, and return the config of their victim."""
    torch.manual_seed(seed)
    network = timm.create_model("resnet10t", num_classes=6, **NETWORK)
    checkpoint = folder / f"{seed}.pth"
    torch.save(network.state_dict(), checkpoint)
    arguments = {"architecture": "resnet10t", "num_classes": 6, "model_args": NETWORK}
    return {"class_path": "TimmVictim", "init_args": arguments | {"checkpoint": str(checkpoint)}}


def config(folder: Path) -> dict:
    """Return an experiment of two attacks on two victims; every second sample takes part."""
    data = {"size": 32, "num_test": 2 * IMAGES, "limit": IMAGES, "batch_size": BATCH}
    ball = {"eps": 8 / 255, "step_size": 2 / 255, "steps": 2}
    flow = {"saliency": "FrequencyTuned", "profile": "paper"}
    return {
        "seed_everything": 0,
        "data": {"class_path": "ShapesData", "init_args": {"task": "classification"} | data},
        "model": {"victims": {"a": victim(folder, 1), "b": victim(folder, 2)}, "metrics": ["ssim"]},
        "attack": {
            "attacks": {
                "pgd": {"class_path": "PGD", "init_args": ball},
                "ssta": {"class_path": "SSTA", "init_args": flow},
            },
            "store": str(folder / "store"),
            "threads": 1,
        },
        "run": {"folder": str(folder / "run"), "gallery": 1},
        "trainer": {"accelerator": "cpu", "logger": False, "enable_progress_bar": False},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder with a finished run and its store."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "attack.yaml").write_text(yaml.safe_dump(config(folder)))
    attack_main(["--config", str(folder / "attack.yaml")])
    return folder


@pytest.fixture
def own(finished, tmp_path) -> Path:
    """Return a copy of the run whose store may be spoilt."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    path = folder / "run" / "config.yaml"
    path.write_text(path.read_text().replace(str(finished / "store"), str(folder / "store")))
    forget(folder / "run", "config.yaml")  # as whoever edits it is told to
    return folder


@pytest.fixture
def attacked(monkeypatch) -> list[list[int]]:
    """Return a list that grows by the sample ids of each batch that is attacked."""
    batches: list[list[int]] = []
    run = Attack.run

    def counted(self, victim, images, target, index, *more):
        batches.append(index.tolist())
        return run(self, victim, images, target, index, *more)

    monkeypatch.setattr(Attack, "run", counted)
    return batches


def test_code_of_somebody_else_is_imported_after_a_word_of_consent_only(
    own, tmp_path, monkeypatch, capsys
):
    (tmp_path / "theirs.py").write_text(
        "from pathlib import Path\nfrom project.attacks import PGD\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\nclass Theirs(PGD):\n    name = 'PGD'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = own / "run" / "config.yaml"
    path.write_text(path.read_text().replace("project.attacks.PGD", "theirs.Theirs"))
    with pytest.raises(InputError, match=r"outside of Mirage.*: theirs\.Theirs\. .* add --trust"):
        main([str(own / "run"), "2"])
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="is of another attack"):  # so it was imported
        main([str(own / "run"), "2", "--trust"])
    assert (tmp_path / "ran").exists()


def test_command_in_a_config_is_not_run_even_with_consent(own, tmp_path, capsys):
    path = own / "run" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    touch = {"class_path": "os.system", "init_args": {"command": f"touch {tmp_path / 'ran'}"}}
    config["attack"]["attacks"]["ssta"]["init_args"]["saliency"] = touch
    path.write_text(yaml.safe_dump(config))
    for consent in ([], ["--trust"]):
        with pytest.raises((InputError, SystemExit)):
            main([str(own / "run"), "2", "--attack", "ssta", *consent])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "place",
    [
        "data as YAML in a text",
        "data as a file",
        "victim as a text",
        "victim as a file",
        "attack as a file",
        "attack as a name",
        "section as YAML in a text",
        "section as a file",
        "plugin as a text",
        "plugins as YAML in a text",
        "module inside the folder",
        "module inside the folder, in a text",
        "where anything may stand",
        "through one of Mirage's modules",
    ],
)
def test_no_way_to_name_code_in_a_run_folder_runs_it(own, tmp_path, monkeypatch, capsys, place):
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Evil: ...\n"
    (tmp_path / "evil_of_explain.py").write_text(code)
    (own / "run/theirs").mkdir()
    (own / "run/theirs/evil.py").write_text(code)
    for folder in (tmp_path, own):
        monkeypatch.syspath_prepend(folder)
    path = own / "run" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    name = "evil_of_explain.Evil"
    inline = f"{{class_path: {name}, init_args: {{task: classification}}}}"
    file = str(tmp_path / "hidden.yaml")
    Path(file).write_text(inline)
    if place.startswith("data"):
        config["data"] = file if place.endswith("file") else inline
    elif place.startswith("victim"):
        config["model"]["victims"]["a"] = file if place.endswith("file") else name
    elif place.startswith("attack"):
        config["attack"]["attacks"]["pgd"] = file if place.endswith("file") else name
    elif place.startswith("section"):
        content = yaml.safe_dump({"folder": str(own / "run"), "title": inline})
        Path(file).write_text(content)
        config["run"] = file if place.endswith("file") else content
    elif place.startswith("plugin"):
        config["trainer"]["plugins"] = f"[{inline}]" if place.endswith("YAML in a text") else name
    elif place == "module inside the folder":
        config["data"] = {"class_path": "run.theirs.evil.Evil"}
    elif place == "module inside the folder, in a text":
        config["data"] = "{class_path: run.theirs.evil.Evil}"
    elif place == "where anything may stand":
        config["attack"]["attacks"]["ssta"]["init_args"]["saliency"] = inline
    else:
        named = {"class_path": "project.cli.trust.nn.Module"}
        config["attack"]["attacks"]["ssta"]["init_args"]["saliency"] = named
    path.write_text(yaml.safe_dump(config))
    attack = ["--attack", "ssta"] if place.startswith(("where", "through")) else []
    with pytest.raises(InputError, match=r"names code outside of Mirage, .* add --trust"):
        main([str(own / "run"), "2", *attack])
    assert not (tmp_path / "ran").exists()
    assert capsys.readouterr().err == ""


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def store_of(folder: Path, attack: str, source: str) -> Path:
    return folder / "store" / pass_folder(folder / "run", attack, source)


@pytest.mark.parametrize(("attack", "source"), [("pgd", "a"), ("pgd", "b"), ("ssta", "b")])
@pytest.mark.parametrize("index", [2, 10])
def test_the_runs_batch_gives_the_stored_image_bit_for_bit(
    finished, attack, source, index, attacked, capsys
):
    before = contents(finished)
    given = [str(finished / "run"), str(index), "--attack", attack, "--source", source, "--batch"]
    assert main(given) == 0
    together = [0, 2, 4, 6] if index == 2 else [8, 10]
    assert attacked == [together]
    told = capsys.readouterr().out
    batch = f"Made again with its batch of {len(together)}, the store's, bit for bit"
    assert batch in told
    assert contents(finished) == before


def test_alone_only_the_sample_is_attacked(finished, attacked, capsys):
    assert main([str(finished / "run"), "2"]) == 0
    assert attacked == [[2]]
    assert "Made again alone, " in capsys.readouterr().out


def test_the_story_is_that_of_the_rows(finished, capsys):
    main([str(finished / "run"), "6", "--attack", "ssta", "--source", "b"])
    told = capsys.readouterr().out
    rows = read_rows(finished / "run" / "rows.parquet").to_pylist()
    wanted = {"attack": "ssta", "source": "b", "index": 6}
    ours = {row["victim"]: row for row in rows if row.items() >= wanted.items()}
    assert "sample 6 (test_00006" in told
    assert "ssta on b" in told
    assert f"{ours['b']['ssim']:.4f}" in told
    assert f"steps {ours['b']['steps']:>9}".split() in [line.split() for line in told.splitlines()]
    for name, row in ours.items():
        (verdict,) = [line for line in told.splitlines() if line.startswith(f"    {name} ")]
        assert f"{100 * row['confidence']:.1f} % for the truth" in verdict
        fate = "falls" if row["fooled"] else "stands" if row["clean_correct"] else "was wrong"
        assert fate in verdict
    assert told.index("    b (source)") < told.index("    a ")


def test_an_image_that_is_not_the_stored_one_is_told_by_how_much(own, capsys):
    store = Store.reopened(store_of(own, "pgd", "a"))
    (sample,) = store.load([2])
    pixels = sample.image.copy()
    pixels[5, 7, 1] ^= 2
    store.save([2], [replace(sample, image=pixels, facts=sample.facts | {"steps": 3})])
    assert main([str(own / "run"), "2", "--batch"]) == 1
    told = capsys.readouterr().out
    assert "1 of 1,024 pixels are other than the store's, by at most 2 of 255 grey levels" in told
    assert "not the same either: steps" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["9"],
            r"INDEX must be one of the run's 6 samples, got 9. Their ids are 0, 2, 4, 6, 8 … 10",
        ),
        (["2", "--attack", "apgd"], "attack 'apgd' is not among the run's: pgd, ssta"),
        (["2", "--source", "c"], "source 'c' is not among the run's: a, b"),
        (["10", "--data.num_test=3"], "has no sample 10 now: it serves 3"),
        (["2", "--data.size=48"], "of sample 2: PGD-TimmVictim-[0-9a-f]+ is of another data"),
    ],
)
def test_what_is_not_there_is_named(finished, arguments, message):
    with pytest.raises(InputError, match=message):
        main([str(finished / "run"), *arguments])


def test_a_run_without_a_config_is_refused(own):
    (own / "run" / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"needs config\.yaml .*, but .*run has none"):
        main([str(own / "run"), "2"])


@pytest.mark.parametrize(
    ("part", "content", "named"),
    [
        ("attack", None, "attack.attacks"),
        ("attack", "pgd", "attack.attacks"),
        ("attack", {"attacks": ["pgd"]}, "attack.attacks"),
        ("attack", {"attacks": {}}, "attack.attacks"),
        ("attack", {"attacks": {"pgd": "PGD"}, "sources": 3}, "attack.sources"),
        ("attack", {"attacks": {"pgd": "PGD"}, "sources": ["nobody"]}, "attack.sources"),
        ("model", [1], "model.victims"),
        ("model", {"victims": "one"}, "model.victims"),
        ("trainer", None, "trainer"),
    ],
)
def test_a_config_of_another_shape_is_refused_in_a_line(own, part, content, named):
    path = own / "run" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {part: content}))
    with pytest.raises(InputError, match=named):
        FinishedRun.read(own / "run")


def test_a_store_that_has_moved_is_compared_with_and_not_taken_from(own, tmp_path, capsys):
    (own / "store").rename(tmp_path / "moved")
    moved = ["--attack.store", str(tmp_path / "moved")]
    store = Store.reopened(tmp_path / "moved" / pass_folder(own / "run", "pgd", "a"))
    (sample,) = store.load([2])
    before = contents(tmp_path / "moved")
    assert main([str(own / "run"), "2", "--batch", *moved]) == 0
    assert contents(tmp_path / "moved") == before
    pixels = sample.image.copy()
    pixels[5, 7, 1] ^= 2
    store.save([2], [replace(sample, image=pixels)])
    assert main([str(own / "run"), "2", "--batch", *moved]) == 1
    assert "1 of 1,024 pixels are other" in capsys.readouterr().out
    with pytest.raises(InputError, match=f"{tmp_path}/gone.* was emptied or moved"):
        main([str(own / "run"), "2", "--attack.store", str(tmp_path / "gone")])


def test_an_emptied_store_is_noticed_before_anything_is_attacked(own, attacked):
    shutil.rmtree(own / "store")
    with pytest.raises(InputError, match="of sample 2: it was emptied or moved"):
        main([str(own / "run"), "2"])
    assert attacked == []


def test_other_weights_are_named(own):
    path = own / "run" / "config.yaml"
    weights = str(own.parent / "other.pth")
    torch.manual_seed(3)
    torch.save(timm.create_model("resnet10t", num_classes=6, **NETWORK).state_dict(), weights)
    changed = yaml.safe_load(path.read_text())
    changed["model"]["victims"]["a"]["init_args"]["checkpoint"] = weights
    path.write_text(yaml.safe_dump(changed))
    with pytest.raises(InputError, match="is of another source"):
        main([str(own / "run"), "2"])


def test_a_batch_is_what_the_sampler_dealt(finished):
    run = FinishedRun.read(finished / "run")
    for batch in DealtBatchSampler(IMAGES, BATCH):
        dealt = [run.indices[place] for place in batch]
        assert all(run.batch(index, BATCH) == dealt for index in dealt)


def test_the_first_pass_of_a_run_is_the_default(finished):
    run = FinishedRun.read(finished / "run")
    assert run.chosen(None, None) == Pass("pgd", "a")
    assert run.chosen("ssta", None) == Pass("ssta", "a")


class PixelVictim(SegmentationVictim):
    """Random weights that look at a pixel and its neighbours."""

    def __init__(self, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        network = torch.nn.Conv2d(3, 7, 3, padding=1)
        for value in network.parameters():
            value.data = torch.randn(value.shape, generator=draw)
        super().__init__(network, 7)
        self.seed = seed


def test_a_segmenters_story_is_that_of_the_rows(tmp_path, capsys):
    whole = config(tmp_path)
    victim = {"class_path": f"{__name__}.PixelVictim", "init_args": {"seed": 1}}
    whole["model"]["victims"] = {"pixels": victim}
    whole["data"]["init_args"]["task"] = "segmentation"
    del whole["attack"]["attacks"]["ssta"]
    (tmp_path / "attack.yaml").write_text(yaml.safe_dump(whole))
    attack_main(["--config", str(tmp_path / "attack.yaml")])
    capsys.readouterr()
    assert main([str(tmp_path / "run"), "10", "--batch", "--trust"]) == 0
    told = capsys.readouterr().out
    row = read_rows(tmp_path / "run" / "rows.parquet").to_pylist()[5]
    shares = [
        row[name] / row["valid_pixels"] for name in ("clean_correct_pixels", "correct_pixels")
    ]
    before, after = (f"{100 * share:.1f} %" for share in shares)
    assert f"pixels (source): {before} of pixels right, then {after}; " in told
    (line,) = [line for line in told.splitlines() if line.startswith("    all pixels")]
    assert line.split() == f"all pixels {before} {after} of {row['valid_pixels']:,}".split()


def sample(**more) -> StoredSample:
    arguments = {"image": np.zeros((2, 3, 3), np.uint8), "facts": {"steps": 1, "loss": np.nan}}
    return StoredSample(**arguments | more)


def test_equal_samples_do_not_differ_and_nan_is_nan():
    flow = np.ones((2, 2, 3), np.float16)
    assert Difference.between(sample(flow=flow), sample(flow=flow.copy())).none


@pytest.mark.parametrize(
    ("more", "others"),
    [
        ({"facts": {"steps": 2, "loss": np.nan}}, ["steps"]),
        ({"facts": {"steps": 1}}, ["loss"]),
        ({"flow": np.zeros((2, 2, 3), np.float16)}, ["flow"]),
        ({"mask": np.zeros((2, 3), np.uint8)}, ["mask"]),
        ({"traces": {"objective": np.ones(2, np.float32)}}, ["trace of objective"]),
    ],
)
def test_whatever_differs_beside_the_image_is_named(more, others):
    found = Difference.between(sample(**more), sample())
    assert (found.pixels, found.others) == (0, others)


def test_levels_do_not_wrap_round():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0, 0], image[0, 0, 1], image[1, 2, 2] = 255, 254, 253
    assert Difference.between(sample(), sample(image=image)) == Difference(2, 6, 255, [])


def again(target, clean, adversarial, names) -> Again:
    return Again(sample(), sample(), target, clean, adversarial, names, together=1, of=1)


def test_a_classifiers_view_is_its_softmax_and_marks_the_truth():
    clean = torch.tensor([0.0, 2.0, 1.0]).log()
    clean[0] = -1e4  # infinite ones are no prediction
    told = view(again(torch.tensor(1), clean, clean.flip(0), ["cat", "dog", "emu"]))
    assert told[1].split() == ["1", "*", "dog", "66.7", "%", "*", "dog", "66.7", "%"]
    assert told[2].split() == ["2", "emu", "33.3", "%", "cat", "33.3", "%"]
    assert len(told) == 4


def test_a_segmenters_view_counts_no_void_and_begins_with_what_lost_most():
    target = torch.tensor([[0, 0, 0, 0], [1, 1, 255, 255]])
    clean, adversarial = (
        torch.nn.functional.one_hot(torch.tensor(seen), 2).permute(2, 0, 1)
        for seen in ([[0, 0, 0, 1], [1, 1, 1, 1]], [[0, 0, 0, 1], [0, 1, 0, 1]])
    )
    told = view(again(target, clean, adversarial, ["road", "sky"]))
    shares = [line.replace(" %", "").split() for line in told[1:]]
    assert shares == [
        ["all", "pixels", "83.3", "66.7", "of", "6"],
        ["sky", "100.0", "50.0", "of", "2"],
        ["road", "75.0", "75.0", "of", "4"],
    ]


def test_a_sparkline_goes_from_the_least_to_the_largest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3]) == "▁▁"
    assert sparkline([1, float("nan"), 2]) == "▁ █"
    assert sparkline(range(100), width=4) == "▁▃▆█"
    assert sparkline([]) == ""
