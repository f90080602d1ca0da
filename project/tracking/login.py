"""Choosing W&B's mode from the environment and stored credentials, without a network."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import wandb

Mode = Literal["auto", "online", "offline", "disabled"]


def resolved(mode: Mode) -> str:
    """Return W&B's own mode: ``auto`` is resolved from the environment, then the credentials."""
    if mode != "auto":
        return mode
    return os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")


def logged_in() -> bool:
    """Return whether W&B credentials are on this machine; asks no network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    hosts = _hosts()
    files = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    for path in [Path(name).expanduser() for name in files if name]:
        try:
            return any(map(netrc.netrc(str(path)).authenticators, hosts))
        except FileNotFoundError:
            continue
        except (netrc.NetrcParseError, OSError):
            return False
    return False


def _hosts() -> list[str]:
    """Return the hosts that credentials may be for: W&B's cloud by its current and former name."""
    if given := os.environ.get("WANDB_BASE_URL"):
        return [urlsplit(given).netloc]
    return [urlsplit(wandb.Settings().base_url).netloc, "api.wandb.ai"]
