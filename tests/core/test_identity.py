"""What an object is in plain data, and hashes of it."""

import datetime
import math
import operator
import random
import threading
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MethodType

import numpy as np
import pytest
import torch
from PIL import Image
from timm.models import FeatureInfo
from torch import nn

from project.attacks import PGD, SSTA, Momentum, TranSegPGD
from project.attacks.noise import transegpgd
from project.core.arrays import weights_hash
from project.core.errors import UndescribableError
from project.core.identity import describe, digest, public_name
from project.core.layer_kinds import hooks_of
from project.data import ShapesData
from tests.core import things


class Forgetful:
    def __init__(self, size: int) -> None:
        self.length = size


def test_description_says_class_and_arguments_to_any_depth():
    described = describe(PGD(eps=0.1, rules=[Momentum(0.9)]))
    assert described["class"] == "project.attacks.PGD"
    assert described["eps"] == 0.1
    assert described["rules"] == [{"class": "project.attacks.Momentum", "decay": 0.9}]


def test_digest_changes_with_any_argument():
    assert digest(describe(SSTA())) == digest(describe(SSTA()))
    assert digest(describe(SSTA())) != digest(describe(SSTA(seed=1)))
    assert digest(describe(SSTA())) != digest(describe(SSTA(profile="released")))


def test_object_that_forgets_an_argument_cannot_be_described():
    with pytest.raises(TypeError, match="'size' as an attribute"):
        describe(Forgetful(3))


def test_nameless_functions_cannot_be_described():
    with pytest.raises(TypeError, match="at module level"):
        describe(SSTA(lambda images: images[:, :1]))


def test_weights_hash_sees_every_parameter_and_buffer():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    before = weights_hash(network)
    assert weights_hash(network) == before
    network[1].running_mean[1] += 1e-6
    assert weights_hash(network) != before


def test_weights_hash_tells_which_layer_holds_the_weights():
    first, second = nn.Module(), nn.Module()
    first.left = second.right = nn.Parameter(torch.ones(2))
    assert weights_hash(first) != weights_hash(second)


def test_moving_a_class_to_another_file_keeps_its_key(monkeypatch):
    attack = PGD(eps=0.1, rules=[Momentum(0.9)])
    before = digest(describe(attack))
    monkeypatch.setattr(PGD, "__module__", "project.attacks.elsewhere.deep.down")
    monkeypatch.setattr(Momentum, "__module__", "project.attacks.parts")
    assert digest(describe(attack)) == before
    monkeypatch.setattr(Momentum, "__module__", "mine.attacks.parts")  # where there is none
    with pytest.raises(UndescribableError, match="Momentum must be defined at module level"):
        describe(attack)


def test_classes_from_elsewhere_are_known_by_where_they_are_found():
    assert public_name(nn.Conv2d) == "torch.nn.modules.conv.Conv2d"
    assert public_name(PGD) == "project.attacks.PGD"
    assert public_name(ShapesData) == "project.data.ShapesData"


def test_a_preset_whose_values_change_makes_another_key(monkeypatch):
    before = digest(describe(TranSegPGD(preset="tuned")))
    changed = replace(transegpgd.PRESETS["tuned"], gamma=0.4)
    monkeypatch.setitem(transegpgd.PRESETS, "tuned", changed)
    assert digest(describe(TranSegPGD(preset="tuned"))) != before
    assert digest(describe(TranSegPGD())) == digest(describe(TranSegPGD()))


def same(first, second) -> bool:
    return digest(describe(first)) == digest(describe(second))


def free(**values) -> things.Free:
    made = things.Free()
    vars(made).update(values)
    return made


