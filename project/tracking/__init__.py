"""Tracking with Weights & Biases: online if credentials are found, else into local files.

What is tracked is read from the run's folder, so the dashboard shows what the report shows; and it
is a copy, so whatever W&B cannot do costs a warning and no result.

Names
    ATTACK/SOURCE/VICTIM/METRIC   every number of metrics.csv, VICTIM/METRIC those on clean images
    transfer, measures, masking   tables; gallery is the one with pictures
    sheets/ATTACK                 contact sheets of the gallery
    transfer_heat_map             the matrices as the report draws them
    masking/flagged               how many checks of masking failed, in the summary
    victims/refused               what the victim check said, in the summary of a run that it ended
    facts                         run.json, in the config beside all that was set

Artifacts
    run-ID                        of type evaluation: rows, measures, report and what it is made of
    adversarial-ID                of type adversarial-set: which images of which stores, not the
                                  images themselves
"""

from project.tracking.alerts import refuse_victims
from project.tracking.logger import MirageWandbLogger
from project.tracking.run import track_run

__all__ = ["MirageWandbLogger", "refuse_victims", "track_run"]
