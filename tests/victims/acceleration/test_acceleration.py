"""Fast copies: the same function under the same names, and the victim as it was."""

from collections.abc import Callable, Iterator

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from project.attacks import FSPGD, PGD
from project.callbacks import AttackCallback
from project.core.errors import InputError
from project.core.identity import describe
from project.saliency import GradCAM
from project.saliency.provider import Scene
from project.victims import (
    ClassificationVictim,
    EnsembleVictim,
    MeanLossEnsemble,
    SegmentationVictim,
    SlidingWindow,
    SmpVictim,
    TimmVictim,
    TorchvisionSegmenter,
    Victim,
)
from project.victims.acceleration import Acceleration, accelerated
from project.victims.acceleration.networks import networks
from tests.models import eight_bit_images, predicted
from tests.test_configs import CONFIGS
from tests.victims.networks import settled, small_segmenter

OFF = Acceleration(fold=False, channels_last=False)
DEFAULT = Acceleration()
BFLOAT16 = Acceleration(precision="bfloat16")
CHECKPOINT = Acceleration(fold=False, channels_last=False, checkpoint=True)
COMPILED = Acceleration(fold=False, channels_last=False, compile="default")


def images(count: int = 2) -> Tensor:
    return eight_bit_images(count, 32, 48)


@pytest.fixture(autouse=True)
def _the_same_weights_in_whatever_order() -> None:
    torch.manual_seed(0)


def classifier(seed: int = 0) -> Victim:
    torch.manual_seed(seed)
    return settled(TimmVictim("resnet10t", num_classes=4), seed)


class ByName(TimmVictim):
    """Calls its network with a named argument, as victims of transformers do."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images."""
        logits: Tensor = self.network(x=self.normalise(images))
        return logits


VICTIMS: dict[str, Callable[[], Victim]] = {
    "by name": lambda: settled(ByName("resnet10t", num_classes=4)),
    "timm": classifier,
    "depthwise": lambda: settled(TimmVictim("mobilenetv2_035", num_classes=4)),
    "unet": lambda: settled(SmpVictim("Unet", "tu-resnet10t", 4)),
    "fpn": lambda: settled(SmpVictim("FPN", "tu-resnet10t", 4)),
    "torchvision": lambda: settled(
        TorchvisionSegmenter("lraspp_mobilenet_v3_large", num_classes=4)
    ),
    "ensemble": lambda: EnsembleVictim([small_segmenter(1), small_segmenter(2)]).eval(),
    "same twice": lambda: EnsembleVictim([small_segmenter()] * 2).eval(),
    "windows": lambda: SlidingWindow(small_segmenter(), (32, 32), (16, 16)).eval(),
    "nested": lambda: EnsembleVictim(
        [small_segmenter(1), SlidingWindow(small_segmenter(2), (24, 48), (8, 48))]
    ).eval(),
    "attention": lambda: TimmVictim(
        "vit_tiny_patch16_224", num_classes=4, model_args={"img_size": (32, 48), "depth": 2}
    ).eval(),
}


@pytest.fixture(params=VICTIMS, scope="module")
def victim(request: pytest.FixtureRequest) -> Victim:
    torch.manual_seed(0)
    return VICTIMS[request.param]()


def slope(victim: nn.Module, shown: Tensor) -> Tensor:
    shown = shown.clone().requires_grad_()
    return torch.autograd.grad(victim(shown).logsumexp(1).sum(), shown)[0]


def unchanged(victim: Victim) -> Iterator[object]:
    """Yield whatever a copy must not change."""
    for name, part in victim.named_modules():
        yield name, part.training, type(part), dict(part._forward_hooks), "forward" in vars(part)
    for name, value in [*victim.named_parameters(), *victim.named_buffers()]:
        yield name, value.stride(), value.dtype, value._version, value.requires_grad


