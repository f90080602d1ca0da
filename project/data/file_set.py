"""What sample sets of encoded photos share, and those of files: how they are read, and where."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from project.core.errors import InputError
from project.core.raster import Encoded
from project.data.decoding import AS_STORED, Pixels, Reading, Remark, read_photo
from project.data.eval_transform import Frame
from project.data.sample_set import SampleSet


class PhotoSet(SampleSet):
    """Samples whose photos are encoded: files, or parts of shards.

    Args:
        names: see :class:`SampleSet`, as the rest.
        reading: how photos are read.
        frame: the evaluation transform.
        limit: serve only so many samples.
    """

    def __init__(
        self, names: Sequence[str], reading: Reading | None, frame: Frame, limit: int | None
    ) -> None:
        self.reading = reading or AS_STORED
        self._remarks: dict[int, Remark] = {}
        super().__init__(names, frame, limit)

    def remark(self, index: int) -> Remark | None:
        """Return what of the photo, as it was read last, is read otherwise than it is shown."""
        return self._remarks.get(index)

    def settings(self) -> list[str]:
        """Return how photos are read, where it is not as they are stored, as plain data."""
        return [] if self.reading.orientation == "stored" else [self.reading.orientation]

    def _decoded(self, index: int, photo: Encoded) -> Pixels:
        pixels, remark = read_photo(photo, self.reading)
        self._remarks.pop(index, None)
        if remark is not None:  # few have one, of what may be millions
            self._remarks[index] = remark
        return pixels


class FileSet(PhotoSet):
    """Samples whose photos, and masks where there are any, are files.

    Args:
        root: folder that all files are relative to.
        names: see :class:`SampleSet`, as the rest.
        reading: how files are read.
        frame: the evaluation transform.
        limit: serve only so many samples.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        reading: Reading | None,
        frame: Frame,
        limit: int | None,
    ) -> None:
        self.root = root
        super().__init__(names, reading, frame, limit)

    @abstractmethod
    def files_of(self, index: int) -> tuple[str, ...]:
        """Return the files of a sample relative to the root, the photo first."""

    def where(self, index: int) -> str:
        """Return the photo's file."""
        return self.files_of(index)[0]

    def state(self, index: int) -> tuple[int, ...]:
        """Return sizes and times of the sample's files, which change when they are replaced."""
        found: list[int] = []
        for file in self.files_of(index):
            try:
                state = (self.root / file).stat()
                found += [state.st_size, state.st_mtime_ns]
            except (OSError, ValueError):
                found += [-1, -1]
        return tuple(found)

    def _photo(self, index: int) -> Pixels:
        return self._decoded(index, self.root / self.files_of(index)[0])

    def _bytes(self, index: int) -> list[int]:
        """Return the size of each of the sample's files, -1 where there is none."""
        return list(self.state(index)[::2])


def short_names(files: Sequence[str]) -> list[str]:
    """Name files by stems; where these are not unique by paths without suffix, else by paths."""
    paths = [PurePosixPath(file) for file in files]
    for names in (
        [path.stem for path in paths],
        [path.with_suffix("").as_posix() for path in paths],
    ):
        if len(set(names)) == len(names):
            return names
    return [path.as_posix() for path in paths]


def require_folder(folder: Path, holds: str) -> None:
    """Raise a clear error if a folder is not there.

    Raises:
        FileNotFoundError: naming the folder and what it must hold.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} must be a folder with {holds}, but there is none. "
            "Set --data.root to the data set's folder."
        )


def require_inside(file: str, reading: Reading, source: str) -> None:
    """Check that a list names a file inside of the root.

    Args:
        file: the path as it is listed, with ``/``.
        reading: its ``outside_root`` allows any path.
        source: the list's file and line, for the message.

    Raises:
        InputError: naming list, line and file.
    """
    path = PurePosixPath(file)
    outside = path.is_absolute() or ".." in path.parts or file[1:3] in (":/", ":\\")
    if outside and not reading.outside_root:
        raise InputError(
            f"{source}: files must lie inside of the root, got {file!r}. If you trust the list, "
            "set --data.reading.outside_root true."
        )
