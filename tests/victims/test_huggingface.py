"""Checkpoints of transformers answer as in the library's own pipeline, wherever they lie."""

import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import HuggingFaceClassifier, HuggingFaceSegmenter, check_victim
from project.victims.acceleration import Acceleration, accelerated
from project.victims.weights import WeightsError
from tests.models import eight_bit_images
from tests.victims.networks import settled

hf = pytest.importorskip("transformers", reason="checkpoints of transformers need the extra hf")

SIDE = 32
SQUARE = {"height": SIDE, "width": SIDE}
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": SIDE,
    "patch_size": 8,
}
SWIN = {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
NAMES = {0: "cat", 1: "dog", 2: "bird", 3: "fish"}
LABELS = {"id2label": NAMES, "label2id": {name: n for n, name in NAMES.items()}}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


def vit() -> tuple[nn.Module, Any]:
    config = hf.ViTConfig(**TINY, **LABELS)
    processor = hf.ViTImageProcessor(size=SQUARE, image_mean=MEAN, image_std=STD)
    return hf.ViTForImageClassification(config), processor


def deit() -> tuple[nn.Module, Any]:
    config = hf.DeiTConfig(**TINY, **LABELS)
    processor = hf.DeiTImageProcessor(size={"height": 40, "width": 40}, crop_size=SQUARE)
    return hf.DeiTForImageClassificationWithTeacher(config), processor


def swin() -> tuple[nn.Module, Any]:
    config = hf.SwinConfig(**SWIN, **LABELS)
    return hf.SwinForImageClassification(config), hf.ViTImageProcessor(size=SQUARE)


def beit() -> tuple[nn.Module, Any]:
    config = hf.BeitConfig(**TINY, **LABELS)
    processor = hf.BeitImageProcessor(size=SQUARE, do_center_crop=False)
    return hf.BeitForImageClassification(config), processor


def dinov2() -> tuple[nn.Module, Any]:
    sizes = {**TINY, "mlp_ratio": 1}
    sizes.pop("intermediate_size")
    processor = hf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE)
    return hf.Dinov2ForImageClassification(hf.Dinov2Config(**sizes, **LABELS)), processor


def convnext() -> tuple[nn.Module, Any]:
    config = hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **LABELS)
    processor = hf.ConvNextImageProcessor(size={"shortest_edge": SIDE})
    return hf.ConvNextForImageClassification(config), processor


def segformer() -> tuple[nn.Module, Any]:
    config = hf.SegformerConfig(
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **LABELS,
    )
    processor = hf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return hf.SegformerForSemanticSegmentation(config), processor


def upernet() -> tuple[nn.Module, Any]:
    backbone = hf.ConvNextConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = hf.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=16,
        auxiliary_channels=8,
        **LABELS,
    )
    processor = hf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return hf.UperNetForSemanticSegmentation(config), processor


def dpt() -> tuple[nn.Module, Any]:
    config = hf.DPTConfig(
        **{**TINY, "num_hidden_layers": 4},
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        **LABELS,
    )
    processor = hf.DPTImageProcessor(size=SQUARE, keep_aspect_ratio=False)
    return hf.DPTForSemanticSegmentation(config), processor


def beit_segmenter() -> tuple[nn.Module, Any]:
    config = hf.BeitConfig(
        **{**TINY, "num_hidden_layers": 4},
        out_indices=[1, 2, 3, 4],
        use_relative_position_bias=True,
        auxiliary_channels=8,
        **LABELS,
    )
    processor = hf.BeitImageProcessor(size=SQUARE, do_center_crop=False)
    return hf.BeitForSemanticSegmentation(config), processor


def backbone() -> Any:
    stages = ["stage1", "stage2", "stage3", "stage4"]
    return hf.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, out_features=stages
    )


def mask2former() -> tuple[nn.Module, Any]:
    config = hf.Mask2FormerConfig(
        backbone_config=backbone(),
        hidden_dim=32,
        feature_size=32,
        mask_feature_size=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        **LABELS,
    )
    processor = hf.Mask2FormerImageProcessor(size={"shortest_edge": 48, "longest_edge": 96})
    return hf.Mask2FormerForUniversalSegmentation(config), processor


