"""TGR and ATT on a tiny vision transformer, against one written out from the formulas."""

from collections.abc import Callable, Iterator

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import (
    APGD,
    ATT,
    PGD,
    TGR,
    CrossEntropy,
    Diversity,
    Momentum,
    ScaleInvariant,
    Variance,
)
from project.attacks.gradient.rules.token_gradients import weakened_scores, weakened_tokens
from project.core.errors import InputError
from project.core.randomness import uniform
from project.victims import (
    ClassificationVictim,
    EnsembleVictim,
    MeanLossEnsemble,
    SegmentationVictim,
    SlidingWindow,
)
from project.victims.acceleration import Acceleration, accelerated
from tests.attacks.passes import Counted
from tests.attacks.waits import DEVICE, waits
from tests.models import CurvedClassifier, CurvedSegmenter, eight_bit_images, predicted
from tests.transformers import CLASSES, HEADS, PATCH, WIDTH, transformer

SIZE = (16, 24)
EPS, STEP = 4 / 255, 1 / 255


class Pixels(nn.Module):
    """A segmenter on the tokens of a ViT that is a part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = transformer(SIZE, classes=0)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.head = nn.Conv2d(WIDTH, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.backbone.forward_features(images)[:, 1:]
        grid = (images.shape[2] // PATCH, images.shape[3] // PATCH)
        maps = tokens.transpose(1, 2).reshape(len(images), WIDTH, *grid)
        return F.interpolate(self.head(maps), images.shape[2:], mode="bilinear")


class PixelVictim(SegmentationVictim):
    """Pixels as a victim."""

    def __init__(self) -> None:
        super().__init__(Pixels(), CLASSES)


def victim(seed: int = 0) -> ClassificationVictim:
    return ClassificationVictim(transformer(SIZE, seed), CLASSES)


Scene = tuple[nn.Module, Tensor, Tensor]
RULES = [TGR(), ATT(cut=1, patch=PATCH)]


@pytest.fixture(params=["classes", "pixels"])
def scene(request) -> Scene:
    network = victim() if request.param == "classes" else PixelVictim()
    images = eight_bit_images(3, *SIZE)
    return network.double().eval(), images.double(), predicted(network.double(), images.double())


def plain(rules: list, steps: int = 3) -> PGD:
    return PGD(EPS, STEP, steps, random_start=False, rules=rules)


class Written:
    """The forward and backward pass of the transformer above, one layer at a time.

    ``change(kind, gradient, above)`` is applied to one image's gradient on its way back.
    """

    def __init__(self, network: nn.Module, change: Callable[[str, Tensor, int], Tensor]) -> None:
        self.network = network
        self.change = change

    def gradient(self, image: Tensor, target: Tensor | None) -> tuple[Tensor, ...]:
        """Return the changed gradient of the loss, (3, H, W), and tokens and gradient for ATT."""
        net = self.network
        leaf = image[None].requires_grad_()
        tokens = net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(leaf))))
        inputs, parts = [], []
        for block in net.blocks:
            inputs.append(tokens)
            held = tokens.detach().requires_grad_()
            qkv = block.attn.qkv(block.norm1(held))
            leaf_qkv = qkv.detach().requires_grad_()
            queries, keys, values = (
                part.reshape(-1, HEADS, WIDTH // HEADS).transpose(0, 1)
                for part in leaf_qkv[0].split(WIDTH, 1)
            )
            scores = queries @ keys.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
            leaf_scores = scores.detach().requires_grad_()
            mixed = (leaf_scores.softmax(2) @ values).transpose(0, 1).reshape(1, -1, WIDTH)
            middle = held + block.attn.proj(mixed)
            leaf_middle = middle.detach().requires_grad_()
            added = block.mlp(block.norm2(leaf_middle))
            parts.append((held, qkv, leaf_qkv, scores, leaf_scores, middle, leaf_middle, added))
            tokens = (leaf_middle + added).detach().requires_grad_()
        logits = net.forward_head(net.norm(tokens))
        loss = logits.sum() if target is None else F.cross_entropy(logits, target[None])
        (slope,) = torch.autograd.grad(loss, tokens)
        gradients = []
        for above, part in enumerate(reversed(parts)):
            gradients.append(slope)
            held, qkv, leaf_qkv, scores, leaf_scores, middle, leaf_middle, added = part
            inner = self.change("mlp", slope[0], above)[None]
            at_middle = slope + torch.autograd.grad(added, leaf_middle, inner)[0]
            at_scores, direct, residual = torch.autograd.grad(
                middle, (leaf_scores, leaf_qkv, held), at_middle, retain_graph=True
            )
            at_scores = self.change("scores", at_scores, above)
            at_qkv = direct + torch.autograd.grad(scores, leaf_qkv, at_scores)[0]
            at_qkv = self.change("qkv", at_qkv[0], above)[None]
            slope = residual + torch.autograd.grad(qkv, held, at_qkv)[0]
        (pulled,) = torch.autograd.grad(inputs[0], leaf, slope)
        # Out of the last block but one comes what goes into the last.
        return pulled[0], parts[-1][0].detach()[0], gradients[1][0]


def times_extremes(kind: str, gradient: Tensor, factor: float) -> Tensor:
    """Multiply the lines or tokens of extreme gradients of one image, by loops."""
    gradient = gradient.clone()
    if kind == "scores":
        for head, values in enumerate(gradient.clone()):
            size = len(values)
            for place in (int(values.argmax()), int(values.argmin())):
                gradient[head, place // size] *= factor
                gradient[head, :, place % size] *= factor
        return gradient
    for channel, values in enumerate(gradient.clone().T):
        for place in (int(values.argmax()), int(values.argmin())):
            gradient[place, channel] *= factor
    return gradient


def without_extremes(kind: str, gradient: Tensor, above: int) -> Tensor:
    weight = {"scores": 0.25, "qkv": 0.75, "mlp": 0.5}[kind]
    return times_extremes(kind, weight * gradient, 0.0)


def adaptive() -> Callable[[str, Tensor, int], Tensor]:
    """Return ATT's change for one backward pass, with a large λ and one cut block."""
    variances: dict[str, float] = {}

    def change(kind: str, gradient: Tensor, above: int) -> Tensor:
        weight = {"scores": 0.0 if above < 1 else 0.45, "qkv": 0.7, "mlp": 0.65}[kind]
        gradient, factor = weight * gradient, 0.5
        if variances.get(kind, 0.0) != 0:
            factor += 0.3 * (1 - (gradient.var().item() / variances[kind]) ** 0.5)
        gradient = times_extremes(kind, gradient, min(max(factor, 0.0), 1.0))
        variances[kind] = gradient.var().item()
        return gradient

    return change


