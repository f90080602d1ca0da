"""Serving a study on this machine."""

from __future__ import annotations

import ipaddress
import sys
from urllib.parse import urlsplit

import uvicorn

from project.study.database import Database
from project.study.judging import Judging
from project.study.web import application

_HERE = ["localhost", "127.0.0.1", "[::1]"]


def serve(database: Database, host: str, port: int, address: str) -> None:
    """Serve a study until it is interrupted.

    Args:
        database: of the study.
        host: interface to listen on.
        port: likewise.
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
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
