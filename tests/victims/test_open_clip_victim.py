"""Zero-shot logits are those of open_clip's own steps, from a checkpoint in its own format."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.victims import OpenClipVictim, WeightsError, check_victim
from tests.models import eight_bit_images

open_clip = pytest.importorskip("open_clip", reason="needs the extra clip")

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
CLASSES = ["tench", "golden retriever", "church"]
TEMPLATES = ["a photo of a {}.", "a drawing of the {}."]


def saved(folder: Path, **more: Any) -> Any:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True, parents=True)
    preprocessing = {
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    told = {"model_cfg": MODEL | more, "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    model = open_clip.CLIP(**MODEL | more)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model.eval()


@pytest.mark.parametrize("more", [{}, {"init_logit_bias": -10.0}], ids=["CLIP", "SigLIP"])
def test_logits_are_those_of_the_networks_own_likeness(more: dict[str, float], tmp_path: Path):
    saved(tmp_path, **more)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    victim = OpenClipVictim(tmp_path, CLASSES, templates=TEMPLATES[:1])
    images = eight_bit_images(2, 32, 32)
    from torchvision.transforms.functional import to_pil_image

    seen = torch.stack([preprocess(to_pil_image(image)) for image in images])
    with torch.no_grad():
        texts = tokenizer([TEMPLATES[0].format(name) for name in CLASSES])
        expected = model.eval().get_logits(seen, texts)[0]
        torch.testing.assert_close(victim(images), expected, rtol=0, atol=1e-4)
    assert check_victim("it", victim, images, "classification", 3) == []
    assert (victim.num_classes, victim.input_size) == (3, 32)


def test_several_templates_count_by_their_mean_feature(tmp_path: Path):
    model = saved(tmp_path)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    victim = OpenClipVictim(tmp_path, CLASSES, templates=TEMPLATES)
    with torch.no_grad():
        for name, weights in zip(CLASSES, victim.network.classes, strict=True):
            parts = model.encode_text(tokenizer([text.format(name) for text in TEMPLATES]))
            mean = sum(part / part.norm() for part in parts) / 2
            torch.testing.assert_close(weights, mean / mean.norm(), rtol=0, atol=1e-5)


def test_classes_and_templates_tell_victims_apart_and_folders_do_not(tmp_path: Path):
    for place in "ab":
        saved(tmp_path / place / "it")
    first, second = (OpenClipVictim(tmp_path / place / "it", CLASSES) for place in "ab")
    other = OpenClipVictim(tmp_path / "a" / "it", CLASSES, templates="simple")
    assert digest(describe(first)) == digest(describe(second)) != digest(describe(other))
    assert not any(
        "transformer.resblocks" in name and "visual" not in name
        for name, _ in first.named_parameters()
    )


def test_known_lists_are_by_name(tmp_path: Path):
    saved(tmp_path)
    assert OpenClipVictim(tmp_path, "imagenet", templates=TEMPLATES[:1]).num_classes == 1000


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"templates": ["a photo"]}, "templates must hold one {} each"),
        ({"templates": []}, "templates must hold one {} each"),
        ({"classes": ["cat", " "]}, "classes must be names, got an empty one"),
        ({"classes": "voc"}, "classes must be one of imagenet"),
        ({"mean": (0.5, 0.5, 0.5)}, r"mean must be the checkpoint's \(0.4, 0.5, 0.6\), got"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], told: str, tmp_path: Path):
    saved(tmp_path)
    with pytest.raises(InputError, match=told):
        OpenClipVictim(tmp_path, **{"classes": CLASSES} | given)


def test_a_checkpoint_that_is_not_there_or_damaged_is_told(tmp_path: Path, no_network: Path):
    with pytest.raises(WeightsError, match=r"'laion/it' could not be fetched .* into a folder"):
        OpenClipVictim("laion/it", CLASSES)
    saved(tmp_path / "it")
    (tmp_path / "it" / "open_clip_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="must be one that open_clip can read"):
        OpenClipVictim(tmp_path / "it", CLASSES)