@pytest.mark.parametrize(
    "how", [DEFAULT, CHECKPOINT, Acceleration(precision="bfloat16", checkpoint=True)], ids=str
)
def test_victim_stays_as_it_was_and_shares_nothing(victim: Victim, how: Acceleration):
    shown, state = images(), {key: value.clone() for key, value in victim.state_dict().items()}
    before = list(unchanged(victim))
    made = accelerated(victim, how, shown).victim
    slope(made, shown)
    assert list(unchanged(victim)) == before
    assert all(torch.equal(value, state[key]) for key, value in victim.state_dict().items())
    own = {value.data_ptr() for value in victim.state_dict().values()}
    assert own.isdisjoint(value.data_ptr() for value in made.state_dict().values())


def test_copy_answers_like_the_victim_and_its_gradient_does(victim: Victim):
    shown = images()
    made = accelerated(victim, DEFAULT, shown)
    scale = float(victim(shown).detach().abs().max())
    torch.testing.assert_close(made.victim(shown), victim(shown), rtol=0, atol=1e-5 * scale)
    expected = slope(victim, shown)
    close = 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(slope(made.victim, shown), expected, rtol=0, atol=close)
    assert made.difference.relative < 1e-5
    assert made.difference.agreement == 1


def test_layers_of_a_copy_have_the_victims_names(victim: Victim):
    made = accelerated(victim, BFLOAT16, images()).victim
    assert type(made) is type(victim)
    names = {name for name, _ in victim.named_modules()}
    assert {name for name, _ in made.named_modules()} == names


def test_no_norm_of_ordinary_networks_is_left(victim: Victim):
    made = accelerated(victim, Acceleration(channels_last=False), images()).victim
    assert not any(isinstance(part, nn.BatchNorm2d) for part in made.modules())


def test_weights_have_their_channels_last(victim: Victim):
    made = accelerated(victim, Acceleration(fold=False), images()).victim
    filters = [part.weight for part in made.modules() if isinstance(part, nn.Conv2d)]
    assert all(f.is_contiguous(memory_format=torch.channels_last) for f in filters)


def test_bfloat16_answers_in_float32_and_mostly_points_the_same_way(victim: Victim):
    shown = images()
    made = accelerated(victim, BFLOAT16, shown)
    assert made.victim(shown).dtype == torch.float32
    assert slope(made.victim, shown).dtype == torch.float32
    assert 0 < made.difference.relative < 0.1
    same = slope(made.victim, shown).sign() == slope(victim, shown).sign()
    assert same.float().mean() > 0.75


def test_bfloat16_casts_weights_once():
    made = accelerated(classifier(), BFLOAT16, images()).victim
    layers = [part for part in made.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert {part.weight.dtype for part in layers} == {torch.bfloat16}


def saved_bytes(victim: nn.Module, shown: Tensor) -> int:
    """Return what autograd keeps for the backward pass, without the weights."""
    storages: dict[int, int] = {}
    weights = {value.untyped_storage().data_ptr() for value in victim.state_dict().values()}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        storages[place] = 0 if place in weights else tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer = victim(shown.clone().requires_grad_())  # kept, so that no memory is used again
    del answer
    return sum(storages.values())


def test_checkpoints_give_the_same_gradient_bit_for_bit(victim: Victim):
    shown = images()
    made = accelerated(victim, CHECKPOINT, shown).victim
    plain = accelerated(victim, OFF, shown).victim.requires_grad_(False)
    assert torch.equal(made(shown), plain(shown))
    assert torch.equal(slope(made, shown), slope(plain, shown))


@pytest.mark.parametrize("make", [classifier, VICTIMS["fpn"], VICTIMS["attention"]])
def test_checkpoints_keep_less(make: Callable[[], Victim]):
    plain, shown = make().requires_grad_(False), images()
    made = accelerated(plain, CHECKPOINT, shown).victim
    assert saved_bytes(made, shown) < 0.8 * saved_bytes(plain, shown)


def test_folding_keeps_less():
    plain = classifier().requires_grad_(False)
    made = accelerated(plain, DEFAULT, images()).victim
    assert saved_bytes(made, images()) < 0.7 * saved_bytes(plain, images())


def test_network_without_blocks_is_told():
    victim = ClassificationVictim(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), 2)
    with pytest.raises(InputError, match=r"Sequential has none.*checkpoint off"):
        accelerated(victim, CHECKPOINT, images())


