"""The report's memory does not follow the number of rows."""

import json
import tracemalloc
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from project.report.comparison.compare import compare
from project.report.comparison.pareto import pareto
from project.report.comparison.white_box import white_box
from project.report.masking.section import findings
from project.report.run import Run
from project.report.visibility import both_rates, visibility
from project.storage.rows import COLUMNS, Measure, write_measures

MOST_PER_100_000 = 40e6  # bytes; as dictionaries 100,000 of these rows took 150 MB
NAMES = "abc"
POOLS = []  # what was allocated from a pool may outlive the report


def write_run(folder, images):
    """Two attacks on three victims, judged by all of them."""
    folder.mkdir()
    rng, tables, measures = np.random.default_rng(0), [], []
    for key in product(("pgd", "ssta"), NAMES, NAMES):
        right = rng.random(images) < 0.8
        fooled = right & (rng.random(images) < 0.7)
        columns = {
            **dict(
                zip(("attack", "source", "victim"), ([one] * images for one in key), strict=True)
            ),
            "index": np.arange(images),
            "name": [f"photo_{k:06d}" for k in range(images)],
            "task": ["classification"] * images,
            "target": np.arange(images) % 10,
            "clean_prediction": np.arange(images) % 10,
            "prediction": (np.arange(images) + fooled) % 10,
            "clean_confidence": rng.random(images),
            "confidence": rng.random(images),
            "clean_correct": right,
            "correct": right & ~fooled,
            "fooled": fooled,
            "steps": rng.integers(1, 20, images),
        }
        floats = {name: rng.random(images) for name in ("mse", "ssim", "zero_gradient")}
        schema = pa.schema(
            [*((name, COLUMNS[name]) for name in columns), *((n, pa.float64()) for n in floats)]
        )
        tables.append(pa.table(columns | floats, schema=schema))
        measures.append(Measure(*key, "asr", 0.5, 0.4, 0.6, int(fooled.sum()), int(right.sum())))
    pq.write_table(
        pa.concat_tables(tables), folder / "rows.parquet", compression="zstd", row_group_size=30_000
    )
    write_measures(folder / "metrics.csv", measures)
    (folder / "run.json").write_text(json.dumps({"task": "classification", "images": images}))
    return len(measures) * images


def numbers(folder):
    """All numbers of the page that follow from rows."""
    run = Run.read(folder)
    data = white_box(run)
    return visibility(run), both_rates(run), findings(run), compare(data), pareto(data)


def peak_of(folder):
    """The most memory that Python, numpy and Arrow hold at once for a report's numbers."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        numbers(folder)
        return tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


def test_a_hundred_thousand_more_rows_cost_the_report_a_few_megabytes(tmp_path):
    # From 2,000 images on, resamples are drawn in blocks of one size.
    few, many = (write_run(tmp_path / str(images), images) for images in (2000, 6000))
    slope = (peak_of(tmp_path / "6000") - peak_of(tmp_path / "2000")) / (many - few)
    assert 1e5 * slope < MOST_PER_100_000
