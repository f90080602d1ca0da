"""The catalogue as files, and as JSON inside the page.

The files are scripts: a page that was opened as a file may load scripts, but may not read data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from project.report.gallery.catalogue import Data
from project.storage.files import replace_file


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element, whatever names it holds."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def write_scripts(gallery: Path, about: Data, sets: Sequence[Data]) -> str:
    """Write the catalogue and each set as a script of its own.

    Returns:
        What the page must find in them, lest it shows another run's.
    """
    for stale in gallery.glob("catalogue*.js"):
        stale.unlink()
    bodies = [script_json(part) for part in (about, *sets)]
    stamp = hashlib.sha256("\n".join(bodies).encode()).hexdigest()[:16]
    for number, body in enumerate(bodies):
        name = "catalogue.js" if number == 0 else f"catalogue-{number - 1:02d}.js"
        replace_file(gallery / name, f'galleryPart("{stamp}",{number - 1},{body});\n'.encode())
    return stamp
