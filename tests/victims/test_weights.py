"""Weight files load strictly, whatever wrapped them; errors name keys and remedies."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from project.core.errors import InputError
from project.victims import SmpVictim, TimmVictim, TorchvisionVictim, WeightsError, load_weights
from tests.models import eight_bit_images


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 2))


def save(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module.", "network.", "victim.network.", "model."])
def test_a_file_of_any_wrapper_loads_the_same_weights(tmp_path: Path, prefix: str, suffix: str):
    source, target = network(), network()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    load_weights(target, save(state, tmp_path / f"weights{suffix}"))
    assert same(source, target)


def test_a_lightning_checkpoint_loads_without_what_its_module_held_besides(tmp_path: Path):
    source, target = network(), network()
    state = {f"victim.network.{key}": value for key, value in source.state_dict().items()}
    state["class_weights"] = torch.ones(4)
    torch.save({"state_dict": state, "epoch": 3, "callbacks": {"x": 1.5}}, tmp_path / "best.ckpt")
    load_weights(target, tmp_path / "best.ckpt")
    assert same(source, target)


def test_half_precision_files_load_into_single_precision(tmp_path: Path):
    source, target = network(), network()
    half = {
        key: value.half() if value.is_floating_point() else value
        for key, value in source.state_dict().items()
    }
    load_weights(target, save(half, tmp_path / "half.safetensors"))
    assert {p.dtype for p in target.parameters()} == {torch.float32}
    assert torch.equal(target[0].weight, source[0].weight.half().float())


def test_a_missing_batch_counter_is_no_missing_weight(tmp_path: Path):
    state = {k: v for k, v in network().state_dict().items() if "num_batches" not in k}
    load_weights(network(), save(state, tmp_path / "weights.pth"))


def test_a_missing_unexpected_and_misshapen_key_are_all_in_one_error(tmp_path: Path):
    state = network().state_dict()
    del state["1.bias"]
    state["9.weight"] = torch.ones(1)
    state["2.weight"] = torch.ones(5, 2)
    expected = (
        r"of 9 keys 1 missing \(1\.bias\); 1 unexpected \(9\.weight\); "
        r"1 of another shape \(2\.weight \(5, 2\) instead of \(2, 2\)\)\. Check architecture"
    )
    with pytest.raises(WeightsError, match=expected):
        load_weights(network(), save(state, tmp_path / "weights.pth"))


def test_nothing_is_loaded_from_a_file_that_does_not_fit(tmp_path: Path):
    state, target = network().state_dict(), network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    del state["1.bias"]
    with pytest.raises(WeightsError):
        load_weights(target, save(state, tmp_path / "weights.pth"))
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"gone\.ckpt' must be a file, found nothing there"):
        load_weights(network(), tmp_path / "gone.ckpt")
    with pytest.raises(WeightsError, match="found a folder"):
        load_weights(network(), tmp_path)


def test_an_environment_variable_in_the_path_is_expanded_or_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, target = network(), network()
    save(source.state_dict(), tmp_path / "weights.pth")
    monkeypatch.setenv("MIRAGE_WEIGHTS", str(tmp_path))
    load_weights(target, "${MIRAGE_WEIGHTS}/weights.pth")
    assert same(source, target)
    monkeypatch.delenv("MIRAGE_WEIGHTS")
    with pytest.raises(WeightsError, match="environment variable that is not set"):
        load_weights(target, "${MIRAGE_WEIGHTS}/weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights.ckpt"])
@pytest.mark.parametrize(
    "content",
    # The last two are pickles: of text that is none, and of a tuple of more than there is.
    [b"", b"not weights at all", b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", b"\x80\x02\x87."],
)
def test_a_damaged_file_is_called_unreadable(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name}' is not a readable weight file"):
        load_weights(network(), tmp_path / name)


def test_a_truncated_file_is_called_unreadable(tmp_path: Path):
    for path in (tmp_path / "weights.pth", tmp_path / "weights.safetensors"):
        save(network().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(WeightsError, match="is not a readable weight file"):
            load_weights(network(), path)


def test_a_file_without_a_state_dict_is_refused(tmp_path: Path):
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="must hold a state_dict, got a list"):
        load_weights(network(), tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(WeightsError, match="holds no tensor at all"):
        load_weights(network(), tmp_path / "empty.pth")


def test_code_in_a_weight_file_is_not_run(tmp_path: Path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(WeightsError, match="is not a readable weight file"):
        load_weights(network(), tmp_path / "module.pth")


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "tu-resnet10t"])
def test_an_encoder_starts_from_a_classifiers_file_without_its_head(tmp_path: Path, encoder: str):
    if encoder.startswith("tu-"):
        classifier = TimmVictim("resnet10t", num_classes=7)
    else:
        classifier = TorchvisionVictim("mobilenet_v2", num_classes=7)
    path = save(classifier.network.state_dict(), tmp_path / "classifier.pth")
    segmenter = SmpVictim("FPN", encoder, 3, encoder_checkpoint=path)
    loaded = {
        key.removeprefix("model."): v for key, v in segmenter.network.encoder.state_dict().items()
    }
    weights = classifier.network.state_dict()
    assert loaded
    assert all(torch.equal(value, weights[key]) for key, value in loaded.items())


def test_an_encoder_starts_from_another_segmenters_file(tmp_path: Path):
    first = SmpVictim("FPN", "tu-resnet10t", 3)
    path = save({"state_dict": first.state_dict()}, tmp_path / "segmenter.ckpt")
    second = SmpVictim("Unet", "tu-resnet10t", 5, encoder_checkpoint=path)
    assert same(first.network.encoder, second.network.encoder)


def test_an_encoder_refuses_the_file_of_another_network(tmp_path: Path):
    path = save(network().state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"do not fit the network: of \d+ keys \d+ missing"):
        SmpVictim("FPN", "tu-resnet10t", 3, encoder_checkpoint=path)


def test_a_victim_loads_its_own_weights_to_identical_logits(tmp_path: Path):
    first = TimmVictim("resnet10t", num_classes=3).eval()
    path = save(first.state_dict(), tmp_path / "victim.safetensors")
    second = TimmVictim("resnet10t", num_classes=3, checkpoint=path).eval()
    images = eight_bit_images(2, 32, 32)
    assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize(
    ("kind", "name", "close"),
    [
        (TimmVictim, "resnet10x", "resnet10t"),
        (TorchvisionVictim, "squeezenet9", "squeezenet1_"),
        (SmpVictim, "resnet18x", "resnet18"),
        (SmpVictim, "tu-resnet10x", "tu-resnet10t"),
    ],
)
def test_a_misspelt_network_is_told_with_names_that_are_close(kind, name, close, download):
    if kind is TorchvisionVictim:
        arguments = {"architecture": name, "weights": "DEFAULT" if download else None}
    elif kind is SmpVictim:
        arguments = {"architecture": "Unet", "encoder": name, "num_classes": 2}
        arguments["pretrained"] = download
    else:
        arguments = {"architecture": name, "pretrained": download}
    with pytest.raises(InputError, match=f"that its library knows, got '{name}'.*{close}") as error:
        kind(**arguments)
    assert "internet" not in str(error.value)


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object, **__: object) -> nn.Module:
        raise OSError("Name or service not known")

    monkeypatch.setattr("timm.create_model", unreachable)
    with pytest.raises(WeightsError, match=r"'resnet10t' could not be fetched .* local file"):
        TimmVictim("resnet10t", pretrained=True)
