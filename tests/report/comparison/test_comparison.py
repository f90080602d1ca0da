import math

import numpy as np
import pytest

from project.report.comparison.compare import compare
from project.report.comparison.published import PUBLISHED, method
from project.report.comparison.white_box import family, white_box
from project.statistics.wilson import wilson
from tests.report.rows import data_of, rows_of, run_of

CONFIG = """
attack:
  attacks:
    first: {class_path: project.attacks.PGD, init_args: {eps: 0.03}}
    mine: {class_path: project.attacks.SSTA}
    shrunk:
      class_path: Refined
      init_args: {attack: {class_path: project.attacks.StAdv, init_args: {steps: 3}}}
"""


def two_victims():
    """SSTA and stAdv on victims a and b, five images; matched are a0, a1, b1 and b4."""
    return [
        rows_of("ssta", "a", "xxx.-", lpips_alex=[1.0, 2.0, 9.0, 9.0, 9.0]),
        rows_of("ssta", "b", "-x..x", lpips_alex=[9.0, 4.0, 9.0, 9.0, 5.0]),
        rows_of("stadv", "a", "xx.x-", lpips_alex=[2.0, 6.0, 9.0, 9.0, 9.0]),
        rows_of("stadv", "b", "-xx.x", lpips_alex=[9.0, 6.0, 9.0, 9.0, 10.0]),
    ]


def contrast(found, attack, metric):
    [one] = [c for c in found.quality_contrasts if (c.attack, c.metric) == (attack, metric)]
    return one


def test_success_is_of_the_images_right_when_clean_with_wilsons_interval():
    found = compare(data_of(*two_victims()))
    by = {(one.attack, one.victim): one for one in found.successes}
    assert [by["ssta", v].hits for v in ("a", "b", "all")] == [3, 2, 5]
    assert [by["ssta", v].total for v in ("a", "b", "all")] == [4, 4, 8]
    assert by["stadv", "a"].rate == (0.75, *wilson(0.75, 4))
    assert by["stadv", "all"].rate == (6 / 8, *wilson(6 / 8, 4))


def test_quality_is_over_the_pairs_that_every_attack_fools():
    data = data_of(*two_victims())
    found = compare(data)
    matched = [
        (data.images[k], data.by_name[v]) for k, v in np.argwhere(data.matched(data.attacks))
    ]
    assert matched == [(0, "a"), (1, "a"), (1, "b"), (4, "b")]
    assert (found.matched, found.pairs, found.matched_images) == ({"a": 2, "b": 2}, 4, 3)
    assert [one.mean.value for one in found.qualities] == [12 / 4, 24 / 4]
    assert [one.pairs for one in found.qualities] == [4, 4]
    assert [found.fooled[attack] - 4 for attack in found.attacks] == [1, 2]


def test_the_ratio_is_of_means_and_the_test_of_one_difference_per_image():
    one = contrast(compare(data_of(*two_victims())), "stadv", "lpips_alex")
    assert one.effect.value == pytest.approx(24 / 12)
    assert (one.pairs, one.images) == (4, 3)
    # differences 1, (4 + 2) / 2 and 5, all of one sign: 2 of 8 outcomes are as extreme
    assert one.p == one.corrected == pytest.approx(0.25)
    assert one.winner == "neither"
    assert one.published == pytest.approx(0.1595 / 0.0038)


def test_of_a_metric_that_is_better_when_higher_the_difference_is_told():
    found = compare(
        data_of(
            rows_of("ssta", "a", "xxx", psnr=[50.0, 60.0, 40.0], ssim=[0.9, 0.9, 0.9]),
            rows_of("stadv", "a", "xxx", psnr=[40.0, 30.0, 35.0], ssim=[0.9, 0.9, 0.9]),
        )
    )
    assert contrast(found, "stadv", "psnr").effect.value == pytest.approx(-45 / 3)
    assert contrast(found, "stadv", "psnr").published == pytest.approx(29.81 - 49.24)
    assert contrast(found, "stadv", "ssim").p == 1.0


def test_a_weak_attack_takes_nothing_from_the_tests_of_the_others():
    found = compare(
        data_of(
            rows_of("ssta", "a", "xxxx", mse=[1.0] * 4),
            rows_of("pgd", "a", "xxxx", mse=[2.0] * 4),
            rows_of("other", "a", "..xx", mse=[1.0] * 4),
        )
    )
    assert found.pairs == 2
    assert contrast(found, "pgd", "mse").pairs == 4


def many(attack, values, metric="mse"):
    return rows_of(attack, "a", "x" * len(values), **{metric: values})