DIFFERENT = {
    "text and number": ("1", 1),
    "truth and number": (True, 1),
    "zero and minus zero": (0.0, -0.0),
    "not a number": (math.nan, "nan"),
    "infinity": (math.inf, -math.inf),
    "keys of a mapping": ({1: "a"}, {"1": "a"}),
    "order of a mapping": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "a mapping and an object": ({"class": "tests.core.things.Free"}, things.Free()),
    "sets": ({1, 2}, {1, 3}),
    "a set and a list": ({1}, [1]),
    "bytes": (b"a", b"b"),
    "complex": (1j, 2j),
    "dates": (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
    "choices": (things.Level.LOW, things.Level.HIGH),
    "a choice and its value": (things.Level.LOW, 1),
    "types of numbers": (torch.float32, torch.float64),
    "numpy and plain": (np.float64(0.1), 0.1),
    "tensors": (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])),
    "shapes of tensors": (torch.zeros(2, 3), torch.zeros(3, 2)),
    "types of tensors": (torch.zeros(2), torch.zeros(2).int()),
    "a parameter and a tensor": (nn.Parameter(torch.zeros(2)), torch.zeros(2)),
    "conjugates": (torch.tensor([1j]), torch.tensor([1j]).conj()),
    "arrays": (np.arange(3), np.arange(3) + 1),
    "types of arrays": (np.arange(3, dtype=np.int32), np.arange(3, dtype=np.float32)),
    "masked arrays": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    "arguments of a partial": (partial(things.plain, 1), partial(things.plain, 2)),
    "keywords of a partial": (partial(things.plain, a=1), partial(things.plain, a=2)),
    "functions of a partial": (partial(things.plain), partial(things.decorated)),
    "objects of a method": (things.Maker(1).made, things.Maker(2).made),
    "layers with memory": (nn.LSTM(2, 3), nn.LSTM(2, 3, bidirectional=True)),
    "weak references": (weakref.ref(things.Level), weakref.ref(things.Maker)),
    "methods of an object": (things.Maker(1).made, things.Maker(1).other),
    "builtins": (torch.relu, torch.sigmoid),
    "builtins of two modules": (math.exp, np.exp.__class__.__call__),
    "methods of builtins": ([1].append, [2].append),
    "methods of tensors": (torch.Tensor.relu, torch.Tensor.sigmoid),
    "slots": (things.Slotted(1), things.Slotted(2)),
    "attributes without a constructor": (free(eps=1), free(eps=2)),
    "fields of a subclass": (things.MyPGD(), things.MyPGD(more=1.0)),
    "a subclass": (things.MyPGD(), PGD()),
    "networks without weights": (nn.ReLU(), nn.GELU()),
    "plain arguments of a network": (nn.GELU(), nn.GELU(approximate="tanh")),
    "slopes": (nn.Sequential(nn.LeakyReLU(0.1)), nn.Sequential(nn.LeakyReLU(0.2))),
    "layers": (nn.Sequential(nn.ReLU()), nn.Sequential(nn.GELU())),
    "order of layers": (nn.Sequential(nn.ReLU(), nn.GELU()), nn.Sequential(nn.GELU(), nn.ReLU())),
    "numbers that are no weights": (things.Shift(1.0), things.Shift(2.0)),
    "strides": tuple(nn.Sequential(nn.AvgPool2d(2, stride)) for stride in (1, 2)),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_acts_differently_is_described_differently(pair):
    first, second = pair
    assert not same(first, second)
    assert same(first, first)
    assert describe(first) == describe(first)  # NaN too, or no manifest would equal itself


def wrapped_twice():
    return things.doubled(things.plain)


REFUSED = {
    "lambda": lambda images: images,
    "wrapped function": wrapped_twice(),
    "method of no class": MethodType(lambda self: self, things.Free()),
    "generator": torch.Generator(),
    "numpy generator": np.random.default_rng(0),
    "standard generator": random.Random(0),
    "lock": threading.Lock(),
    "item getter": operator.itemgetter(1),
    "picture": Image.new("L", (2, 2)),
    "module": math,
    "iterator": iter([1]),
}


@pytest.mark.parametrize("thing", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_told_apart_is_refused(thing):
    with pytest.raises(UndescribableError):
        describe(thing)
    with pytest.raises(UndescribableError):
        describe([partial(things.plain, thing)])


def test_classes_that_a_function_makes_are_refused_by_name():
    def made(amount: float) -> nn.Module:
        class Inner(nn.Module):
            def forward(self, images):
                return images + amount

        return Inner()

    with pytest.raises(UndescribableError, match=r"made.<locals>.Inner must be defined at module"):
        describe(nn.Sequential(made(1.0)))


def test_the_argument_that_cannot_be_described_is_named():
    with pytest.raises(UndescribableError, match=r"SSTA.saliency: .*lambda"):
        describe(SSTA(lambda images: images[:, :1]))


def test_what_holds_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(UndescribableError, match="holds itself"):
        describe(loop)


def test_what_was_computed_on_the_way_changes_nothing():
    maker = things.Maker(2)
    before = describe(maker)
    assert maker.table
    assert describe(maker) == before


def test_functions_found_under_their_name_are_described_however_they_were_made():
    for thing in (things.plain, things.decorated, things.cached_one, torch.relu, things.Maker):
        assert same(thing, thing)
    assert not same(things.plain, things.decorated)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_scripted_networks_are_told_by_their_code_and_numbers():
    def scripted(amount: float):
        return torch.jit.script(things.Shift(amount))

    assert same(scripted(1.0), scripted(1.0))
    assert not same(scripted(1.0), scripted(2.0))
    images = torch.zeros(1, 3)
    traced = [torch.jit.trace(layer, images) for layer in (nn.ReLU(), nn.GELU())]
    assert not same(*traced)


def test_traced_graphs_are_told_by_their_code():
    graphs = [torch.fx.symbolic_trace(nn.Sequential(layer)) for layer in (nn.ReLU(), nn.GELU())]
    assert same(graphs[0], torch.fx.symbolic_trace(nn.Sequential(nn.ReLU())))
    assert not same(*graphs)


def test_hooks_belong_to_a_network():
    network = nn.Sequential(nn.ReLU())
    before = digest(describe(network))
    handle = network[0].register_forward_hook(things.plain)
    assert digest(describe(network)) != before
    handle.remove()
    assert digest(describe(network)) == before


def test_files_count_by_content_and_not_by_place(tmp_path):
    for place, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "words.txt").write_bytes(content)
    for kind in (str, Path):
        for inside in ("words.txt", "."):
            files = [kind(tmp_path / place / inside) for place in "abc"]
            if inside == "words.txt":
                assert same(files[0], files[1])
            assert not same(files[0], files[2])
    makers = [things.Maker(str(tmp_path / place / "words.txt")) for place in "ab"]
    assert same(*makers)
    before = digest(describe(tmp_path))
    (tmp_path / "c/words.txt").write_bytes(b"3")
    assert digest(describe(tmp_path)) != before


