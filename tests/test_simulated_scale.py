"""The simulation of many devices agrees with closed forms where there are some."""

from dataclasses import replace

import pytest

pytest.importorskip("simpy", reason="simpy is not installed")

from benchmarks.simulated_scale import Costs, simulate, table

FREE = Costs(
    images=960,
    passes=3,
    batch=8,
    workers=2,
    rate=1e12,
    judging=0,
    main=0,
    metrics=0,
    loading=0,
    storing=0,
    photo=0,
    stored=0,
    disk=1e12,
    files=1e12,
    merging=0,
)


@pytest.mark.parametrize("devices", [1, 4, 8])
@pytest.mark.parametrize(
    ("cost", "seconds"),
    [
        ({"rate": 100.0}, 2 * 960 / 100),
        ({"judging": 2.0}, 3 * 960 * 2e-3),
        ({"main": 3.0}, 3 * 960 * 3e-3),
        ({"metrics": 5.0}, 2 * 960 * 5e-3),
        ({"storing": 4.0}, 2 * 960 * 4e-3),
    ],
)
def test_what_each_device_does_by_itself_is_shared_by_all(devices, cost, seconds):
    assert simulate(replace(FREE, **cost), devices).seconds == pytest.approx(seconds / devices)


@pytest.mark.parametrize("devices", [1, 4, 8])
@pytest.mark.parametrize(
    ("cost", "seconds"),
    [
        ({"photo": 100.0, "disk": 1.0}, 3 * 960 * 0.1),
        ({"stored": 100.0, "disk": 1.0}, 2 * 960 * 0.1),
        ({"files": 100.0}, (3 * 960 + 2 * 120) / 100),
        ({"files": 100.0, "per_file": 8}, (3 * 120 + 2 * 120) / 100),
    ],
)
def test_the_disk_is_no_faster_for_more_devices(devices, cost, seconds):
    found = simulate(replace(FREE, **cost), devices)
    assert found.seconds == pytest.approx(seconds)
    assert found.limit() == "disk"
    assert found.busy["disk"] == pytest.approx(1)


def test_loaders_of_a_device_share_its_photos():
    found = simulate(replace(FREE, loading=6.0), 1)
    assert found.seconds == pytest.approx(3 * 960 * 6e-3 / 2)


def test_loading_and_storing_go_on_beside_the_attack():
    costs = replace(FREE, rate=100.0, loading=6.0, storing=4.0)
    together = simulate(costs, 1).seconds
    assert 2 * 960 / 100 < together < 1.03 * (2 * 960 / 100) + 960 * 6e-3 / 2


def test_a_store_slower_than_the_attack_is_waited_for():
    costs = replace(FREE, rate=1000.0, storing=4.0)
    assert simulate(costs, 1).seconds == pytest.approx(2 * 960 * 4e-3 + 8 / 1000, rel=1e-3)


def test_batches_that_cannot_be_dealt_evenly_leave_devices_idle():
    costs = replace(FREE, images=72, rate=100.0)  # nine batches for eight devices: two on one
    assert simulate(costs, 8).seconds == pytest.approx(2 * 2 * 8 / 100)


def test_merging_is_one_process_work_at_the_end():
    found = simulate(replace(FREE, merging=50.0, victims=3), 8)
    assert found.merging == pytest.approx(960 * 2 * 3 * 50e-6)
    assert found.seconds == pytest.approx(found.merging)


def test_the_table_has_a_line_for_each_number_of_devices():
    lines = list(table(replace(FREE, rate=100.0), [1, 8]))
    assert lines[2].startswith("| 1 | 100 | 100% | device 100% |")
    assert lines[3].startswith("| 8 | 800 | 100% | device 100% |")
