"""Attacks compared: success, quality at matched success, paired tests, success against visibility.

Everything is counted from a run's rows, so it can be had again years later. A comparison is there
where a run has at least two attacks on classifiers with white-box rows.

Files, written into the run's folder with the report
    comparison.csv   every number with its interval, denominator, p-value and published figure
    comparison.md    the tables, ready for documents
    pareto.svg       the plot
"""

from project.report.comparison.section import ComparisonSection, comparison_section

__all__ = ["ComparisonSection", "comparison_section"]
