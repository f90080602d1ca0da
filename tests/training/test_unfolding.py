"""Unfolding BatchNorm keeps what the network computes and makes its train mode agree with it."""

import torch
from torch import nn

from project.training.unfolding import unfold


def folded() -> nn.Sequential:
    """A network whose BatchNorm was folded away: activations far from mean 0, variance 1."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4)
        )
        with torch.no_grad():
            for layer in (network[0], network[3]):
                layer.weight.mul_(torch.rand(layer.weight.shape[0], 1, 1, 1) * 9 + 1)
            network[1].weight.uniform_(0.5, 2)
            network[4].bias.normal_()
    return network


IMAGES = [torch.rand(8, 3, 20, 20, generator=torch.Generator().manual_seed(n)) for n in range(3)]


def test_the_network_computes_the_same_in_eval_mode():
    network = folded().double().eval()
    images = [batch.double() for batch in IMAGES]
    before = network(images[0])
    unfold(network, network, images)
    torch.testing.assert_close(network(images[0]), before)


def test_train_mode_agrees_with_eval_mode_after_unfolding_and_not_before():
    network = folded()

    @torch.no_grad()
    def gap() -> float:
        expected = network.eval()(IMAGES[0])
        difference = network.train()(IMAGES[0]) - expected
        return float(difference.std() / expected.std())

    before = gap()
    network = folded()
    unfold(network, network, IMAGES)
    assert gap() < 0.1
    assert before > 0.3


def test_the_statistics_are_those_of_all_batches():
    network = folded()
    unfold(network, network, IMAGES)
    inputs = network[0](torch.cat(IMAGES))
    torch.testing.assert_close(network[1].running_mean, inputs.mean((0, 2, 3)), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        network[1].running_var, inputs.var((0, 2, 3), correction=0), atol=1e-3, rtol=1e-3
    )


def test_layers_with_statistics_of_their_own_are_left_alone_and_the_mode_too():
    network = folded().train()
    network[4].running_mean.fill_(0.5)
    before = {key: value.clone() for key, value in network[4].state_dict().items()}
    unfold(network, network, IMAGES)
    assert all(torch.equal(value, before[key]) for key, value in network[4].state_dict().items())
    assert network.training