def normalised(victim: ClassificationVictim, image: Tensor) -> Tensor:
    return (image - victim.pixel_mean[0]) / victim.pixel_std[0]


def loop(
    victim: ClassificationVictim,
    images: Tensor,
    target: Tensor,
    written: Callable[[], Callable],
    shown: Callable[[int, int], Tensor],
) -> Tensor:
    """Return what three steps find, image by image."""
    found = []
    for place, (image, label) in enumerate(zip(images, target, strict=True)):
        current = image
        for number in range(1, 4):
            patches = shown(place, number)
            seen = normalised(victim, image + (current - image) * patches)
            gradient, _, _ = Written(victim.network, written()).gradient(seen, label)
            moved = current + STEP * (patches * gradient).sign()
            current = torch.minimum(torch.maximum(moved, image - EPS), image + EPS).clamp(0, 1)
        found.append(current)
    return torch.stack(found)


def test_the_written_pass_without_changes_is_that_of_autograd():
    network, image = transformer(SIZE).double(), eight_bit_images(1, *SIZE).double()
    label = torch.tensor(1)
    found, _, _ = Written(network, lambda kind, gradient, above: gradient).gradient(image[0], label)
    leaf = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(F.cross_entropy(network(leaf), label[None]), leaf)
    torch.testing.assert_close(found, expected[0])


