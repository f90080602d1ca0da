"""Downloads of published weights that fail in seconds where there is no network.

Hubs try again for most of a minute before they say so, and torch.hub has no time limit at all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub.constants as hub

SECONDS = 5.0  # a machine with a network answers within one


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let downloads of timm, smp and torchvision fail at once where their host cannot be reached.

    What is in the hub's cache is still found. Where a proxy is set, only it knows what can be
    reached, and nothing is asked beforehand.
    """
    offline, limit = hub.HF_HUB_OFFLINE, socket.getdefaulttimeout()
    hub.HF_HUB_OFFLINE = offline or not (getproxies() or reachable(hub.ENDPOINT))
    socket.setdefaulttimeout(SECONDS if limit is None else limit)
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = offline
        socket.setdefaulttimeout(limit)


def reachable(url: str) -> bool:
    """Return whether the host of an address answers within seconds."""
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    answered = threading.Event()

    def ask() -> None:
        try:
            socket.create_connection(place, SECONDS).close()
        except OSError:
            return
        answered.set()

    # Looking up a name has no time limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    return answered.is_set()