def test_a_word_is_no_file_whatever_lies_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = describe("resnet50")
    Path("resnet50").write_text("something")
    assert describe("resnet50") == before == "resnet50"


def test_words_in_an_object_inside_of_a_library_s_layer_are_no_folders(tmp_path, monkeypatch):
    """Such as the config in layers of transformers, or the list of features of timm's networks."""
    monkeypatch.chdir(tmp_path)
    layer, own = nn.Identity(), things.Shift(2.0)
    for holder in (layer, own):
        features = [{"num_chs": 8, "reduction": 2, "module": "project"}]
        holder.told = FeatureInfo(features, (0,))
    networks = [nn.Sequential(layer), nn.Sequential(nn.Sequential(own), layer)]
    before = [digest(describe(network)) for network in networks]
    (tmp_path / "project").mkdir()
    after = [digest(describe(network)) for network in networks]
    assert after[0] == before[0]
    assert after[1] != before[1]  # somebody's own layer may read it


def full_backward(network: nn.Module) -> None:
    network[1].register_full_backward_hook(things.plain)


def old_backward(network: nn.Module) -> None:
    network[1].register_backward_hook(things.plain)


def before_backward(network: nn.Module) -> None:
    network[1].register_full_backward_pre_hook(things.plain)


def forward(**flags: bool):
    return lambda network: network[1].register_forward_hook(things.plain, **flags)


def before_forward(**flags: bool):
    return lambda network: network[1].register_forward_pre_hook(things.plain, **flags)


HOOKS = {
    "none": lambda network: None,
    "backward": full_backward,
    "backward of old": old_backward,
    "before backward": before_backward,
    "forward": forward(),
    "forward with keywords": forward(with_kwargs=True),
    "forward after errors": forward(always_call=True),
    "before forward": before_forward(),
    "before forward with keywords": before_forward(with_kwargs=True),
}


def test_hooks_of_every_kind_belong_to_a_network():
    told = set()
    for hooked in HOOKS.values():
        network = nn.Sequential(nn.ReLU(), nn.ReLU())
        hooked(network)
        told.add(digest(describe(network)))
    assert len(told) == len(HOOKS)


def test_hooks_that_are_gone_change_nothing():
    network = nn.Sequential(nn.ReLU())
    before = describe(network)
    network[0].register_full_backward_hook(things.plain).remove()
    assert describe(network) == before


def test_descriptions_without_hooks_are_those_of_before():
    # Their last part, the hooks, as it was before hooks on the backward pass counted.
    assert describe([[], []]) == describe(hooks_of(nn.ReLU()))


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """Work beside a folder of files, which a linked one lies in too; return what changes them."""
    monkeypatch.chdir(tmp_path)
    Path("maps/deep").mkdir(parents=True)
    Path("linked").mkdir()
    Path("maps/away").symlink_to(Path("linked").absolute())
    Path("maps/round").symlink_to(Path("maps").absolute())

    def write(content: str, *paths: str) -> None:
        for path in paths or ("maps/1.png", "maps/deep/1.png", "linked/1.png", "word"):
            Path(path).write_text(content)

    write("1")
    return write


PATHS = ("maps", "./maps", "maps/{}.png", "maps/*.png", "maps/%d.png", "maps/deep/{}/x", "word")


@pytest.mark.parametrize("path", PATHS)
def test_whatever_somebody_elses_object_may_read_counts(maps, path):
    makers = [things.Maker(path), things.Maker([{"a": path}]), partial(things.plain, path)]
    makers += [things.Shift(path), nn.Sequential(things.Shift(path))]
    makers += [things.Maker(Path(path))]
    before = [digest(describe(one)) for one in makers]
    assert [digest(describe(one)) for one in makers] == before
    maps("2")
    after = [digest(describe(one)) for one in makers]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_patterns_of_one_folder_differ(maps):
    assert not same(things.Maker("maps/{}.png"), things.Maker("maps/{}.jpg"))


def test_words_of_the_package_stay_words_in_whatever_they_lie(maps, monkeypatch):
    Path("tuned").mkdir()
    attack = TranSegPGD(preset="tuned")
    before = describe([attack, things.Maker(attack), things.Maker("nowhere/{}.png")])
    maps("2", "tuned/1.png")
    assert describe([attack, things.Maker(attack), things.Maker("nowhere/{}.png")]) == before


def test_files_in_a_linked_folder_count(maps):
    before = describe("./maps")
    maps("2", "linked/1.png")
    assert describe("./maps") != before
