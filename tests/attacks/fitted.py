"""Universal perturbations as a fit saves them."""

from pathlib import Path
from tempfile import mkdtemp

import torch


def universal_file(
    eps: float = 8 / 255, size: tuple[int, int] = (12, 16), folder: str | Path | None = None
) -> Path:
    """Save a perturbation of random signs, (1, 3, H, W); a new folder where none is given."""
    generator = torch.Generator().manual_seed(4)
    signs = torch.randint(0, 2, (1, 3, *size), generator=generator) * 2.0 - 1
    path = Path(folder or mkdtemp(prefix="universal-")) / "universal.ckpt"
    torch.save({"state_dict": {"perturbation": eps * signs}}, path)
    return path
