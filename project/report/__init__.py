"""The report: one self-contained HTML page from a run's folder, and nothing else.

Folder
    rows.parquet, metrics.csv   see project.storage.rows
    run.json                    what was run: title, task, command, versions, config, …
    traces.parquet              traces of attacks over their steps, see project.storage.traces
    gallery/ATTACK/SOURCE/INDEX pictures of some images, see project.report.gallery
    transfer.svg, transfer.png  the heat map, written with the page
    comparison.csv, …           likewise, see project.report.comparison
    transfer.csv, …             likewise, see project.report.segmentation
    masking.csv, masking.md     likewise, see project.report.masking
    frontier.csv, …             likewise, see project.report.frontier
"""

from project.report.page import build_report

__all__ = ["build_report"]