def maskformer() -> tuple[nn.Module, Any]:
    decoder = hf.DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=6,
    )
    config = hf.MaskFormerConfig(
        backbone_config=backbone(),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **LABELS,
    )
    processor = hf.MaskFormerImageProcessor(size={"shortest_edge": 48, "longest_edge": 96})
    return hf.MaskFormerForInstanceSegmentation(config), processor


CLASSIFIERS = [vit, deit, swin, beit, dinov2, convnext]
SEGMENTERS = [segformer, upernet, dpt, beit_segmenter]
OF_MASKS = [mask2former, maskformer]


def saved(make: Any, folder: Path) -> tuple[Any, Any]:
    """Save a network with weights that tell images apart, and return it with its processor."""
    torch.manual_seed(3)
    network, processor = make()
    settled(network)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                # Masks that differ in class and place, so that no class wins everywhere.
                spread = {"class_predictor": 0.5, "mask_embedder.2.0": 0.5, "queries": 3}
                own = [size for part, size in spread.items() if part in name]
                weight.normal_(0, own[0] if own else 0.12)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


def pixels(count: int, height: int, width: int) -> tuple[torch.Tensor, list[Any]]:
    """Return images in [0, 1], and the same as the library takes them: (H, W, 3) of bytes."""
    images = eight_bit_images(count, height, width)
    levels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return images, list(levels)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(scale, 1))


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_logits_of_a_classifier_are_those_of_the_library(make: Any, tmp_path: Path):
    network, processor = saved(make, tmp_path)
    images, levels = pixels(2, SIDE, SIDE)
    seen = processor(levels, do_resize=False, do_center_crop=False, return_tensors="pt")
    victim = HuggingFaceClassifier(tmp_path)
    assert victim.input_size == SIDE
    assert victim.labels == NAMES
    with torch.no_grad():
        close(victim(images), network(**seen).logits)
    assert check_victim("it", victim, images, "classification", 4) == []


def test_images_of_another_size_are_stretched_as_the_processor_does(tmp_path: Path):
    network, processor = saved(vit, tmp_path)
    images, levels = pixels(2, 45, 60)
    with torch.no_grad():
        expected = network(**processor(levels, return_tensors="pt")).logits
        found = HuggingFaceClassifier(tmp_path)(images)
    # The processor rounds to bytes after resizing.
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02 * float(expected.abs().max()))


@pytest.mark.parametrize("make", SEGMENTERS)
def test_logits_of_a_segmenter_are_those_of_the_library_at_the_images_size(
    make: Any, tmp_path: Path
):
    network, processor = saved(make, tmp_path)
    victim = HuggingFaceSegmenter(tmp_path)
    side = victim.input_size
    images, levels = pixels(2, side, side)
    with torch.no_grad():
        outputs = network(**processor(levels, return_tensors="pt"))
        found = victim(images)
    expected = torch.nn.functional.interpolate(outputs.logits, (side, side), mode="bilinear")
    close(found, expected)
    maps = processor.post_process_semantic_segmentation(outputs, [(side, side)] * 2)
    assert all(torch.equal(one.argmax(0), own) for one, own in zip(found, maps, strict=True))
    assert check_victim("it", victim, images, "segmentation", 4) == []
    assert victim(eight_bit_images(1, 37, 51)).shape == (1, 4, 37, 51)


@pytest.mark.parametrize("make", OF_MASKS)
def test_pixels_of_masks_have_the_class_that_the_library_gives_them(make: Any, tmp_path: Path):
    """At 384², which the library resizes every mask of Mask2Former to."""
    network, processor = saved(make, tmp_path)
    images, levels = pixels(1, 384, 384)
    inputs = processor(levels, do_resize=False, return_tensors="pt")
    with torch.no_grad():
        # No class is everywhere the likeliest.
        classes = network(**inputs).class_queries_logits.mean((0, 1))
        network.class_predictor.bias -= classes
        network.save_pretrained(tmp_path)
    victim = HuggingFaceSegmenter(tmp_path)
    assert victim.input_size is None
    with torch.no_grad():
        outputs = network(**inputs)
        (expected,) = processor.post_process_semantic_segmentation(outputs, [(384, 384)])
        found = victim(images)
    assert found.shape == (1, 4, 384, 384)
    assert torch.equal(found.argmax(1)[0], expected)
    assert len(expected.unique()) > 1


