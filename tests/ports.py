"""Ports for servers that tests start."""

import random
import socket

# Below those that systems give to connections: one of these could be taken before it is used.
_UNASKED = range(15_000, 30_000)


def free_port() -> int:
    """Return a port on which nothing listens, seldom the same one twice."""
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_UNASKED)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
