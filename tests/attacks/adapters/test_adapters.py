"""Attacks of other libraries: the same images as the library alone, and what is refused."""

import random
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from project.attacks import ArtAttack, FoolboxAttack, TorchattacksAttack
from project.attacks.adapters.peer import AskedVictim, random_state
from project.core.errors import InputError
from project.core.identity import describe, digest
from tests.models import CurvedClassifier, eight_bit_images, predicted
from tests.test_configs import CONFIGS, attacks_of

needs_torchattacks = pytest.mark.skipif(not find_spec("torchattacks"), reason="an extra")
needs_art = pytest.mark.skipif(not find_spec("art"), reason="an extra")
EPS = 8 / 255


def scene(count: int = 3) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    victim, images = CurvedClassifier().eval(), eight_bit_images(count)
    return victim, images, predicted(victim, images)


def rounded(images: torch.Tensor, clean: torch.Tensor, eps: float = EPS) -> torch.Tensor:
    """Return images in a ball of whole levels, rounded."""
    return (torch.minimum(torch.maximum(images, clean - eps), clean + eps) * 255).round() / 255


def test_foolbox_alone_makes_the_same_images():
    import foolbox

    victim, images, target = scene()
    model = foolbox.PyTorchModel(victim, bounds=(0, 1))
    settings = {"steps": 6, "abs_stepsize": 0.01, "random_start": False}
    _, alone, _ = foolbox.attacks.LinfPGD(**settings)(model, images, target, epsilons=EPS)
    found = FoolboxAttack("LinfPGD", settings, EPS).run(victim, images, target)
    torch.testing.assert_close(found.float_images, alone, atol=1e-6, rtol=0)
    assert torch.equal(found.images, rounded(alone, images))


def test_a_least_change_of_foolbox_is_the_one_that_it_finds():
    import foolbox

    victim, images, target = scene()
    model = foolbox.PyTorchModel(victim, bounds=(0, 1))
    alone = foolbox.attacks.L2DeepFoolAttack()(model, images, target, epsilons=None)[0]
    found = FoolboxAttack("L2DeepFoolAttack").run(victim, images, target)
    torch.testing.assert_close(found.float_images, alone, atol=1e-6, rtol=0)
    assert found.success_float.all()


@needs_torchattacks
def test_torchattacks_alone_makes_the_same_images():
    library = import_module("torchattacks")
    victim, images, target = scene()
    alone = library.MIFGSM(victim, eps=EPS, alpha=0.01, steps=6)(images, target)
    settings = {"alpha": 0.01, "steps": 6}
    found = TorchattacksAttack("MIFGSM", settings, EPS).run(victim, images, target)
    torch.testing.assert_close(found.float_images, alone, atol=1e-6, rtol=0)
    assert torch.equal(found.images, rounded(alone, images))


@needs_art
def test_art_alone_makes_the_same_images():
    evasion = import_module("art.attacks.evasion")
    classification = import_module("art.estimators.classification")
    victim, images, target = scene()
    loss = nn.CrossEntropyLoss()
    model = classification.PyTorchClassifier(victim, loss, (3, 12, 16), 4, clip_values=(0, 1))
    alone = evasion.FastGradientMethod(model, eps=EPS).generate(images.numpy(), target.numpy())
    found = ArtAttack("FastGradientMethod", eps=EPS).run(victim, images, target)
    torch.testing.assert_close(found.float_images, torch.from_numpy(alone), atol=1e-6, rtol=0)


def test_a_budget_holds_though_the_library_knows_of_none():
    victim, images, target = scene()
    free = FoolboxAttack("L2DeepFoolAttack", {"overshoot": 5.0}).run(victim, images, target)
    size = (free.images - images).flatten(1).norm(dim=1)
    held = FoolboxAttack("L2DeepFoolAttack", {"overshoot": 5.0}, 0.05, "l2")
    found = held.run(victim, images, target)
    assert (size > 0.1).all()
    for own in (found.images, found.float_images):
        assert ((own - images).flatten(1).norm(dim=1) <= 0.05 + 1e-6).all()
    assert not torch.equal(found.images, images)