@pytest.mark.parametrize("make", OF_MASKS)
def test_no_object_never_wins_and_takes_nothing_from_the_others(make: Any, tmp_path: Path):
    saved(make, tmp_path)
    victim = HuggingFaceSegmenter(tmp_path)
    images = eight_bit_images(1, 64, 64)
    with torch.no_grad():
        victim.network.class_predictor.bias[-1] = 30
        once = victim(images)
        victim.network.class_predictor.bias[-1] = 38
        output = victim.network(pixel_values=victim.normalise(images))
        more = victim(images)
    assert (output.class_queries_logits.argmax(-1) == 4).all()  # all masks are "no object" …
    assert once.shape == more.shape == (1, 4, 64, 64)
    # … so that all scores fall by one factor, e to the power of 8, and the same classes win.
    torch.testing.assert_close(more, once - 8, rtol=0, atol=1e-3)
    assert torch.equal(more.argmax(1), once.argmax(1))


@pytest.mark.parametrize("make", OF_MASKS)
def test_masks_are_fit_victims_at_any_size(make: Any, tmp_path: Path):
    saved(make, tmp_path)
    victim = HuggingFaceSegmenter(tmp_path)
    assert victim.divisor == 32
    assert check_victim("it", victim, eight_bit_images(2, 61, 70), "segmentation", 4) == []


@pytest.mark.parametrize("make", [*CLASSIFIERS, *SEGMENTERS, *OF_MASKS])
def test_one_network_in_two_folders_is_one_and_other_weights_are_another(make: Any, tmp_path: Path):
    kind = HuggingFaceClassifier if make in CLASSIFIERS else HuggingFaceSegmenter
    network, processor = saved(make, tmp_path / "a" / "it")
    network.save_pretrained(tmp_path / "b" / "it")
    processor.save_pretrained(tmp_path / "b" / "it")
    first, second = (kind(str(tmp_path / place / "it")) for place in "ab")
    assert digest(describe(first)) == digest(describe(second))
    first(eight_bit_images(1, 64, 64))  # what a library makes when it is first asked
    assert digest(describe(first)) == digest(describe(second))
    assert digest(describe(deepcopy(first))) == digest(describe(second))
    with torch.no_grad():
        next(second.network.parameters()).add_(1)
    assert digest(describe(first)) != digest(describe(second))


