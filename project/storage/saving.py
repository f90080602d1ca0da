"""Writing batches into stores beside the attack of the next batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from project.storage.store import Store, StoredSample


class Saving:
    """Writes one batch at a time in a thread; whoever brings the next one waits for it.

    So at most two batches are in memory, the one that is attacked and the one that is written, and
    a kill loses no more than these. What fails is raised where the next batch is brought, or at
    :meth:`wait`.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._written: tuple[Store, frozenset[int]] | None = None
        self._error: BaseException | None = None

    def add(
        self,
        store: Store,
        indices: list[int],
        samples: list[StoredSample],
        origins: Sequence[str] | None = None,
    ) -> None:
        """Write a batch as :meth:`Store.save` does, once the one before it is written.

        Raises:
            WriteError: if the one before it cannot be written; this one is not either then.
        """
        self.wait()
        self._written = store, frozenset(indices)
        # A daemon, so that a disk that hangs does not keep an ended process alive.
        self._thread = threading.Thread(
            target=self._run, args=(lambda: store.save(indices, samples, origins),), daemon=True
        )
        self._thread.start()

    def settle(self, store: Store, indices: Sequence[int]) -> None:
        """Wait, if any of these samples are being written into this store.

        Raises:
            WriteError: if they cannot be written.
        """
        if self._written is not None:
            written, there = self._written
            if written is store and not there.isdisjoint(indices):
                self.wait()

    def wait(self) -> None:
        """Wait until nothing is being written.

        Raises:
            WriteError: if the last batch cannot be written.
        """
        if self._thread is not None:
            self._thread.join()
        error, self._thread, self._written, self._error = self._error, None, None, None
        if error is not None:
            raise error

    def _run(self, save: Callable[[], None]) -> None:
        try:
            save()
        except BaseException as error:
            self._error = error