def test_a_clear_case_is_decided_for_whoever_is_less_visible():
    low, high = [float(k) for k in range(1, 13)], [2.5 * k + 3 for k in range(1, 13)]
    lower = compare(data_of(many("ssta", low), many("pgd", high)))
    assert contrast(lower, "pgd", "mse").winner == "reference"
    other = compare(data_of(many("ssta", high), many("pgd", low)))
    assert contrast(other, "pgd", "mse").winner == "other"
    higher = compare(data_of(many("ssta", high, "psnr"), many("pgd", low, "psnr")))
    assert contrast(higher, "pgd", "psnr").winner == "reference"


def test_no_winner_is_named_where_mean_and_median_disagree():
    ours = [0.0] * 12
    theirs = [-1.0 - 0.01 * k for k in range(11)] + [100.0]  # lower on 11 images, much higher on 1
    one = contrast(compare(data_of(many("ssta", ours), many("pgd", theirs))), "pgd", "mse")
    assert one.corrected < 0.05
    assert one.winner == "neither"


def test_p_values_are_corrected_over_all_attacks_and_metrics():
    values = [float(k) for k in range(1, 7)]
    found = compare(
        data_of(
            rows_of("ssta", "a", "x" * 6, mse=values, l2=values),
            rows_of("pgd", "a", "x" * 6, mse=[v + 1 + v / 9 for v in values], l2=values),
            rows_of("fgsm", "a", "x" * 6, mse=[v + 2 + v / 9 for v in values], l2=values),
        )
    )
    assert contrast(found, "pgd", "mse").p == pytest.approx(2 / 2**6)
    assert contrast(found, "pgd", "mse").corrected == pytest.approx(4 * 2 / 2**6)
    assert contrast(found, "pgd", "mse").winner == "neither"
    assert contrast(found, "fgsm", "l2").corrected == 1.0


def test_success_is_tested_on_the_images_that_one_attack_alone_fools():
    found = compare(data_of(rows_of("ssta", "a", "xxxxxxx.-"), rows_of("pgd", "a", "x......x-")))
    [one] = found.success_contrasts
    assert (one.only_reference, one.only_other) == (6, 1)
    assert one.p == pytest.approx(2 * (1 + 7) / 2**7)


def test_an_infinite_psnr_is_counted_and_not_averaged():
    found = compare(
        data_of(
            rows_of("ssta", "a", "xxx", psnr=[50.0, math.inf, 40.0]),
            rows_of("pgd", "a", "xxx", psnr=[30.0, 31.0, 32.0]),
        )
    )
    first, second = found.qualities
    assert (first.mean.value, first.pairs, first.infinite) == (45.0, 2, 1)
    assert (second.mean.value, second.infinite) == (31.0, 0)
    assert contrast(found, "pgd", "psnr").pairs == 2
    assert contrast(found, "pgd", "psnr").effect.value == pytest.approx(-14.0)


def test_attacks_without_a_common_image_have_nothing_to_compare_but_success():
    found = compare(
        data_of(
            rows_of("ssta", "a", "x...", mse=[1.0] * 4), rows_of("pgd", "a", ".xx.", mse=[1.0] * 4)
        )
    )
    assert found.pairs == 0
    assert found.quality_contrasts == []
    assert all(math.isnan(one.mean.value) for one in found.qualities)
    assert [one.hits for one in found.successes if one.victim == "a"] == [1, 2]


def test_an_attack_that_fools_less_than_half_matches_nothing_and_empties_nothing():
    strong = rows_of("ssta", "a", "xxxx", mse=[1.0] * 4), rows_of("pgd", "a", "xx..", mse=[2.0] * 4)
    weak = rows_of("stadv", "a", "...x", mse=[1.0] * 4)
    found = compare(data_of(*strong, weak))
    assert found.weak == ["stadv"]
    assert found.pairs == found.matched_images == 2
    assert [one.attack for one in found.qualities] == ["ssta", "pgd"]
    assert contrast(found, "stadv", "mse").pairs == 1
    assert compare(data_of(strong[0], weak)).weak == []


def test_a_metric_that_one_attack_lacks_is_left_out_for_it_alone():
    found = compare(
        data_of(
            rows_of("ssta", "a", "xx", mse=[1.0, 2.0], dists=[0.1, 0.3]),
            rows_of("pgd", "a", "xx", mse=[3.0, 3.0]),
        )
    )
    assert [c.metric for c in found.quality_contrasts] == ["mse"]
    by = {(one.attack, one.metric): one.mean.value for one in found.qualities}
    assert by["ssta", "dists"] == pytest.approx(0.2)
    assert math.isnan(by["pgd", "dists"])


