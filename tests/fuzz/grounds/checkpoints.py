"""Weight files of victims."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from project.victims import TimmVictim
from tests.fuzz.ground import Ground

_WORDS = (
    *(b"cposix\nsystem\n(S'true'\ntR.", b"cbuiltins\neval\n(S'1'\ntR.", b"\x80\x02", b"PK\x03\x04"),
    *(b"state_dict", b"torch", b"F32", b"BOOL", b"__metadata__", b"data_offsets", b"[0,99999999]"),
)
_ARCHITECTURE = "test_vit"


@dataclass(frozen=True)
class Checkpoints(Ground):
    """One victim's weights as safetensors, as torch saves them now, and as it did once."""

    def __post_init__(self) -> None:
        """Know the words of weight files."""
        object.__setattr__(self, "words", _WORDS)

    def make(self, folder: Path) -> None:
        """Write the files."""
        torch.manual_seed(0)
        state = _victim().network.state_dict()
        save_file(state, folder / "a.safetensors")
        torch.save(state, folder / "b.pt")
        torch.save(state, folder / "c.pth", _use_new_zipfile_serialization=False)
        torch.save({"state_dict": state, "epoch": 3}, folder / "d.ckpt")

    def targets(self, folder: Path) -> list[Path]:
        """Return the files."""
        return [path for path in folder.iterdir() if path.is_file()]

    def use(self, folder: Path) -> Any:
        """Load each of them into a victim."""
        return {
            path.name: {
                key: value.clone()
                for key, value in _victim(checkpoint=str(path)).network.state_dict().items()
            }
            for path in sorted(self.targets(folder))
        }

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Compare with the intact weights: only formats that bear no sum may differ."""
        wanted = dict(intact)
        try:
            wanted["a.safetensors"] = load((folder / "a.safetensors").read_bytes())
        except SafetensorError:
            return False
        wanted["c.pth"] = torch.load(folder / "c.pth", weights_only=True)
        return all(
            _bits(result[name][key]) == _bits(value)
            for name, state in wanted.items()
            for key, value in state.items()
        )


def _victim(**arguments: Any) -> TimmVictim:
    return TimmVictim(_ARCHITECTURE, num_classes=4, mean=(0.5,) * 3, std=(0.5,) * 3, **arguments)


def _bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
