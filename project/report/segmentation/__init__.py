"""Attacks on segmenters compared: means over victims, and paired tests of mIoU.

Everything is counted from the rows' pixels by class, so it can be had again years later; runs
from before those counts have no comparison.

Files, written into the run's folder with the report
    transfer.csv   every number with its interval and p-value
    transfer.md    the tables, ready for documents
"""

from project.report.segmentation.section import TransferSection, transfer_section

__all__ = ["TransferSection", "transfer_section"]
