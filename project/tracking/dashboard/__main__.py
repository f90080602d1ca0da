"""``python -m project.tracking.dashboard RUN --entity TEAM`` saves a W&B workspace.

Needs a log-in, and the extra ``dashboards``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import wandb

from project.core.errors import InputError, plain_errors
from project.storage import layout
from project.tracking.dashboard.heat_map import CHART, SPECIFICATION


def main() -> None:
    """Make the heat map's chart and the workspace, and say where the latter is."""
    parser = argparse.ArgumentParser(prog="mirage dashboard", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a run of attack.py or train.py")
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", default="mirage", help="W&B project")
    given = parser.parse_args()
    with plain_errors():
        from project.tracking.dashboard.workspace import workspace  # noqa: PLC0415 - an extra

        made = workspace(given.run, given.entity, given.project)
        try:
            _make_chart(wandb.Api(), given.entity)
            print(made.save().url)
        except wandb.Error as error:
            raise InputError(
                "a workspace lies on W&B's server and takes a log-in (`wandb login`, or "
                f"WANDB_API_KEY); offline there is {given.run / layout.REPORT}. W&B says: {error}"
            ) from error


def _make_chart(api: wandb.Api, entity: str) -> None:
    """Make the chart, unless the entity has it; W&B does not say beforehand whether it does."""
    try:
        api.create_custom_chart(
            entity=entity,
            name=CHART,
            display_name="Mirage: transfer matrices",
            spec_type="vega2",
            access="private",
            spec=SPECIFICATION,
        )
    except wandb.Error as error:
        print(f"{entity}/{CHART} was not made, which is well if the chart is there: {error}")


if __name__ == "__main__":
    main()
