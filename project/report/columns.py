"""Columns of the rows: their titles, whether lower or higher is better, and how to write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class ColumnFormat:
    """Title and number format of one column.

    Attributes:
        title: as a table's heading has it.
        better: which values speak for an imperceptible attack; None where neither does.
        scale: what a value is multiplied with before it is shown.
        digits: behind the point; None lets the size decide.
    """

    title: str
    better: Better | None = None
    scale: float = 1.0
    digits: int | None = None

    def places(self, shown: float) -> int:
        """Return the digits behind the point of a value that is scaled already."""
        return self.digits if self.digits is not None else 4 if abs(shown) < 2 else 2


_COLUMNS = {
    "dists": ColumnFormat("DISTS ↓", "lower", digits=4),
    "ciede2000": ColumnFormat("ΔE00 ↓ (CIEDE2000)", "lower", digits=4),
    "ssim": ColumnFormat("SSIM ↑", "higher"),
    "ms_ssim": ColumnFormat("MS-SSIM ↑", "higher"),
    "psnr": ColumnFormat("PSNR ↑ (dB)", "higher", digits=2),
    "mse": ColumnFormat("MSE ↓ (0–255)", "lower", digits=2),
    "uqi": ColumnFormat("UQI ↑", "higher"),
    "uqi_sewar": ColumnFormat("UQI ↑ (sewar)", "higher"),
    "scc": ColumnFormat("SCC ↑", "higher"),
    "vif_p": ColumnFormat("VIF-p ↑", "higher"),
    "l0": ColumnFormat("L0 ↓ (pixels)", "lower", digits=0),
    "l2": ColumnFormat("L2 ↓", "lower", digits=2),
    "linf": ColumnFormat("L∞ ↓ (/255)", "lower", scale=255.0, digits=1),
    "flow_max": ColumnFormat("flow max ↓ (px)"),
    "flow_mean": ColumnFormat("flow mean ↓ (px)"),
    "flow_tv": ColumnFormat("flow variation ↓ (px)"),
    "flow_folds": ColumnFormat("flow folds ↓ (%)", scale=100.0, digits=2),
    "mse_inside": ColumnFormat("MSE inside mask", digits=2),
    "mse_outside": ColumnFormat("MSE outside mask", digits=2),
    "linf_inside": ColumnFormat("L∞ inside mask (/255)", scale=255.0, digits=1),
    "linf_outside": ColumnFormat("L∞ outside mask (/255)", scale=255.0, digits=1),
    "shrunk": ColumnFormat("left by refinement (%)", scale=100.0, digits=1),
    "colourfulness": ColumnFormat("colourfulness", digits=1),
    "grey": ColumnFormat("nearly grey (%)", scale=100.0, digits=1),
    "choice": ColumnFormat("choice (mean place)", digits=2),
    "q_mean": ColumnFormat("q (mean)", digits=1),
    "mask_area": ColumnFormat("mask (%)", scale=100.0, digits=1),
    "salient_area": ColumnFormat("first mask (%)", scale=100.0, digits=1),
    "salient_area_180": ColumnFormat("mask at τ 180 (%)", scale=100.0, digits=1),
}
_LEARNED = {"lpips_": "LPIPS", "stlpips_": "ST-LPIPS"}
"""Metrics with a backbone, by the beginning of their names."""
DISTANCES = (
    *("lpips_alex", "lpips_vgg", "lpips_squeeze", "stlpips_alex", "stlpips_vgg", "dists"),
    *("ciede2000", "mse", "l2"),
)
"""Columns that a plot may have as its measure of visibility, the best first."""


def column(name: str) -> ColumnFormat:
    """Return a column's format; one that is not listed is titled by its name."""
    for family, title in _LEARNED.items():
        if name.startswith(family):
            return ColumnFormat(f"{title} ↓ ({name.removeprefix(family)})", "lower", digits=4)
    return _COLUMNS.get(name, ColumnFormat(name.replace("_", " ")))


def perceptual(names: list[str]) -> list[str]:
    """Return the columns that measure the distance to the clean image, the learned ones first."""
    known = [name for name in names if column(name).better]
    first = (*_LEARNED, "dists")
    return sorted(known, key=lambda name: [not name.startswith(prefix) for prefix in first])
