"""A training that is told to end in mid-epoch."""

import signal
from typing import Any

from lightning.pytorch import Callback


class Terminated(Callback):
    """Send the process SIGTERM while it trains on its second batch."""

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:
            signal.raise_signal(signal.SIGTERM)
