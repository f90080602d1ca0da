"""A study's server as a process of its own, and raters who come over the network."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[2]


class Server:
    """``python -m project.study serve`` of a run's folder, until it is stopped."""

    def __init__(self, run, raters, *options, port=None):
        self.port = port or free_port()
        command = [sys.executable, "-u", "-m", "project.study", "serve", str(run)]
        command += ["--port", str(self.port), "--raters", str(raters), *options]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        self.links = []
        for line in self.process.stdout:
            if line.startswith("serving "):
                break
            self.links.append(line.strip())
        _wait_for(self.port, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def serving(run, raters, *options, port=None):
    server = Server(run, raters, *options, port=port)
    try:
        yield server
    finally:
        server.stop()


def choices(html):
    """The names of a page's choices, each with its first value and its last."""
    found = {}
    for name, value in re.findall(r'type="radio" name="([^"]+)" value="([^"]+)"', html):
        found.setdefault(name, []).append(value)
    return found


def _wait_for(port, process):
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the server ended before it served")