@pytest.mark.parametrize("how", [DEFAULT, CHECKPOINT, BFLOAT16, COMPILED], ids=str)
def test_those_who_look_inside_see_the_same_layers(how: Acceleration, monkeypatch):
    monkeypatch.setattr(torch, "compile", pretended_compile([]))
    victim, shown = VICTIMS["fpn"](), images()
    target = predicted(victim, shown)
    made = accelerated(victim, how, shown).victim
    attack = FSPGD(steps=1, random_start=False, step_schedule="constant")
    same = attack(made, shown, target) == attack(victim, shown, target)
    assert same.float().mean() > (0.9 if how == BFLOAT16 else 0.999)
    maps = [GradCAM().maps(shown, Scene(one, target, torch.arange(2))) for one in (made, victim)]
    torch.testing.assert_close(*maps, rtol=0, atol=0.1 if how == BFLOAT16 else 1e-3)


def test_members_of_an_ensemble_are_fast_when_asked_alone():
    shown = images()
    ensemble = MeanLossEnsemble([classifier(1), classifier(2)]).eval()
    made = accelerated(ensemble, DEFAULT, shown).victim
    assert isinstance(made, MeanLossEnsemble)
    assert [*made.victims] == [*made.network]
    target = predicted(ensemble, shown)
    attack = PGD(steps=2)
    same = attack(made, shown, target) == attack(ensemble, shown, target)
    assert same.float().mean() > 0.999


def test_without_any_option_the_victim_itself_is_attacked():
    victim = classifier()
    made = accelerated(victim, OFF, images())
    assert made.victim is victim
    assert made.changes == ()


def test_works_inside_inference_mode():
    victim = classifier()
    with torch.inference_mode():
        made = accelerated(victim, Acceleration(checkpoint=True), images()).victim
        assert PGD(steps=1)(made, images(), torch.zeros(2).long()).shape == (2, 3, 32, 48)
    slope(made, images())


def test_copy_of_a_victim_in_train_mode_is_in_eval_mode():
    victim = classifier().train()
    made = accelerated(victim, DEFAULT, images()).victim
    assert not any(part.training for part in made.modules())
    assert all(part.training for part in victim.modules())


def test_copy_has_a_fingerprint_of_its_own():
    victim = ClassificationVictim(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 48, 2)), 2)
    layer = victim.network[1]
    layer.weight, layer.bias = (nn.Parameter(value.clone()) for value in (layer.weight, layer.bias))
    whole = victim.fingerprint()
    made = accelerated(victim, Acceleration(fold=False, precision="bfloat16"), images()).victim
    assert made.fingerprint() != whole


class AsksForItsNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, inputs: Tensor) -> Tensor:
        answer = self.norm(self.conv(inputs)).mean((2, 3))
        return answer if isinstance(self.norm, nn.BatchNorm2d) else 2 * answer


def test_change_that_is_not_exact_is_refused_by_its_name():
    victim = ClassificationVictim(settled(AsksForItsNorm()), 3)
    message = r"option fold must leave .* differ by at most .* Switch acceleration.fold off"
    with pytest.raises(InputError, match=message):
        accelerated(victim, DEFAULT, images())
    assert accelerated(victim, Acceleration(fold=False), images()).difference.relative < 1e-5


def pretended_compile(calls: list[str]) -> Callable[..., Callable[..., object]]:
    """Stand in for torch.compile: count, and give the same memory each time, as CUDA graphs do."""
    memory: list[Tensor] = []

    def compiled(forward: Callable[..., Tensor], mode: str, dynamic: bool):
        assert dynamic is False

        def run(inputs: Tensor) -> Tensor:
            calls.append(mode)
            answer = forward(inputs)
            if not memory:
                memory.append(torch.empty_like(answer))
            return memory[0].detach().copy_(answer)

        return run

    return compiled


