"""The report: one self-contained HTML page from a run's folder, and nothing else.

Folder
    rows.parquet, metrics.csv   see project.records
    run.json                    what was run: title, task, command, versions, config, …
    gallery/ATTACK/SOURCE/INDEX pictures of some images, see project.report.gallery
    comparison.csv, …           written with the page, see project.report.comparison
"""

from project.report.page import build_report

__all__ = ["build_report"]
