"""The fuzz itself: what it calls a fault, on grounds whose faults are known."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from project.core.errors import InputError
from tests.fuzz.ground import Ground
from tests.fuzz.grounds import GROUNDS
from tests.fuzz.watched import RIGHT, verdicts


@dataclass(frozen=True)
class _Known(Ground):
    """A file whose use is what its name says."""

    def make(self, folder):
        (folder / self.name).write_bytes(bytes(range(200)))

    def targets(self, folder):
        return [folder / self.name]

    def use(self, folder):
        content = (folder / self.name).read_bytes()
        if content != bytes(range(200)):
            return _ENDINGS[self.name](folder)
        return content


def _refuse(folder):
    raise InputError("the file must be whole. Copy it again.")


def _speak_long(folder):
    raise InputError("\n".join(map(str, range(99))))


def _fail(folder):
    raise IndexError


def _start(folder):
    subprocess.run(["true"], check=True)
    return bytes(range(200))


def _write(folder):
    Path("/tmp/written-by-a-case").write_text("")
    os.remove("/tmp/written-by-a-case")
    return bytes(range(200))


_ENDINGS = {
    "right": lambda folder: bytes(range(200)),
    "told": _refuse,
    "wrong": lambda folder: b"",
    "traceback": _fail,
    "hang": lambda folder: time.sleep(600),
    "crash": lambda folder: os.kill(os.getpid(), 9),
    "long message": _speak_long,
    "started": _start,
    "wrote": _write,
}


@pytest.mark.parametrize("ending", _ENDINGS)
def test_every_ending_is_called_by_its_name(ending):
    ground = _Known(ending, patience=0.2 if ending == "hang" else 10)
    kinds = {verdict.kind for verdict in verdicts(ground, range(2), seed=0)}
    assert kinds == {"started or wrote" if ending in ("started", "wrote") else ending}


def test_a_case_is_drawn_again_by_its_number():
    ground = _Known("right")
    first = verdicts(ground, range(4), seed=1)
    assert [one.case for one in first] == [0, 1, 2, 3]
    assert {one.kind for one in first} == {RIGHT}


@pytest.mark.parametrize("name", ["photos", "masks", "labels", "splits"])
def test_damaged_data_is_served_right_or_refused(name):
    faults = [one for one in verdicts(GROUNDS[name], range(1000, 1012), seed=0) if one.fault]
    assert not faults
