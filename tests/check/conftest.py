"""What the tests of the check share."""

import pytest

from project.attacks import Attack


@pytest.fixture
def attacked(monkeypatch) -> list[tuple[str, list[int]]]:
    """Return a list that grows by (attack, sample ids) with each batch that is really attacked."""
    batches: list[tuple[str, list[int]]] = []
    run = Attack.run

    def counted(self, victim, images, target, index, *more):
        batches.append((self.name, index.tolist()))
        return run(self, victim, images, target, index, *more)

    monkeypatch.setattr(Attack, "run", counted)
    return batches
