"""The dashboard of attack experiments."""

from __future__ import annotations

from collections.abc import Iterable

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from project.evaluation.transfer import measure_name
from project.report.frontier import read_frontier
from project.report.masking import read_findings
from project.report.run import Run
from project.storage.rows import Measure
from project.tracking.dashboard.heat_map import CHART, TABLE
from project.tracking.dashboard.sweeps import attack_settings, parallel

_LPIPS = ("lpips_alex", "lpips_vgg", "lpips_squeeze", "stlpips_alex", "stlpips_vgg")
_PERCEPTUAL = (*_LPIPS, "ciede2000", "ssim", "psnr", "linf", "flow_max")
_VISIBLE = (*(f"{name}_fooled" for name in _PERCEPTUAL), *_PERCEPTUAL)


def attack_sections(run: Run, entity: str) -> list[ws.Section]:
    """Return the dashboard's sections, the most important first.

    Args:
        run: the run whose attacks, victims and measures are shown.
        entity: W&B user or team that has the heat map's chart.
    """
    sections = [
        _section("Transfer", [_matrix(entity), _media("transfer_heat_map"), _table("transfer")]),
        _section("Success", [_bars(attack, _judged(run, attack)) for attack in run.attacks]),
        _section("Visibility", _visibility(run)),
        _section("Frontier", _frontier(run)),
        _section("Images", _images(run)),
        _section("Checks", [_count("masking/flagged"), *_findings(run)]),
        _section("Sweeps", _sweeps(run)),
        _section("Configs", [wr.RunComparer(diff_only="split")]),
    ]
    return [section for section in sections if section.panels]


def _section(name: str, panels: list[wr.Panel]) -> ws.Section:
    return ws.Section(name=name, panels=panels, is_open=name in ("Transfer", "Success", "Images"))


def _matrix(entity: str) -> wr.CustomChart:
    query = {"id": {}, "name": {}, "summaryTable": {"tableKey": TABLE}}
    return wr.CustomChart(query=query, chart_name=f"{entity}/{CHART}")


def _media(key: str) -> wr.MediaBrowser:
    return wr.MediaBrowser(title=key, media_keys=[key], num_columns=1)


def _table(name: str) -> wr.WeavePanelSummaryTable:
    return wr.WeavePanelSummaryTable(table_name=name)


def _count(name: str) -> wr.ScalarChart:
    return wr.ScalarChart(title=name, metric=name)


def _bars(title: str, measures: Iterable[Measure]) -> wr.BarPlot:
    return wr.BarPlot(title=title, metrics=[measure_name(measure) for measure in measures])


def _judged(run: Run, attack: str) -> list[Measure]:
    """Return an attack's success rates, or mIoU under attack, over sources and victims."""
    metric = "miou" if run.task == "segmentation" else "asr"
    return [m for m in run.measures if m.attack == attack and m.metric == metric]


def _images(run: Run) -> list[wr.Panel]:
    pictured = dict.fromkeys(sample.attack for sample in run.gallery)
    sheets = [_media(f"sheets/{attack}") for attack in run.attacks if attack in pictured]
    return [_table("gallery"), *sheets] if pictured else []


def _frontier(run: Run) -> list[wr.Panel]:
    return [_media("frontier_plot"), _table("frontier")] if read_frontier(run.folder) else []


def _findings(run: Run) -> list[wr.Panel]:
    return [_table("masking")] if read_findings(run.folder) else []


def _visibility(run: Run) -> list[wr.Panel]:
    """Return bars of each perceptual metric, over fooling images where that mean is known."""
    found = {
        metric: [m for m in run.measures if m.metric == metric and m.attack] for metric in _VISIBLE
    }
    return [
        _bars(metric, measures)
        for metric, measures in found.items()
        if measures and not found.get(f"{metric}_fooled")
    ]


def _sweeps(run: Run) -> list[wr.Panel]:
    """Return parallel coordinates of each attack's settings and outcomes, and their importance."""
    panels: list[wr.Panel] = []
    for attack in run.attacks:
        outcomes = [measure_name(m) for m in [*_judged(run, attack), *_seen(run, attack)]]
        settings = attack_settings(run.facts.get("config") or "", attack)
        if settings and outcomes:
            panels.append(parallel(attack, settings, outcomes))
            panels.append(wr.ParameterImportancePlot(with_respect_to=outcomes[0]))
    return panels


def _seen(run: Run, attack: str) -> list[Measure]:
    """Return the first available of an attack's perceptual metrics."""
    own = {m.metric: m for m in reversed(run.measures) if m.attack == attack}
    return [own[metric] for metric in _VISIBLE if metric in own][:1]
