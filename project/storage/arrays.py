"""Small arrays as ``.npz``, read without what numpy does for any file that may be one."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that zip has, so that equal content is equal bytes
_SUFFIX = ".npy"

# Of arrays as they are written here: in the order of C, of numbers. numpy parses the same as Python
# code, which takes as long as all else in a small file.
_PLAIN = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biuf]\d)', 'fortran_order': False, "
    rb"'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as :func:`numpy.load` reads them; bytes, which are masks, are compressed.

    Floats hardly shrink: a flow by an eighth, in many times what all else takes.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            way = zipfile.ZIP_DEFLATED if array.dtype == np.uint8 else zipfile.ZIP_STORED
            member = zipfile.ZipInfo(name + _SUFFIX, _DATE)
            archive.writestr(member, content.getvalue(), way, compresslevel=1)
    return packed.getvalue()


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz``, by name.

    Raises:
        ValueError: or what zipfile and numpy raise, if it is damaged.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return {name.removesuffix(_SUFFIX): _array(member) for name, member in members.items()}


def _array(content: bytes) -> NDArray[Any]:
    found = _PLAIN.match(content)
    if found is None or found.end() == len(content):  # of another kind, or without values
        array: NDArray[Any] = np.load(io.BytesIO(content))
        return array
    shape = [int(side) for side in found[2].split(b",") if side.strip()]
    values = np.frombuffer(content, found[1].decode(), offset=found.end())
    return values.reshape(shape).copy()  # which may be written to
