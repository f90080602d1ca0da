"""What attacks tell of their steps, as small charts over the steps, one row per source."""

from project.report.traces.charts import AttackTraces, attack_traces

__all__ = ["AttackTraces", "attack_traces"]
