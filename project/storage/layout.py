"""The layout of a run's folder: the names of its files, which are written here only.

An experiment's folder: ``--run.folder`` of attack.py. Where no other is named, the callback
``RunFolder`` writes a file; report stands for :mod:`project.report`, and so on.

    config.yaml            the whole config; by project.cli.attack     read by RunFolder, explain
    run.json               command, versions, weights, attacks …       report, explain, tracking
    rows.parquet           a row per image x attack x source x victim  report, explain, tracking
    metrics.csv            the numbers of the whole data set           report, tracking, grid
    traces.parquet         what attacks tell of their steps            report
    adversarial.json       which files of which stores the images are  check
    SHA256SUMS             checksums of all these; by storage          whoever reads them, check
    .run.lock              while a run writes here; by storage         other runs
    .unfinished/           parts of its tables, while a run writes     evaluation
    gallery/               pictures of some images                     report, study, tracking
    report.html            the page, and what is written beside it,    people
                           all by report:
    transfer.svg, .png     the heat map                                people, tracking
    comparison.csv, .md    attacks on classifiers, compared            people
    pareto.svg             their success over their visibility         people
    transfer.csv, .md      attacks on segmenters, compared             people
    frontier.csv, .md      transfer over visibility, by family         people, tracking
    frontier.svg, .png     its plot                                    people, tracking
    masking.csv, .md       checks for masked gradients                 RunFolder, tracking
    NAME.sqlite            a study's settings and answers; by study    study

Its gallery, by :mod:`project.report.gallery`

    originals/INDEX/       clean.png, target.png, and predictions/SOURCE.png of the clean image
    ATTACK/SOURCE/INDEX/   adversarial.png, flow.npy, mask.png, prediction_adversarial.png
    in either              what a browser shows of each of these: thumbnail.webp, others with the
                           suffixes .svg and .webp
    catalogue.js, catalogue-00.js, …    what report.html knows of all samples

A training's folder: of the callback ``TrainingFolder``, for report and tracking

    history.csv            every number that was logged, by step
    run.json, report.html  as above
    samples/EPOCH/INDEX/   clean.png, adversarial.png; verdict.json of a classifier's image, or
                           target.png and prediction_*.png of a segmenter's
    slices/EPOCH.npz       the loss around some images; by the callback ``LossSlices``

A folder of the store, by :mod:`project.storage.store`, for itself and explain

    manifest.json          what the folder's key stands for
    FIRST.N.HASH.zip       a batch; by :mod:`project.storage.shards`; in it:
        INDEX.png          an adversarial image
        INDEX.npz          its flow, mask and traces
    FIRST-HASH.npz         in folders clean-…: a victim's answers to a batch of clean images; by
                           :mod:`project.storage.clean_answers`, for evaluation

A grid's folder, by :mod:`project.grid`

    DATA/                  the folder of an experiment
    overview.csv           the numbers of all
    index.html             a page that links their reports
"""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.yaml"
FACTS = "run.json"
ROWS = "rows.parquet"
MEASURES = "metrics.csv"
TRACES = "traces.parquet"
ADVERSARIAL_SET = "adversarial.json"
REPORT = "report.html"
HEAT_MAP = "transfer.svg"
HEAT_MAP_PNG = "transfer.png"
COMPARISON = "comparison.csv"
COMPARISON_TEXT = "comparison.md"
PARETO_PLOT = "pareto.svg"
TRANSFER = "transfer.csv"
TRANSFER_TEXT = "transfer.md"
FRONTIER = "frontier.csv"
FRONTIER_TEXT = "frontier.md"
FRONTIER_PLOT = "frontier.svg"
FRONTIER_PNG = "frontier.png"
MASKING = "masking.csv"
MASKING_TEXT = "masking.md"

GALLERY = "gallery"
ORIGINALS = "originals"
PREDICTIONS = "predictions"
ADVERSARIAL_IMAGE = "adversarial.png"
THUMBNAIL = "thumbnail.webp"
VERDICT = "verdict.json"
CATALOGUE = "catalogue.js"
CATALOGUES = "catalogue*.js"  # a pattern: its parts too

HISTORY = "history.csv"
SAMPLES = "samples"
SLICES = "slices"

MANIFEST = "manifest.json"

CHECKSUMS = "SHA256SUMS"
LOCK = ".run.lock"  # of a folder that a run writes into, as long as it does
UNFINISHED = ".unfinished"  # parts of tables, as long as a run writes them

OVERVIEW = "overview.csv"
OVERVIEW_PAGE = "index.html"

RECORDS = (ROWS, MEASURES, FACTS, TRACES)
"""Files with an experiment's results."""

SUMMARIES = (
    *(REPORT, HEAT_MAP, HEAT_MAP_PNG, COMPARISON, COMPARISON_TEXT, PARETO_PLOT),
    *(TRANSFER, TRANSFER_TEXT, MASKING, MASKING_TEXT),
    *(FRONTIER, FRONTIER_TEXT, FRONTIER_PLOT, FRONTIER_PNG),
)
"""Files that the report makes of the results."""

LISTED = (
    *(CONFIG, *RECORDS, *SUMMARIES, ADVERSARIAL_SET, HISTORY, OVERVIEW, OVERVIEW_PAGE),
    *(f"{GALLERY}/**/*", f"{SAMPLES}/**/*", f"{SLICES}/*"),
)
"""Patterns of the files whose checksums are listed: a run's own, and nobody else's."""

_EPOCH = "epoch_"


def sample_name(index: int) -> str:
    """Return the name of a sample's folder or file, without suffix: 00000042."""
    return f"{index:08d}"


def picture_name(kind: str) -> str:
    """Return the file name of a kind of picture.

    Args:
        kind: clean, adversarial, flow, mask, target, prediction_clean or prediction_adversarial.
    """
    return f"{kind}.npy" if kind == "flow" else f"{kind}.png"


def catalogue_name(number: int) -> str:
    """Return the file name of a part of the gallery's catalogue."""
    return f"catalogue-{number:02d}.js"


def epoch_name(epoch: int) -> str:
    """Return the name of an epoch's folder or file, without suffix: epoch_00003."""
    return f"{_EPOCH}{epoch:05d}"


def epochs_of(folder: Path) -> dict[int, Path]:
    """Return the files and folders named by :func:`epoch_name`, with any suffix, by epoch."""
    found = [(path.stem.removeprefix(_EPOCH), path) for path in sorted(folder.glob(f"{_EPOCH}*"))]
    return {int(number): path for number, path in found if number.isdecimal()}