def test_rows_without_any_perceptual_metric_still_compare_success():
    found = compare(data_of(rows_of("ssta", "a", "xx."), rows_of("pgd", "a", "x..")))
    assert found.metrics == found.qualities == found.quality_contrasts == []
    assert [one.hits for one in found.successes] == [2, 2, 1, 1]


def test_lpips_and_dists_stand_first_and_what_is_no_perceptual_metric_nowhere():
    group = rows_of("ssta", "a", "x", ssim=[1.0], flow_max=[1.0], dists=[0.0], lpips_vgg=[0.0])
    found = compare(data_of(group, rows_of("pgd", "a", "x")))
    assert found.metrics == ["lpips_vgg", "dists", "ssim"]


def test_transfer_rows_and_victims_that_not_all_attacks_were_made_on_do_not_count():
    transfer = [row | {"source": "a"} for row in rows_of("ssta", "b", "xxxx")]
    found = compare(
        data_of(
            rows_of("ssta", "a", "x.."),
            transfer,
            rows_of("pgd", "a", "xx."),
            rows_of("pgd", "c", "xxx"),
        )
    )
    assert found.victims == ["a"]
    assert found.fooled == {"ssta": 1, "pgd": 2}


def test_there_is_no_comparison_of_segmenters_or_of_one_attack_or_of_nothing():
    pair = rows_of("ssta", "a", "xx"), rows_of("pgd", "a", "xx")
    assert white_box(run_of(*pair)) is not None
    assert white_box(run_of(*pair, task="segmentation")) is None
    assert white_box(run_of(pair[0])) is None
    assert white_box(run_of()) is None
    apart = rows_of("ssta", "a", "xx"), rows_of("pgd", "b", "xx")
    assert white_box(run_of(*apart)) is None


def test_the_reference_is_the_first_ssta_by_class_or_the_one_asked_for():
    names = ("first", "mine", "shrunk")
    data = data_of(*(rows_of(name, "a", "xx") for name in names), config=CONFIG)
    assert data.methods == {"first": "pgd", "mine": "ssta", "shrunk": "stadv"}
    assert data.reference(None) == "mine"
    assert data.reference("shrunk") == "shrunk"
    with pytest.raises(ValueError, match="one of first, mine, shrunk, got 'other'"):
        data.reference("other")


def test_without_a_config_names_tell_the_method_and_the_first_is_the_reference():
    data = data_of(rows_of("my_pgd", "a", "xx"), rows_of("stadv_tuned", "a", "xx"))
    assert data.methods == {"my_pgd": "mypgd", "stadv_tuned": "stadv"}
    assert data.reference(None) == "my_pgd"
    assert method("Chroma-Shift fast", None) == "chromashift"


@pytest.mark.parametrize("config", ["", "- 1", "attack: 3", "attack: {attacks: [1]}", "{: bad"])
def test_a_config_of_any_shape_costs_no_comparison(config):
    groups = rows_of("ssta", "a", "xx"), rows_of("pgd", "a", "xx")
    assert data_of(*groups, config=config).methods == {"ssta": "ssta", "pgd": "pgd"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("pgd@4", ("pgd", "4")),
        ("ssta@0.5", ("ssta", "0.5")),
        ("pgd", ("pgd", None)),
        ("@4", ("@4", None)),
        ("pgd@", ("pgd@", None)),
        ("a@b@2", ("a@b", "2")),
    ],
)
def test_a_name_is_parted_at_its_last_sign(name, parts):
    assert family(name) == parts


def test_budgets_are_left_out_of_the_tables_unless_there_is_nothing_else():
    groups = [rows_of(name, "a", "xx") for name in ("ssta", "pgd", "pgd@1", "pgd@4")]
    assert data_of(*groups).tabled() == ["ssta", "pgd"]
    assert data_of(*groups[1:]).tabled() == ["pgd", "pgd@1", "pgd@4"]


def test_the_papers_factors_are_those_that_it_states():
    lpips = {name: paper.quality["lpips"] for name, paper in PUBLISHED.items()}
    factors = {name: value / lpips["ssta"] for name, value in lpips.items()}
    assert round(factors["stadv"]) == 42
    assert 3.5 <= factors["chromashift"] < 3.6
    assert round(factors["advdrop"]) == 25
    assert PUBLISHED["chromashift"].mean_asr == pytest.approx(0.95042)