def test_tgr_follows_its_formula_step_by_step():
    model, images = victim().double().eval(), eight_bit_images(3, *SIZE).double()
    target = predicted(model, images)
    everything = torch.ones(1, *SIZE)
    expected = loop(model, images, target, lambda: without_extremes, lambda *_: everything)
    found = plain([TGR()]).run(model, images, target).float_images
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert not torch.equal(plain([]).run(model, images, target).float_images, found)


def test_att_follows_its_formula_step_by_step():
    model, images = victim().double().eval(), eight_bit_images(3, *SIZE).double()
    target = predicted(model, images)
    patch, rows, columns = 5, 4, 5  # patches cut by the border, and unlike the network's

    def importance(image: Tensor) -> Tensor:
        _, tokens, slope = Written(model.network, adaptive()).gradient(
            normalised(model, image), None
        )
        grid = (tokens * slope)[1:].sum(1).reshape(1, 1, SIZE[0] // PATCH, SIZE[1] // PATCH)
        full = F.interpolate(grid, SIZE, mode="bilinear")[0, 0]
        parts = [row.split(patch, 1) for row in full.split(patch, 0)]
        means = torch.stack([torch.stack([part.mean() for part in row]) for row in parts])
        return (means - means.min()) / (means.max() - means.min())

    kept = [importance(image) for image in images]

    def shown(place: int, number: int) -> Tensor:
        last = 0.4 + 0.4 * kept[place]
        key = (0, "PGD", number, "rule", 0)
        drawn = uniform((rows, columns), torch.tensor([place]), *key)[0]
        mask = (drawn <= 0.99 - (0.99 - last) * number / 3).double()
        full = F.interpolate(mask[None, None], scale_factor=patch, mode="nearest")[0]
        return full[:, : SIZE[0], : SIZE[1]]

    expected = loop(model, images, target, adaptive, shown)
    rule = ATT(cut=1, patch=patch, adaptation=0.3)
    found = plain([rule]).run(model, images, target).float_images
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert not torch.equal(plain([]).run(model, images, target).float_images, found)


def test_extremes_are_those_of_each_image_and_each_channel():
    gradient = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    dropped = weakened_tokens(gradient, 0.0) == 0
    assert (dropped.sum(1) == 2).all()
    scores = torch.zeros(1, 1, 4, 4)
    scores[0, 0, 1, 2], scores[0, 0, 3, 0] = 1, -1
    kept = weakened_scores(torch.ones_like(scores) + scores, 0.5)[0, 0]
    assert kept.tolist() == [
        [0.5, 1, 0.5, 1],
        [0.25, 0.5, 0.5, 0.5],
        [0.5, 1, 0.5, 1],
        [0.0, 0.5, 0.25, 0.5],
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
class TestContract:
    """What every attack guarantees, for rules that need another victim than the table's."""

    def test_no_image_depends_on_its_batch_mates(self, scene, rule):
        model, images, target = scene
        index = torch.tensor([5, 3, 8])
        together = plain([rule, Momentum()]).run(model, images, target, index)
        for place in range(3):
            one = slice(place, place + 1)
            alone = plain([rule, Momentum()]).run(model, images[one], target[one], index[one])
            torch.testing.assert_close(
                alone.float_images, together.float_images[one], atol=1e-12, rtol=0
            )

    def test_the_victim_is_afterwards_as_before(self, scene, rule):
        model, images, target = scene
        before = state(model)
        logits = model(images)
        plain([rule])(model, images, target)
        assert state(model) == before
        assert torch.equal(model(images), logits)

    def test_so_it_is_after_an_exception(self, scene, rule):
        model, images, target = scene
        before = state(model)

        class Failing(CrossEntropy):
            def __call__(self, step):
                if step.number == 2:
                    raise KeyboardInterrupt
                return super().__call__(step)

        attack = PGD(EPS, STEP, 3, objective=Failing(), rules=[rule])
        with pytest.raises(KeyboardInterrupt):
            attack(model, images, target)
        assert state(model) == before

    def test_it_works_inside_inference_mode_and_again(self, scene, rule):
        model, images, target = scene
        expected = plain([rule])(model, images, target)
        with torch.inference_mode():
            assert torch.equal(plain([rule])(model, images.clone(), target.clone()), expected)

    def test_early_stop_ends_where_it_would_alone(self, scene, rule):
        model, images, target = scene
        attack = PGD(EPS, STEP, 6, random_start=False, rules=[rule, Momentum()], early_stop=True)
        together = attack.run(model, images, target)
        alone = attack.run(model, images[1:2], target[1:2], torch.tensor([1]))
        assert torch.equal(alone.images, together.images[1:2])
        assert torch.equal(alone.steps, together.steps[1:2])

    def test_passes_are_as_told(self, scene, rule):
        model, images, target = scene
        counted = Counted(model)
        plain([rule, Momentum()], 5)(counted, images, target)
        assert len(counted.forwards) == 5 + isinstance(rule, ATT)
        assert len(counted.backwards) == 5

    def test_it_combines_with_views_and_neighbours(self, scene, rule):
        model, images, target = scene
        rules = [rule, Variance(2), Momentum()]
        attack = PGD(EPS, STEP, 2, rules=rules, transforms=[Diversity(), ScaleInvariant(2)])
        if isinstance(model, PixelVictim):
            attack = PGD(EPS, STEP, 2, rules=rules, transforms=[ScaleInvariant(2)])
        assert not torch.equal(attack(model, images, target), images)

    def test_no_step_waits_for_the_device(self, scene, rule):
        model, images, target = scene
        model, images = model.float().requires_grad_(False).to(DEVICE), images.float().to(DEVICE)
        target = target.to(DEVICE)
        with waits() as found:
            plain([rule, Momentum()]).perturb(model, images, target, torch.arange(3))
        assert found == []

    @pytest.mark.parametrize("option", ["checkpoint", "bfloat16"])
    def test_a_fast_copy_of_the_source_is_attacked_alike(self, rule, option):
        model, images = victim(), eight_bit_images(2, *SIZE)
        target = predicted(model, images)
        how = {"checkpoint": {"checkpoint": True}, "bfloat16": {"precision": "bfloat16"}}[option]
        fast = accelerated(model, Acceleration(**how), images).victim
        found = plain([rule])(fast, images, target)
        expected = plain([rule])(model, images, target)
        if option == "checkpoint":
            assert (found != expected).double().mean() < 0.01  # signs of almost 0
        assert not torch.equal(found, images)

    def test_a_network_without_blocks_is_refused_by_name(self, rule):
        images = eight_bit_images(2)
        for model, name in ((CurvedClassifier(), "CurvedClassifier"), (resnet(), "ResNet")):
            with pytest.raises(InputError, match=f"{type(rule).__name__} .* source {name} has non"):
                plain([rule])(model, images, predicted(model, images))

    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("swin_tiny_patch4_window7_224", {"img_size": 56, "embed_dim": 8, "depths": (1, 1)}),
            ("cait_xxs24_224", {"img_size": 32, "embed_dim": 8, "depth": 2, "num_heads": 2}),
            ("beit_base_patch16_224", {"img_size": 32, "embed_dim": 8, "depth": 2}),
        ],
    )
    def test_a_network_of_other_attention_is_refused_and_left_alone(self, rule, name, settings):
        heads = {"num_heads": (1, 2)} if "swin" in name else {"num_heads": 2}
        network = timm.create_model(name, num_classes=4, **settings | heads)
        model = ClassificationVictim(network, 4).eval()
        images = eight_bit_images(2, settings["img_size"], settings["img_size"])
        before = state(model)
        with pytest.raises(InputError, match=f"{type(rule).__name__} .*{type(network).__name__}"):
            plain([rule])(model, images, predicted(model, images))
        assert state(model) == before

    @pytest.mark.parametrize("kind", [EnsembleVictim, MeanLossEnsemble])
    def test_members_of_an_ensemble_each_have_passes_of_their_own(self, rule, kind):
        class Curved(ClassificationVictim):
            def __init__(self) -> None:
                super().__init__(CurvedClassifier(SIZE), CLASSES)

        images = eight_bit_images(2, *SIZE)
        for members in ([victim(), victim(1)], [victim(), Curved()]):
            model = kind(members).eval()
            before = state(model)
            attack = plain([rule, Momentum()])
            found = attack(model, images, predicted(model, images))
            assert not torch.equal(found, images)
            assert state(model) == before