def test_a_decision_without_a_start_leaves_the_image():
    class Constant(nn.Module):
        def forward(self, images):
            return torch.tensor([[1.0, 0.0]]).repeat(len(images), 1) + 0 * images.sum()

    images = eight_bit_images(2)
    target = torch.zeros(2, dtype=torch.int64)
    result = FoolboxAttack("BoundaryAttack", {"steps": 3}).run(Constant(), images, target)
    assert torch.equal(result.images, images)
    assert not result.success.any()


def test_rows_tell_how_often_the_victim_was_asked():
    victim, images, target = scene()
    settings = {"steps": 6, "abs_stepsize": 0.01}
    result = FoolboxAttack("LinfPGD", settings, EPS).run(victim, images, target)
    assert result.steps.tolist() == [7, 7, 7]  # foolbox judges what it has found


def test_a_targeted_attack_aims_at_the_target():
    victim, images, target = scene()
    wanted = (target + 1) % 4
    settings = {"steps": 40, "abs_stepsize": 0.01}
    attack = FoolboxAttack("LinfPGD", settings, 0.2, targeted=True)
    assert (predicted(victim, attack(victim, images, wanted)) == wanted).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FoolboxAttack("LinfPDG", eps=EPS), r"method must be .*Do you mean LinfPGD"),
        (lambda: FoolboxAttack("DatasetAttack"), "method must be one of"),
        (
            lambda: FoolboxAttack("LinfPGD", {"step": 3}, EPS),
            "a setting of LinfPGD must be one of .*got 'step'. Do you mean steps",
        ),
        (lambda: FoolboxAttack("LinfPGD"), "LinfPGD works inside a budget: give FoolboxAttack an"),
        (lambda: FoolboxAttack("L2PGD", eps=1.0), "L2PGD works in l2, got norm linf. Set norm"),
        (lambda: FoolboxAttack("L1PGD", eps=1.0), "L1PGD works in .*got norm linf"),
        (
            lambda: FoolboxAttack("GaussianBlurAttack", {"distance": "l2"}),
            "distance is given by the fields",
        ),
        (lambda: FoolboxAttack("LinfPGD", eps=-1.0), "greater than 0, got -1"),
        (lambda: FoolboxAttack("LinfPGD", eps=8.0), "For grey levels give 8/255"),
        (lambda: FoolboxAttack(7), "FoolboxAttack's method must be a text, got 7"),
        (
            lambda: FoolboxAttack("L2DeepFoolAttack", {"loss": "none"}),
            None,
        ),
    ],
)
def test_what_foolbox_has_not_is_refused_when_it_is_given(make, message):
    if message is None:  # a value that the library itself looks at when it runs
        with pytest.raises(InputError, match=r"foolbox's L2DeepFoolAttack failed on sample 0: Val"):
            make()(*scene())
        return
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@needs_torchattacks
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TorchattacksAttack("PDG", eps=EPS), "method must be .*Do you mean"),
        (lambda: TorchattacksAttack("LGV"), "method must be one of"),
        (lambda: TorchattacksAttack("PGD", {"step": 3}, EPS), "got 'step'. Do you mean steps"),
        (lambda: TorchattacksAttack("PGD", {"eps": 0.1}, EPS), "PGD's eps is given by the fields"),
        (lambda: TorchattacksAttack("Square", {"seed": 1}, EPS), "seed is given by the fields"),
        (lambda: TorchattacksAttack("PGD"), "PGD works inside a budget"),
        (lambda: TorchattacksAttack("PGDL2", eps=EPS), "PGDL2 works in l2, got norm linf"),
        (lambda: TorchattacksAttack("TPGD", eps=EPS, targeted=True), "TPGD cannot be targeted"),
    ],
)
def test_what_torchattacks_has_not_is_refused_when_it_is_given(make, message):
    with pytest.raises(InputError, match=message):
        make()


