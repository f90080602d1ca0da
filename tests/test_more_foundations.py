import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from project.attacks import SSTA
from project.describe import describe, weights_hash
from project.quantise import to_8bit
from project.saliency import MaskFiles, VictimGradient
from project.saliency.provider import Scene
from tests.attacks.test_flow_attacks import everywhere
from tests.attacks.test_flow_attacks import scene as flow_scene
from tests.models import CurvedClassifier, eight_bit_images, predicted
from tests.test_store import open_store, sample


def test_weights_hash_tells_which_layer_holds_the_weights():
    first, second = nn.Module(), nn.Module()
    first.left = second.right = nn.Parameter(torch.ones(2))
    assert weights_hash(first) != weights_hash(second)


def test_changed_mask_files_of_equal_size_have_another_fingerprint(tmp_path):
    found = []
    for level in (51, 52):
        Image.fromarray(np.full((8, 8), level, dtype=np.uint8)).save(tmp_path / "a.bmp")
        (tmp_path / "a.bmp").replace(tmp_path / "a.png")  # uncompressed: the size is the same
        found.append(MaskFiles(str(tmp_path)).fingerprint())
    assert found[0] != found[1]


def test_ssta_takes_a_smoothness_weight():
    victim, images, target = flow_scene()
    runs = [
        SSTA(everywhere, "released", steps=20, smoothness=weight, early_stop=False)
        for weight in (0.0, 1.0)
    ]
    plain, smooth = (attack.run(victim, images, target).perturbation for attack in runs)
    assert not torch.equal(plain, smooth)


def test_rounding_clips_to_the_range_of_an_image():
    assert to_8bit(torch.tensor([-0.1, 1.1])).tolist() == [0.0, 1.0]


def test_nameless_functions_cannot_be_described():
    with pytest.raises(TypeError, match="at module level"):
        describe(SSTA(lambda images: images[:, :1]))


@pytest.mark.parametrize("name", ["00000001.npz", "00000001.png"])
def test_file_that_is_broken_in_any_way_is_attacked_again(tmp_path, name):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    path = store.folder / name
    whole = path.read_bytes()
    for end in range(0, len(whole) * 9 // 10, 37):
        path.write_bytes(whole[:end])
        with pytest.warns(UserWarning, match="its batch is attacked again"):
            assert store.load([1]) is None


def test_gradient_map_spans_0_to_1_however_sure_the_victim_is():
    inner, images = CurvedClassifier().eval(), eight_bit_images(4)
    target = predicted(inner, images)

    class Sure(nn.Module):
        def forward(self, batch):
            return 10 * inner(batch)

    maps = VictimGradient().maps(images, Scene(Sure(), target, torch.arange(4)))
    assert maps.amax((1, 2, 3)).tolist() == [1.0] * 4
