"""The transfer matrices as a custom chart of W&B, drawn from the table ``measures``.

W&B puts the table's columns, and each run's ``name``, into the data set called ``wandb``.
"""

from __future__ import annotations

from typing import Any

CHART = "mirage-transfer-1"  # a changed chart needs a new name: W&B keeps the old one
TABLE = "measures"

_CELL = 46  # pixels
_SOURCE = {"field": "source", "type": "nominal", "title": "source", "sort": None}
_VICTIM = {"field": "victim", "type": "nominal", "title": "victim", "sort": None}
_TOLD = [
    {"field": "metric", "type": "nominal"},
    {"field": "value", "type": "quantitative", "format": ".1%"},
    {"field": "low", "type": "quantitative", "format": ".1%"},
    {"field": "high", "type": "quantitative", "format": ".1%"},
    {"field": "hits", "type": "quantitative"},
    {"field": "total", "type": "quantitative"},
]

SPECIFICATION: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"name": "wandb"},
    "transform": [
        {"filter": "datum.metric == 'asr' || datum.metric == 'miou'"},
        # The stronger the attack, the darker: a success rate is high, an mIoU low.
        {"calculate": "datum.metric == 'asr' ? datum.value : 1 - datum.value", "as": "strength"},
    ],
    "facet": {
        "row": {"field": "name", "type": "nominal", "title": None},
        "column": {"field": "attack", "type": "nominal", "title": None, "sort": None},
    },
    "spec": {
        "width": {"step": _CELL},
        "height": {"step": _CELL // 2},
        "encoding": {"x": _VICTIM, "y": _SOURCE, "tooltip": _TOLD},
        "layer": [
            {
                "mark": "rect",
                "encoding": {
                    "color": {
                        "field": "strength",
                        "type": "quantitative",
                        "scale": {"scheme": "yelloworangered", "domain": [0, 1]},
                        "legend": {"title": "success, or 1 - mIoU", "format": ".0%"},
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {
                    "text": {"field": "value", "type": "quantitative", "format": ".1%"},
                    "color": {
                        "condition": {"test": "datum.strength > 0.6", "value": "white"},
                        "value": "black",
                    },
                },
            },
        ],
    },
}
