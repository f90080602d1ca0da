"""The report's page, put together from its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment

from project.report.comparison import ComparisonSection, comparison_section
from project.report.frontier import FrontierSection, frontier_section
from project.report.gallery.section import SCRIPTS, gallery_section
from project.report.headline import headlines
from project.report.heat_map import heat_map, write_heat_map
from project.report.masking import MaskingSection, masking_section
from project.report.matrix import matrix
from project.report.pictures import flow_legend
from project.report.run import Run
from project.report.segmentation import TransferSection, transfer_section
from project.report.templates import TOLD, data_uri, embedded, environment, image_uri
from project.report.traces import attack_traces, axes
from project.report.unanswered import unanswered_sentences
from project.report.visibility import both_rates, set_distances, visibility
from project.storage import layout
from project.storage.files import replace_file


def build_report(run: Path, reference: str | None = None) -> Path:
    """Write ``report.html`` into a run's folder, from that folder alone.

    The page needs no network and no other file, but shows all of the gallery only where the
    folder lies beside it. The heat map and, where attacks can be compared,
    the comparison's files are written beside it: see :mod:`project.report.comparison` for
    classifiers, :mod:`project.report.segmentation` for segmenters and
    :mod:`project.report.frontier` for families of attacks over budgets; and
    :mod:`project.report.masking` for what must be checked of all.

    Args:
        run: the folder, with rows.parquet, metrics.csv, run.json, and perhaps traces.parquet and
            gallery/.
        reference: the attack that the others are tested against; None is the first SSTA, or of
            attacks on segmenters the first TranSegPGD, else the last.

    Returns:
        The page's path.

    Raises:
        FileNotFoundError: if the folder is no finished run's.
        ValueError: if the reference is none of the attacks.
        OSError: if the page cannot be written; an older one is still there.
    """
    finished, templates = Run.read(run), environment()
    comparison, transfer = None, None
    if finished.task == "classification":
        comparison = comparison_section(finished, reference)
    else:
        transfer = transfer_section(finished, reference)
    masking = masking_section(finished)
    frontier = frontier_section(finished, reference)
    for section in (comparison, transfer, masking, frontier):
        if section:
            section.write(run, finished.facts.get("command"))
    path = run / layout.REPORT
    page = _render(finished, templates, comparison, transfer, masking, frontier)
    replace_file(path, page.encode())
    return path


def _render(
    run: Run,
    templates: Environment,
    comparison: ComparisonSection | None,
    transfer: TransferSection | None,
    masking: MaskingSection | None,
    frontier: FrontierSection | None,
) -> str:
    gallery = gallery_section(run)
    scripts = ("scripts/copy.js", *(SCRIPTS if gallery else ()))
    return templates.get_template("report.html").render(
        **embedded(("report.css", "gallery/gallery.css"), scripts),
        title=run.facts.get("title") or "Mirage",
        task=run.task,
        facts={name: run.facts.get(name) for name in TOLD},
        counts=_counts(run),
        unanswered=unanswered_sentences(run),
        headlines=headlines(run, transfer.means if transfer else []),
        matrices=[matrix(run, attack) for attack in run.attacks],
        visibility=visibility(run),
        set_distances=set_distances(run),
        both_rates=both_rates(run),
        has_kin=bool(run.facts.get("kin")),
        heat_map=_drawn(run),
        comparison=comparison,
        transfer=transfer,
        masking=masking,
        frontier=frontier,
        traces=attack_traces(run),
        axes=axes,
        notices=run.facts.get("notices") or [],
        gallery=gallery,
        flow_legend=image_uri(flow_legend(), exact=True),
    )


def _drawn(run: Run) -> str:
    """Write the heat map beside the page, and return it as what the page embeds."""
    figure = heat_map(run)
    if figure is None:
        return ""
    # As an image, its styles and names stay its own.
    return data_uri(write_heat_map(figure, run.folder), "svg+xml")


def _counts(run: Run) -> list[str]:
    images = run.facts.get("images") or len(run.results.indices)
    sources = {source for attack in run.attacks for source in run.sources(attack)}
    counted: list[tuple[Any, str]] = [
        (images, "image"),
        (len(run.attacks), "attack"),
        (len(sources), "source"),
        (len(run.victims), "victim"),
    ]
    return [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counted]
