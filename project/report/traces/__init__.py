"""Traces of attacks, such as objective and step size, as charts over the steps."""

from project.report.traces.charts import AttackTraces, attack_traces

__all__ = ["AttackTraces", "attack_traces"]