def test_compiled_network_owns_its_answers_and_steps_aside_for_hooks(monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(torch, "compile", pretended_compile(calls))
    victim, shown = classifier(), images()
    made = accelerated(victim, Acceleration(compile="reduce-overhead"), shown).victim
    with torch.no_grad():
        first, second = made(shown), made(1 - shown)
    assert calls == ["reduce-overhead"] * 3
    torch.testing.assert_close(first, victim(shown).detach(), rtol=0, atol=1e-4)
    torch.testing.assert_close(second, victim(1 - shown).detach(), rtol=0, atol=1e-4)
    seen: list[Tensor] = []
    handle = made.network.layer1.register_forward_hook(lambda *given: seen.append(given[2]))
    made(shown)
    handle.remove()
    assert len(calls) == 3
    assert len(seen) == 1


@pytest.mark.slow
# While it traces, torch asks the network's input for a gradient.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_compiled_copy_attacks_like_the_uncompiled_one(precision):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    network.append(nn.Linear(8 * 30 * 46, 4))
    victim, shown = ClassificationVictim(settled(network), 4), images()
    target = predicted(victim, shown)
    plain, compiled = (
        accelerated(victim, Acceleration(precision=precision, compile=mode), shown).victim
        for mode in ("off", "default")
    )
    same = PGD(steps=3)(compiled, shown, target) == PGD(steps=3)(plain, shown, target)
    assert same.float().mean() > 0.95


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
# Compiling asks the network's input for a gradient, and advises TF32.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
@pytest.mark.parametrize(
    "how", [DEFAULT, BFLOAT16, Acceleration(compile="reduce-overhead")], ids=str
)
def test_copy_attacks_on_a_gpu_like_the_victim(how: Acceleration):
    victim, shown = classifier().cuda(), images().cuda()
    target = predicted(victim, shown)
    made = accelerated(victim, how, shown).victim
    assert not any(isinstance(part, nn.BatchNorm2d) for part in made.modules())
    same = PGD(steps=3)(made, shown, target) == PGD(steps=3)(victim, shown, target)
    assert same.float().mean() > 0.9


def callback(*arguments: str) -> AttackCallback:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(AttackCallback, "attack")
    attacks = f"--config={CONFIGS / 'attacks/pgd.yaml'}"
    built: AttackCallback = parser.instantiate(parser.parse_args([attacks, *arguments])).attack
    return built


def test_options_are_read_from_the_command_line_and_described_as_plain_data():
    arguments = ["--attack.acceleration.precision", "bfloat16", "--attack.acceleration.fold=false"]
    options = callback(*arguments).acceleration
    assert options == Acceleration(fold=False, precision="bfloat16")
    assert describe(options) == {
        "class": "project.victims.Acceleration",
        "fold": False,
        "channels_last": True,
        "precision": "bfloat16",
        "compile": "off",
        "checkpoint": False,
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bfloat16", BFLOAT16),
        ("checkpoint", Acceleration(checkpoint=True)),
        ("cuda_graph", Acceleration(precision="bfloat16", compile="reduce-overhead")),
    ],
)
def test_configs_go_beside_those_of_attacks(name: str, options: Acceleration):
    built = callback(f"--config={CONFIGS / f'acceleration/{name}.yaml'}")
    assert built.acceleration == options
    assert list(built.attacks) == ["pgd"]


def test_networks_are_the_innermost_each_once():
    shared = small_segmenter().network
    first, second = (SegmentationVictim(shared, 4) for _ in range(2))
    ensemble = EnsembleVictim([SlidingWindow(first, (32, 32), (16, 16)), second]).eval()
    assert networks(ensemble) == [shared]
    made = accelerated(ensemble, Acceleration(checkpoint=True), images())
    assert made.changes == ("5 of 5 BatchNorms folded", "channels_last", "2 blocks checkpointed")
