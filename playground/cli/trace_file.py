"""A run's trace as a file: what stood there stays until the run has begun, and a disk that fills up costs no answer.

Records go to a file of their own beside the place. With the header written it takes the place, and the rest follows
there record by record, so a run that is cut off, even by a power cut, leaves what it had. Knows files and records; runs
nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from playground.config import PlaygroundError
from playground.export import write_record
from playground.files import name_beside
from playground.trace import Detail, Header, Record, light


class TraceFile:
    """Takes a run's records.

    Args:
        detail: how much of each is kept.

    Attributes:
        failed: why the file is not whole, None while it is.
    """

    def __init__(self, path: Path, detail: Detail = "full") -> None:
        self._path = Path(os.path.realpath(path))
        self._in_place = _is_device(path)
        self._partial = path if self._in_place else name_beside(self._path)
        self._stream: IO[bytes] = open(self._partial, "wb" if self._in_place else "xb")  # noqa: SIM115
        self._detail = detail
        self.failed: PlaygroundError | None = None

    def take(self, record: Record) -> None:
        """Write a record; the first failure is kept and ends the writing, not the run."""
        if self.failed is not None:
            return
        try:
            write_record(self._stream, light(record) if self._detail == "light" else record)
            if isinstance(record, Header) and not self._in_place:
                os.replace(self._partial, self._path)
                self._in_place = True
        except OSError as error:
            self.failed = _refused(self._path, error)

    def close(self) -> None:
        """Close; a file that never had its header leaves no trace of itself."""
        try:
            self._stream.close()
        except OSError as error:
            self.failed = self.failed or _refused(self._path, error)
        if not self._in_place:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)


@contextmanager
def trace_file(path: str | None, detail: Detail = "full") -> Iterator[TraceFile | None]:
    """The trace's file, tried before anything is loaded, so that a wrong path costs no run.

    Raises:
        PlaygroundError: it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = TraceFile(Path(path), detail)
    except (OSError, ValueError) as error:
        raise _refused(Path(path), error) from error
    try:
        yield file
    finally:
        file.close()


def _is_device(path: Path) -> bool:
    """Whether the path is a device or a pipe, which is written to and never replaced.

    Raises:
        IsADirectoryError: it is a folder.
        PermissionError: a file stands there that may not be written to.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        with open(path, "ab"):  # asks whether it may be written to, and changes nothing
            return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "Is a directory")
    return True


def _refused(path: Path, error: OSError | ValueError) -> PlaygroundError:
    why = error.strerror if isinstance(error, OSError) else error
    return PlaygroundError(f"The trace cannot be written to {path}: {why}. Choose a folder that exists and has room.")
