"""A full disk said in a sentence, wherever it shows.

Each writer words it differently: OSError, safetensors' own error, torch's RuntimeError. Knows no writer.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playground.config import PlaygroundError

_LITTLE = 64 * 2**20  # torch only says that writing failed; with less than this free, the disk is why


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one sentence.

    Raises:
        PlaygroundError: the disk that holds `folder` is full.
    """
    try:
        yield
    except PlaygroundError:
        raise
    except Exception as error:
        if not _is_full_disk(error, folder):
            raise
        raise PlaygroundError(
            f"The disk of {folder} is full: {_free(folder) / 1e6:.0f} MB are left. Free some space there and run the "
            f"same command again: everything finished so far is kept, and it goes on from there."
        ) from error


def reserve(file: Path) -> None:
    """Take the disk space of a sparse file now: running out inside a memory map would kill the process.

    Raises:
        OSError: there is no room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with open(file, "r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise


def _is_full_disk(error: BaseException, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    return "No space left" in text or ("PytorchStreamWriter" in text and _free(folder) < _LITTLE)


def _free(folder: Path) -> int:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free
