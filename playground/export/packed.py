"""A file that gzip may have packed, read line by line as what it holds. Knows no line's meaning."""

from __future__ import annotations

import gzip
import zlib
from io import BufferedReader
from typing import IO

from playground.config import PlaygroundError

_GZIP = b"\x1f\x8b"


def unpacked(name: str, stream: BufferedReader) -> IO[bytes] | PackedLines:
    """The stream itself, or, where it is packed, the lines inside."""
    return PackedLines(name, stream) if stream.peek(len(_GZIP)).startswith(_GZIP) else stream


class PackedLines:
    """Lines of a packed stream, unpacked as they are asked for, so that a bomb costs no more than its first lines."""

    def __init__(self, name: str, stream: BufferedReader) -> None:
        self._name, self._lines, self._read = name, gzip.GzipFile(fileobj=stream), 0

    def readline(self, most: int) -> bytes:
        """The next line, of at most so many bytes; none where the packed stream was cut off.

        Raises:
            PlaygroundError: the packing is broken.
        """
        try:
            line = self._lines.readline(most)
        except EOFError:
            return b""
        except (gzip.BadGzipFile, zlib.error) as error:
            raise PlaygroundError(
                f"{self._name}, after line {self._read}: its packing is broken. Save or send the file again."
            ) from error
        self._read += 1
        return line