@needs_art
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArtAttack("HopSkipJumps"), "method must be .*Do you mean HopSkipJump"),
        (lambda: ArtAttack("ZooAttack", {"max_iters": 3}), "got 'max_iters'. Do you mean max_iter"),
        (lambda: ArtAttack("SquareAttack"), "SquareAttack works inside a budget"),
        (lambda: ArtAttack("DeepFool", targeted=True), "DeepFool cannot be targeted"),
        (lambda: ArtAttack("HopSkipJump", {"norm": 2}, 1.0, "l2"), "norm is given by the fields"),
        (lambda: ArtAttack("HopSkipJump", {"max_iter": -1}), "art cannot make HopSkipJump with"),
        (lambda: ArtAttack("DPatch"), "art cannot make DPatch with these settings: EstimatorError"),
    ],
)
def test_what_art_has_not_is_refused_when_it_is_given(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_library_that_is_missing_is_told_with_its_pip_line(monkeypatch):
    pytest.importorskip("foolbox")
    attack = FoolboxAttack("LinfPGD", eps=0.1)
    monkeypatch.setattr(FoolboxAttack, "package", "no_such_library")
    expected = "FoolboxAttack needs the package no_such_library, .*pip install 'mirage-attacks"
    with pytest.raises(InputError, match=expected):
        attack.known()


def test_random_state_is_each_images_own_and_restored_afterwards():
    def drawn() -> tuple:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = drawn()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    with random_state(7, torch.device("cpu")):
        inside = drawn()
    assert drawn() == expected
    with random_state(7, torch.device("cpu")):
        assert drawn() == inside
    with random_state(8, torch.device("cpu")):
        assert all(a != b for a, b in zip(drawn(), inside, strict=True))


def test_the_victim_hides_what_libraries_would_change():
    victim = CurvedClassifier()
    victim.out.grad = torch.ones_like(victim.out)
    asked = AskedVictim(victim.double().eval(), torch.zeros(1, dtype=torch.float64))
    asked.train()
    asked.zero_grad()
    assert not asked.training
    assert not victim.training
    assert victim.out.grad is not None
    images = eight_bit_images(2)
    assert asked(images).dtype == torch.float32
    assert asked.asked == 2


def test_the_key_knows_settings_budget_and_the_librarys_version(monkeypatch):
    def key(*arguments, **fields) -> str:
        return digest(describe(FoolboxAttack(*arguments, **fields)))

    settings = {"steps": 6}
    kept = key("LinfPGD", settings, EPS)
    others = [
        key("LinfPGD", {"steps": 7}, EPS),
        key("LinfPGD", settings, EPS / 2),
        key("LinfPGD", settings, EPS, seed=1),
        key("LinfAdamPGD", settings, EPS),
    ]
    assert key("LinfPGD", settings, EPS) == kept
    monkeypatch.setattr("project.attacks.adapters.peer.version", lambda name: f"{name} 99")
    assert len({kept, *others, key("LinfPGD", settings, EPS)}) == 6


def test_traits_tell_the_librarys_name_and_the_budget_if_there_is_one():
    budgeted = FoolboxAttack("LinfPGD", eps=EPS).traits()
    assert budgeted["method"] == "FoolboxAttack(LinfPGD)"
    assert (budgeted["norm"], budgeted["eps"]) == ("linf", EPS)
    assert set(FoolboxAttack("L2DeepFoolAttack").traits()) == {"kind", "method"}


@pytest.mark.parametrize("library", ["foolbox", "torchattacks", "art"])
def test_the_configs_are_built_as_they_say(library):
    if not find_spec(library):
        pytest.skip("an extra")
    attacks = attacks_of(CONFIGS / "attacks" / f"peers_{library}.yaml")
    assert attacks
    assert {attack.package for attack in attacks.values()} == {library}
