"""Reading the file of an offline run: what ``wandb sync`` would upload.

W&B's package can write such a file and no longer read it, so its layout is read here: LevelDB's
log format after a 7-byte header, with a protobuf record each.
"""

import json
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record


@dataclass
class Offline:
    """What one run's file holds.

    Attributes:
        history: the last value of everything logged; of media and tables, what describes them.
        config: by name.
        summary: what was put there by hand.
        artifacts: the paths in each, by type.
        exits: exit codes; a run that is closed has one.
        configured: how often each part of the config was written.
    """

    history: dict[str, Any]
    config: dict[str, Any]
    summary: dict[str, Any]
    artifacts: dict[str, set[str]]
    exits: list[int]
    configured: dict[str, int]


def read(folder: Path, patience: float = 60.0) -> Offline:
    """Read the one closed run below a folder; W&B's own process writes its end a bit later."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = list(_records(folder))
        if any(record.HasField("exit") for record in found):
            return _offline(found)
        time.sleep(0.1)
    raise AssertionError(f"the run in {folder} has no end after {patience} s")


def _offline(found: list[Record]) -> Offline:
    updates = [u for r in found for u in (*r.config.update, *r.run.config.update)]
    names = ["/".join(u.nested_key) or u.key for u in updates]
    return Offline(
        history=_values(item for r in found for item in r.history.item),
        config=_values(updates),
        summary=_values(u for r in found for u in r.summary.update),
        artifacts={
            r.artifact.type: {entry.path for entry in r.artifact.manifest.contents}
            for r in found
            if r.HasField("artifact")
        },
        exits=[r.exit.exit_code for r in found if r.HasField("exit")],
        configured={name: names.count(name) for name in names},
    )


def _values(items) -> dict[str, Any]:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def _records(folder: Path):
    paths = list(Path(folder).rglob("*.wandb"))
    assert len(paths) <= 1, f"several runs in {folder}"
    content, place, part = b"".join(path.read_bytes() for path in paths), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if place + 7 + length > len(content):
            return  # still being written
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(part)
            part = b""
