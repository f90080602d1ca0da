import math

import pytest

from project.report.columns import DISTANCES, column, perceptual
from project.report.visibility import visibility
from tests.report.rows import rows_of, run_of


@pytest.mark.parametrize(
    ("name", "title", "better"),
    [
        ("lpips_vgg", "LPIPS ↓ (vgg)", "lower"),
        ("stlpips_alex", "ST-LPIPS ↓ (alex)", "lower"),
        ("ciede2000", "ΔE00 ↓ (CIEDE2000)", "lower"),
        ("psnr", "PSNR ↑ (dB)", "higher"),
        ("flow_max", "flow max ↓ (px)", None),
        ("my_number", "my number", None),
    ],
)
def test_a_column_has_a_title_and_a_side_that_is_better(name, title, better):
    assert (column(name).title, column(name).better) == (title, better)


def test_the_arrow_in_a_title_is_the_side_that_is_better():
    for name in perceptual(["ssim", "mse", "uqi", "l0", "linf", "vif_p", "scc", "lpips_alex"]):
        assert {"lower": "↓", "higher": "↑"}[column(name).better] in column(name).title


def test_digits_are_the_columns_own_or_follow_the_size():
    assert [column("ssim").places(x) for x in (0.99, 1.999, 2.0, -30.0)] == [4, 4, 2, 2]
    assert column("psnr").places(0.5) == 2


def test_learned_metrics_come_first_and_the_rest_keeps_its_order():
    names = ["ssim", "mse", "dists", "lpips_vgg", "mask_area", "stlpips_alex", "lpips_alex"]
    learned = ["lpips_vgg", "lpips_alex", "stlpips_alex", "dists"]
    assert perceptual(names) == [*learned, "ssim", "mse"]


def test_every_measure_of_visibility_is_better_when_lower():
    assert {column(name).better for name in DISTANCES} == {"lower"}


def test_an_image_without_a_value_counts_in_no_mean():
    rows = rows_of("ssta", "a", "xxx", mse_outside=[1.0, math.nan, 3.0])
    [(*_, cells)] = visibility(run_of(rows)).rows
    assert cells[-1] == "2.00"
