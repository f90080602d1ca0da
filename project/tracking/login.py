"""Whether Weights & Biases is to be asked at all; no network is."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import wandb

Mode = Literal["auto", "online", "offline", "disabled"]


def resolved(mode: Mode) -> str:
    """Return W&B's own mode: ``auto`` becomes what the environment or the log-in says."""
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
    """Return where a log-in may lead: W&B's cloud under today's name and the one it long had."""
    if given := os.environ.get("WANDB_BASE_URL"):
        return [urlsplit(given).netloc]
    return [urlsplit(wandb.Settings().base_url).netloc, "api.wandb.ai"]