@pytest.mark.parametrize("make", [dpt, upernet, mask2former])
def test_words_of_a_config_are_no_folders_of_the_working_directory(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """DPT's readout is called "project", and classes are called anything."""
    saved(make, tmp_path / "it")
    monkeypatch.chdir(tmp_path)
    victim = HuggingFaceSegmenter(tmp_path / "it")
    before = digest(describe(victim))
    for word in ("project", "cat", "gelu", "relu", "stage1", "convnext", "swin", "sine"):
        (tmp_path / word).mkdir()
    assert digest(describe(victim)) == before


@pytest.mark.parametrize("make", [*CLASSIFIERS, *SEGMENTERS, mask2former, maskformer])
def test_a_fast_copy_answers_alike(make: Any, tmp_path: Path):
    """Copies see networks called by the names of their arguments."""
    saved(make, tmp_path / "it")
    kind = HuggingFaceClassifier if make in CLASSIFIERS else HuggingFaceSegmenter
    victim = kind(tmp_path / "it")
    images = eight_bit_images(2, 64, 64)
    for how in (Acceleration(), Acceleration(precision="bfloat16")):
        made = accelerated(victim, how, images)
        assert made.difference.relative < (1e-5 if how == Acceleration() else 0.1)
        assert made.victim(images).shape == victim(images).shape


def test_a_name_of_the_hub_is_found_in_its_cache_without_a_network(no_network: Path):
    snapshot = (
        no_network / "hub/models--owner--tiny/snapshots/0123456789abcdef0123456789abcdef01234567"
    )
    network, _ = saved(vit, snapshot)
    references = no_network / "hub/models--owner--tiny/refs"
    references.mkdir()
    (references / "main").write_text(snapshot.name)
    victim = HuggingFaceClassifier("owner/tiny")
    images = eight_bit_images(1, SIDE, SIDE)
    with torch.no_grad():
        close(victim(images), network(victim.normalise(images)).logits)


def test_old_weight_files_are_fetched_only_where_there_are_no_others(tmp_path: Path, monkeypatch):
    asked = []

    def fetch(name: str, allow_patterns: list[str], **more: Any) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    network, _ = saved(vit, tmp_path)
    HuggingFaceClassifier("owner/name")
    assert asked == [["config.json", "*.json", "*.safetensors"]]
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    HuggingFaceClassifier("owner/name")
    assert asked[2] == ["config.json", "*.json", "*.bin"]


def test_a_name_of_the_hub_without_a_network_is_told_in_seconds(no_network: Path):
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"^checkpoint 'owner/other' could not .* into a folder"):
        HuggingFaceClassifier("owner/other")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"num_classes": 7}, "must have num_classes 7, but is for 4"),
        ({"mean": (0.485, 0.456, 0.406)}, r"mean must be the checkpoint's \(0.4, 0.5, 0.6\), got"),
        ({"std": (0.5, 0.5, 0.5)}, r"std must be the checkpoint's \(0.2, 0.3, 0.25\), got"),
    ],
)
def test_what_contradicts_the_checkpoint_is_refused(given: Any, told: str, tmp_path: Path):
    saved(vit, tmp_path)
    with pytest.raises(InputError, match=told):
        HuggingFaceClassifier(tmp_path, **given)
    agreeing = HuggingFaceClassifier(tmp_path, num_classes=4, mean=(0.4, 0.5, 0.6))
    torch.testing.assert_close(torch.tensor(agreeing.std), torch.tensor(STD))


def test_a_backbone_without_its_head_is_refused_since_it_would_be_drawn_at_random(tmp_path: Path):
    network, _ = saved(vit, tmp_path)
    network.vit.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"must hold all weights of ViTForImage.*classifier"):
        HuggingFaceClassifier(tmp_path)


def test_a_checkpoint_of_another_task_is_refused_by_its_kind(tmp_path: Path):
    saved(convnext, tmp_path)
    with pytest.raises(InputError, match=r"HuggingFaceSegmenter takes .* of the kind 'convnext'"):
        HuggingFaceSegmenter(tmp_path)


@pytest.mark.parametrize("lost", ["preprocessor_config.json", "config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_told(lost: str, tmp_path: Path):
    saved(vit, tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(WeightsError, match=r"^checkpoint .* must"):
        HuggingFaceClassifier(tmp_path)


def test_bytes_and_factors_of_a_processor_count(tmp_path: Path):
    """Some processors normalise to [-1, 1] by their factor alone."""
    network, processor = saved(vit, tmp_path)
    told = tmp_path / "preprocessor_config.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"rescale_factor": 1 / 127.5}))
    images, levels = pixels(1, SIDE, SIDE)
    processor = hf.AutoImageProcessor.from_pretrained(tmp_path)
    with torch.no_grad():
        expected = network(**processor(levels, return_tensors="pt")).logits
        close(HuggingFaceClassifier(tmp_path)(images), expected)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path):
    saved(vit, tmp_path)
    told = tmp_path / "config.json"
    named = {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Network"}
    told.write_text(
        json.dumps(json.loads(told.read_text()) | {"auto_map": named, "model_type": "evil"})
    )
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(WeightsError, match="must be one that transformers can read"):
        HuggingFaceClassifier(tmp_path)
    assert not (tmp_path / "ran").exists()
