"""What attacks tell of their steps, as small charts over the steps, one row per source."""

from project.report.traces.axes import HEIGHT, LEFT, RIGHT, WIDTH
from project.report.traces.charts import AttackTraces, attack_traces

__all__ = ["HEIGHT", "LEFT", "RIGHT", "WIDTH", "AttackTraces", "attack_traces"]
