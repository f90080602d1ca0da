"""Serving a study on this machine."""

from __future__ import annotations

import ipaddress
import socket
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import uvicorn

from project.core.errors import InputError
from project.study.database import Database
from project.study.judging import Judging
from project.study.web import application

_HERE = ["localhost", "127.0.0.1", "[::1]"]
_WAITING = 2048  # visitors, as uvicorn has it


def listening(host: str, port: int) -> socket.socket:
    """Return a socket at which visitors are kept waiting until the study is served.

    Args:
        host: interface to listen on.
        port: 0 is one that is free.

    Raises:
        InputError: if nobody could come there.
    """
    if not 0 <= port < 1 << 16:
        raise InputError(f"a port is a number of 0 … 65535, got {port}. Give another --port.")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        raise InputError(
            f"a study needs an interface of this machine and a free port, got {host} and {port}: "
            f"{error}. Give another --port, or another --host."
        ) from error


def serve(database: Database, host: str, listener: socket.socket, address: str) -> None:
    """Serve a study until it is interrupted.

    Args:
        database: of the study.
        host: interface that is listened on.
        listener: as :func:`listening` returns it.
        address: as raters reach it.
    """
    if not is_loopback(host):
        print(
            f"warning: {host} can be reached from other machines, and plain HTTP can be read on "
            "the way, links included. Use it in a network that you trust, or put a proxy with "
            "HTTPS before it and name that with --address.",
            file=sys.stderr,
        )
    given = urlsplit(address)
    hosts = [*_HERE, host, given.hostname or ""] if is_loopback(host) else ["*"]
    app = application(Judging(database), hosts, secure=given.scheme == "https")
    # No log of requests: it would hold the raters' links and addresses.
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
