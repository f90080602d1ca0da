"""Metrics of one family are prepared and measured once."""

import pytest

from project.metrics import MSE, PSNR, SSIM, UQI, L0Norm, LinfNorm, UQISewar
from project.metrics.family import families
from project.metrics.size_of_change import SizeOfChange
from project.metrics.sliding_windows import eight_bit
from tests.metrics.pairs import scenes


def names(metrics):
    return [[member.name for member in family.members] for family in families(metrics)]


def test_relatives_are_those_that_inherit_one_measurement():
    metrics = [UQI(), MSE(), SSIM(), PSNR(), UQISewar(), LinfNorm()]
    assert names(metrics) == [["uqi", "uqi_sewar"], ["mse", "psnr", "linf"], ["ssim"]]


def test_metric_without_relatives_is_its_own_family_each_time():
    assert names([SSIM(), SSIM()]) == [["ssim"], ["ssim"]]


def test_a_family_is_measured_once_and_gives_what_each_member_gives(monkeypatch):
    clean, adversarial = scenes(2)
    metrics = [MSE(), PSNR(), L0Norm()]
    expected = {metric.name: metric(clean, adversarial).tolist() for metric in metrics}
    measure, calls = SizeOfChange.measure, []

    def counted(self, side, levels):
        calls.append(self)
        return measure(self, side, levels)

    monkeypatch.setattr(SizeOfChange, "measure", counted)
    [family] = families(metrics)
    found = family.compare(family.prepare(eight_bit(clean)), eight_bit(adversarial))
    assert len(calls) == 1
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, rel=1e-15)