def resnet() -> nn.Module:
    return ClassificationVictim(timm.create_model("test_resnet", num_classes=4), 4)


def state(model: nn.Module) -> list[tuple]:
    """Return hooks and plain attributes of every module."""

    def told(module: nn.Module) -> Iterator[tuple]:
        for name, value in vars(module).items():
            if "hooks" in name:
                yield name, list(value.values()) if value else []
            elif isinstance(value, bool | int | float | str):
                yield name, value

    return [tuple(told(module)) for module in model.modules()]


def test_tgr_on_two_equal_members_is_tgr_on_one():
    images = eight_bit_images(2, *SIZE).double()
    one, two = victim().double().eval(), EnsembleVictim([victim(), victim()]).double().eval()
    target = predicted(one, images)
    for kind in (TGR(), ATT(patch=PATCH)):
        found = [plain([kind]).run(model, images, target).float_images for model in (one, two)]
        torch.testing.assert_close(*found, atol=1e-12, rtol=0)


def test_windows_each_have_a_backward_pass_of_their_own():
    images = eight_bit_images(1, 16, 40).double()
    window = PixelVictim().double().eval()
    model = SlidingWindow(window, SIZE, SIZE).eval()  # two windows, the second shifted inwards
    target = predicted(model, images)
    target[..., 16:] = 255  # the first window alone counts
    found = plain([TGR()]).run(model, images, target).float_images
    alone = plain([TGR()]).run(window, images[..., :24], target[..., :24]).float_images
    torch.testing.assert_close(found[..., :16], alone[..., :16], atol=1e-12, rtol=0)
    with pytest.raises(InputError, match="runs its Pixels several times"):
        plain([ATT()])(model, images, target)


