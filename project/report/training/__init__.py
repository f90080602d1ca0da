"""The report of a training run: one self-contained HTML page from its folder, and nothing else.

Folder
    history.csv                 all that was logged, see project.storage.history
    run.json                    what was run: title, task, command, versions, config, …
    samples/EPOCH/INDEX/        some validation images, as in a gallery; see project.report.gallery
    slices/EPOCH.npz            the loss around some of them: loss (N, R, R), index (N,), eps
"""

from project.report.training.page import build_training_report
from project.report.training.run import TrainingRun
from project.storage.layout import epochs_of

__all__ = ["TrainingRun", "build_training_report", "epochs_of"]
