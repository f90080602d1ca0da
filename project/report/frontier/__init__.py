"""Transfer against visibility: which family of attacks is least visible at a rate of transfer.

A family is attacks named FAMILY@BUDGET (:mod:`project.report.comparison.white_box`). Everything is
counted from a run's rows, on victims that share no network with the source.

Files, written into the run's folder with the report
    frontier.csv          every number with its interval, p-value, images and passes
    frontier.md           the tables, ready for documents
    frontier.svg, .png    the plot
"""

from project.report.frontier.section import (
    FrontierRow,
    FrontierSection,
    frontier_section,
    read_frontier,
)

__all__ = ["FrontierRow", "FrontierSection", "frontier_section", "read_frontier"]
