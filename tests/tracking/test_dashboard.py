"""The saved workspace, built and read without a server."""

import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import wandb
import yaml

from project.evaluation.transfer import measure_name
from project.report import build_report
from project.report.frontier import frontier_section, read_frontier
from project.storage.rows import Measure, read_measures, write_measures
from project.tracking import MirageWandbLogger, track_run
from project.tracking.dashboard.__main__ import main
from project.tracking.dashboard.heat_map import CHART, SPECIFICATION
from tests.report.conftest import make_run
from tests.report.test_frontier import drawn
from tests.report.test_training import make_training
from tests.tracking.conftest import MEASURES
from tests.tracking.offline import read

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its own, of pydantic
    why = "the extra 'dashboards' is not installed"
    wr = pytest.importorskip("wandb_workspaces.reports.v2", reason=why)
    ws = pytest.importorskip("wandb_workspaces.workspaces", reason=why)
    from project.tracking.dashboard.sweeps import training_settings
    from project.tracking.dashboard.workspace import workspace

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG = {
    "attack": {
        "attacks": {
            "pgd": {
                "class_path": "PGD",
                "init_args": {"eps": 0.03, "steps": 10, "targeted": False},
            },
            "ssta": {"class_path": "SSTA", "init_args": {"profile": "paper"}},
        }
    }
}


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_run(folder, request.param, count=10, samples=2)
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"config": json.dumps(CONFIG)}))
    build_report(folder)
    return folder


def panels(made):
    return [panel for section in made.sections for panel in section.panels]


def metrics(made):
    """Return what a workspace asks of a run's history and summary."""
    for panel in panels(made):
        match panel:
            case wr.BarPlot():
                yield from panel.metrics
            case wr.LinePlot():
                yield from panel.y
            case wr.ScalarChart():
                yield panel.metric
            case wr.ParameterImportancePlot():
                yield panel.with_respect_to
            case wr.ParallelCoordinatesPlot():
                yield from (c.metric.name for c in panel.columns if is_metric(c))


def is_metric(column):
    return isinstance(column.metric, wr.SummaryMetric)


def settings(made):
    plots = [panel for panel in panels(made) if isinstance(panel, wr.ParallelCoordinatesPlot)]
    return [c.metric.name for panel in plots for c in panel.columns if not is_metric(c)]


def test_a_dashboard_shows_what_a_run_has_logged_and_nothing_else(folder, tmp_path):
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    logger.log_hyperparams(CONFIG)
    measures = read_measures(folder / "metrics.csv")
    logger.log_metrics({measure_name(one): one.value for one in measures})
    track_run([logger], folder)
    logger.finalize("success")
    found, made = read(tmp_path / "save"), workspace(folder, "team", "mirage")

    asked = set(metrics(made))
    assert asked <= found.history.keys() | found.summary.keys()
    assert {"masking/flagged", measure_name(measures[-1])} <= asked
    media = {key for p in panels(made) if isinstance(p, wr.MediaBrowser) for key in p.media_keys}
    assert {f"{key}/_type" for key in media} <= found.history.keys()
    tables = {p.table_name for p in panels(made) if isinstance(p, wr.WeavePanelSummaryTable)}
    tables |= {p.query["summaryTable"]["tableKey"] for p in panels(made) if is_chart(p)}
    assert {found.history[f"{name}/_type"] for name in tables} == {"table-file"}
    assert tables == {"transfer", "gallery", "masking", "measures"}
    assert settings(made) == [f"attack.attacks.pgd.init_args.{x}" for x in ("eps", "steps")]
    assert found.config["attack"]["attacks"]["pgd"]["init_args"].keys() >= {"eps", "steps"}