def test_apgd_takes_tgr_and_refuses_att():
    model, images = victim().eval(), eight_bit_images(2, *SIZE)
    target = predicted(model, images)
    assert not torch.equal(APGD(EPS, 4, rules=[TGR()])(model, images, target), images)
    with pytest.raises(InputError, match="must not look ahead, got ATT"):
        APGD(EPS, rules=[ATT()])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_tiny_gradients_count_as_well_as_large_ones(rule):
    class Confident(ClassificationVictim):
        def forward(self, images: Tensor) -> Tensor:
            return 1e-30 * super().forward(images)

    images = eight_bit_images(2, *SIZE)
    target = predicted(victim(), images)
    found = plain([rule], 6).run(Confident(transformer(SIZE), CLASSES), images, target)
    assert (found.facts["zero_gradient"] == 0).all()
    assert ((found.float_images - images).abs().amax((1, 2, 3)) > 2 / 255).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TGR(scores=-1), "weights of at least 0"),
        (lambda: ATT(penalty=2), r"penalty in \[0, 1\]"),
        (lambda: ATT(mlp=-1), "mlp and adaptation must be at least 0"),
        (lambda: ATT(patch=0), "patch at least 1"),
        (lambda: ATT(cut=-1), "cut must be at least 0"),
        (lambda: ATT(scale=0.7), "together at most 1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_curved_victims_have_no_blocks():
    with pytest.raises(InputError, match="has none"), TGR().around(CurvedSegmenter()):
        pass
