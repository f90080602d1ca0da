"""Fast copies of the sources are made where something is to be attacked, and told."""

import json

import pytest

from project.callbacks.experiment import fast_sources
from tests.experiment.scene import attacks, run, stored, stored_batch, victims


@pytest.fixture
def copied(monkeypatch) -> list[object]:
    """Return a list that grows by each victim of which a copy is made."""
    found: list[object] = []
    accelerated = fast_sources.accelerated

    def counted(victim, how, images):
        found.append(victim)
        return accelerated(victim, how, images)

    monkeypatch.setattr(fast_sources, "accelerated", counted)
    return found


def test_copies_are_made_only_of_sources_that_are_attacked(tmp_path, copied):
    pair = victims()
    run(tmp_path, victims=pair, attacks=attacks(), sources=["a"])
    assert copied == [pair["a"]]
    copies = json.loads((tmp_path / "run/run.json").read_text())["copies"]
    assert list(copies) == ["a"]
    assert copies["a"].startswith("channels_last; on 4 images logits differ by at most")
    made = stored(tmp_path / "store")

    copied.clear()
    run(tmp_path, victims=pair, attacks=attacks(), sources=["a"])
    assert copied == []

    stored_batch(tmp_path, "pgd", "a", 3).write_bytes(b"broken")
    with pytest.warns(UserWarning, match="cannot be used"):
        run(tmp_path, victims=pair, attacks=attacks(), sources=["a"])
    assert copied == [pair["a"]]
    assert stored(tmp_path / "store") == made