def test_a_frontier_is_logged_as_table_and_picture_and_has_its_place(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    frontier_section(drawn()).write(tmp_path / "run", None)
    logger = MirageWandbLogger(save_dir=str(tmp_path / "save"))
    track_run([logger], tmp_path / "run")
    logger.finalize("success")
    found = read(tmp_path / "save")
    assert found.history["frontier/_type"] == "table-file"
    assert found.history["frontier/nrows"] == len(read_frontier(tmp_path / "run"))
    assert found.history["frontier_plot/_type"] == "image-file"
    sections = {one.name: one.panels for one in workspace(tmp_path / "run", "team", "m").sections}
    assert [type(panel) for panel in sections["Frontier"]] == [
        wr.MediaBrowser,
        wr.WeavePanelSummaryTable,
    ]
    names = {one.name for one in workspace(folder, "team", "m").sections}
    assert "Frontier" not in names


def is_chart(panel):
    return isinstance(panel, wr.CustomChart)


def test_a_workspace_is_the_same_after_it_was_written_and_read(folder):
    made = workspace(folder, "team", "mirage")
    again = ws.Workspace._from_model(made._to_model())
    assert [section.name for section in again.sections] == [s.name for s in made.sections]
    assert [type(panel) for panel in panels(again)] == [type(panel) for panel in panels(made)]
    assert (again.entity, again.project, again.name) == ("team", "mirage", "Mirage, attacks")


def test_the_heat_map_reads_columns_of_the_measures():
    text = json.dumps(SPECIFICATION)
    assert SPECIFICATION["data"] == {"name": "wandb"}
    fields = {piece.split('"')[0] for piece in text.split('"field": "')[1:]}
    assert fields == {
        *("attack", "source", "victim", "metric", "value", "low", "high", "hits", "total"),
        *("name", "strength"),  # W&B's own, and the chart's
    }


def test_a_training_dashboard_shows_what_was_logged(tmp_path):
    folder = make_training(tmp_path)
    facts = json.loads((folder / "run.json").read_text())
    robust = {"class_path": "TRADES", "init_args": {"beta": 6, "anything": None}}
    given = {"learning_rate": 0.1, "victim": {"class_path": "x"}, "robust": robust}
    config = {"model": {"init_args": given}}
    (folder / "run.json").write_text(json.dumps(facts | {"config": json.dumps(config)}))
    made = workspace(folder, "team", "mirage")
    scores = [panel.y for panel in made.sections[0].panels]
    assert scores == [["val/accuracy", "val/robust_accuracy"]]
    logged = {"train/loss", "train/attack_strength", "val/accuracy", "val/robust_accuracy"}
    assert set(metrics(made)) == logged
    numbers = ("learning_rate", "robust.init_args.beta")
    assert settings(made) == [f"model.init_args.{name}" for name in numbers]


def test_a_training_dashboard_has_an_axis_for_all_that_the_shipped_sweep_varies():
    sweep = yaml.safe_load((CONFIGS / "sweeps/shapes_trades.yaml").read_text())
    recipes = [x.removeprefix("--config=configs/") for x in sweep["command"] if ".yaml" in x]
    shown = {name for x in recipes for name in training_settings((CONFIGS / x).read_text())}
    assert sweep["parameters"].keys() <= shown


LPIPS = ["lpips_alex", "lpips_squeeze", "lpips_vgg", "stlpips_alex", "stlpips_vgg"]


@pytest.mark.parametrize("metric", LPIPS)
def test_every_lpips_is_on_the_dashboard(run, metric):
    own = ("pgd", "a", "a", metric)
    seen = [Measure(*own, 0.1), Measure(*own[:3], "ssim", 0.9)]
    write_measures(run / "metrics.csv", [*MEASURES, *seen])
    config = {"attack": {"attacks": {"pgd": {"init_args": {"eps": 0.03}}}}}
    (run / "run.json").write_text(json.dumps({"config": json.dumps(config)}))
    made = workspace(run, "team", "mirage")
    shown = {section.name: section.panels for section in made.sections}
    assert metric in [panel.title for panel in shown["Visibility"]]
    *_, outcome = shown["Sweeps"][0].columns
    assert outcome.metric.name == f"pgd/a/a/{metric}"


@pytest.fixture
def server(monkeypatch):
    """A W&B that notes what it is sent."""
    sent = []

    class Api:
        def create_custom_chart(self, **arguments):
            sent.append(arguments)

    class Saved:
        url = "https://wandb.example.org/team/mirage?nw=1"

    monkeypatch.setattr(wandb, "Api", Api)
    monkeypatch.setattr(ws.Workspace, "save", lambda made: sent.append(made) or Saved)
    return sent


def test_one_command_makes_the_chart_and_the_workspace(folder, server, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dashboard", str(folder), "--entity", "team"])
    main()
    chart, made = server
    assert (chart["entity"], chart["name"], chart["spec"]) == ("team", CHART, SPECIFICATION)
    assert [panel.chart_name for panel in panels(made) if is_chart(panel)] == [f"team/{CHART}"]
    assert capsys.readouterr().out == "https://wandb.example.org/team/mirage?nw=1\n"


def test_a_chart_that_is_there_does_not_keep_the_workspace(folder, server, monkeypatch, capsys):
    def refuse(self, **arguments):
        raise wandb.Error("name is taken")

    monkeypatch.setattr(wandb.Api, "create_custom_chart", refuse)
    monkeypatch.setattr(sys, "argv", ["dashboard", str(folder), "--entity", "team"])
    main()
    assert len(server) == 1
    assert "which is well if the chart is there: name is taken" in capsys.readouterr().out


def test_without_a_log_in_one_line_says_what_to_do(folder, server, monkeypatch, capsys):
    def refuse():
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "Api", refuse)
    monkeypatch.setattr(sys, "argv", ["dashboard", str(folder), "--entity", "team"])
    with pytest.raises(SystemExit, match=r"^error: .*`wandb login`.*report\.html.*No API key"):
        main()
    assert not server
    assert not capsys.readouterr().out


def test_a_run_without_pictures_and_checks_has_no_panel_of_them(run):
    made = workspace(run, "team", "mirage")
    assert [section.name for section in made.sections] == [
        "Transfer",
        "Success",
        "Checks",
        "Configs",
    ]
    tables = {p.table_name for p in panels(made) if isinstance(p, wr.WeavePanelSummaryTable)}
    assert tables == {"transfer"}
