import pytest

from project.report import build_report
from project.report.masking import read_findings
from project.report.run import Run
from project.storage.rows import Measure, write_measures
from project.storage.traces import write_traces
from project.tracking import MirageWandbLogger, refuse_victims, track_run
from project.tracking.alerts import warn_of_masking
from project.tracking.run import transfer_table
from tests.report.conftest import make_run
from tests.tracking.offline import read


def test_the_transfer_table_has_a_row_per_source_and_the_clean_accuracy_first(run):
    table = transfer_table(Run.read(run))
    assert table.columns == ["attack", "source", "a", "b"]
    assert table.data == [["clean_accuracy", "", 0.9, 0.8], ["pgd", "a", 1.0, 0.25]]


def test_the_transfer_table_of_segmentation_holds_miou(run):
    measures = [Measure("", "", "a", "clean_miou", 0.7), Measure("pgd", "a", "a", "miou", 0.1)]
    write_measures(run / "metrics.csv", measures)
    (run / "run.json").write_text('{"task": "segmentation"}')
    table = transfer_table(Run.read(run))
    assert table.data == [["clean_miou", "", 0.7], ["pgd", "a", 0.1]]


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_an_offline_run_holds_tables_pictures_and_files(tmp_path, task):
    folder = tmp_path / "run"
    folder.mkdir()
    make_run(folder, task, count=10, samples=2)
    build_report(folder)
    write_traces(folder / "traces.parquet", [])
    (folder / "adversarial.json").write_text("{}")
    written = {str(p.relative_to(folder)) for p in folder.iterdir() if p.is_file()}
    logger = MirageWandbLogger(name="trial", save_dir=str(tmp_path / "save"))
    track_run([logger], folder)
    logger.finalize("success")

    found, attacks = read(tmp_path / "save"), Run.read(folder).attacks
    assert found.history["transfer/ncols"] == 2 + 3
    assert found.history["measures/ncols"] == len(Measure._fields)
    assert found.history["masking/nrows"] == len(read_findings(folder))
    assert found.history["transfer_heat_map/_type"] == "image-file"
    assert found.history["gallery/nrows"] == 2 * len(attacks)
    assert {found.history[f"sheets/{attack}/count"] for attack in attacks} == {1}
    assert found.artifacts["evaluation"] == written - {"adversarial.json"}
    assert found.artifacts["adversarial-set"] == {"adversarial.json"}
    assert found.config["facts"]["title"] == f"A run of {task}"
    assert "config" not in found.config["facts"]
    assert found.exits == [0]


class Experiment:
    """What a W&B run has, as far as warnings go."""

    disabled = False

    def __init__(self, offline: bool) -> None:
        self.offline = offline
        self.summary: dict[str, int | str] = {}
        self.alerts: list[tuple[str, str, str]] = []
        self.exits: list[int] = []

    def alert(self, title: str, text: str, level: str) -> None:
        self.alerts.append((title, text, level))

    def finish(self, exit_code: int) -> None:
        self.exits.append(exit_code)


def test_what_is_flagged_is_summed_up_and_told_online_alone():
    online, offline, quiet = Experiment(False), Experiment(True), Experiment(False)
    for experiment in (online, offline):
        warn_of_masking(experiment, ["a may hide its gradients: x.", "b may: y."])
    warn_of_masking(quiet, [])
    assert online.summary == offline.summary == {"masking/flagged": 2}
    assert quiet.summary == {"masking/flagged": 0}
    told = "a may hide its gradients: x.\nb may: y."
    assert online.alerts == [("Gradients may be masked", told, "WARN")]
    assert offline.alerts == quiet.alerts == []


@pytest.mark.parametrize("offline", [False, True])
def test_refused_victims_are_told_of_before_the_run_is_closed_as_failed(tmp_path, offline):
    logger, experiment = MirageWandbLogger(save_dir=str(tmp_path)), Experiment(offline)
    logger._experiment = experiment
    refuse_victims([logger], "a gives probabilities.")
    assert experiment.exits == []
    logger.finalize("failed")
    assert experiment.summary == {"victims/refused": "a gives probabilities."}
    told = [("A victim check failed", "a gives probabilities.", "ERROR")]
    assert experiment.alerts == ([] if offline else told)
    assert experiment.exits == [1]
