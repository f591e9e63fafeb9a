"""Atomic writing: a file or a folder appears under its name whole or not at all, also when the process is killed.

Whatever is written goes beside its place first, under a hidden name of its own, and is renamed at the end. What a
killed process left there is removed by the next one that writes the same thing, once it is too old to be still at work.
Knows paths; nothing of what is written.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STALE_SECONDS = 3600.0
_SUFFIX = ".partial"
_WRITER = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{8}\.partial$")
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
_TOLD_REFUSAL = re.compile(r"\(os error (\d+)\)")  # as libraries written in Rust word it


def cache_folder() -> Path:
    """Where things are kept that can be made again: REDRAFTER_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("REDRAFTER_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redrafter-playground"


def disk_refusal(error: BaseException | None) -> str | None:
    """Why a disk did not take what was written, in the system's words; None where the error is no such refusal.

    safetensors and tokenizers raise errors of their own kinds for it.
    """
    while error is not None:
        told = _TOLD_REFUSAL.search(str(error))
        number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
        if number in _REFUSALS:
            return os.strerror(number)
        error = error.__cause__ or error.__context__
    return None


def refusal(error: Exception) -> str | None:
    """A sentence for a file or folder that the system refuses, wherever that happened; None where it is no such thing.

    For the ends of programs: who knows what was to be written says more.
    """
    if (why := disk_refusal(error)) is not None:
        name = getattr(error, "filename", None)
        return f"The disk took no more: {why}{f' ({name})' if name else ''}. Free some space, or write elsewhere."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}. Check the path and its permissions, or choose another."
    return None


def require_writable(folder: Path) -> None:
    """See that a folder takes files, or that it can be made where its nearest parent stands; nothing stays behind.

    Raises:
        OSError: it cannot be made, or takes no files.
    """
    standing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    probe = name_beside(standing / "probe")
    probe.touch(exist_ok=False)
    probe.unlink()


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """A path to write to; the result takes the place of `file` when the block ends, and is dropped when it fails.

    The folder is made where it is missing. The file gets the permissions of any new file, whatever its writer sets.

    Raises:
        OSError: the folder cannot be written to, or has no room.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(file)
    partial = name_beside(file)
    partial.touch(exist_ok=False)
    mode = partial.stat().st_mode
    try:
        yield partial
        partial.chmod(mode)  # safetensors, for one, writes for the owner alone
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Put UTF-8 text in a file's place."""
    with written_whole(file) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(file: Path, value: Any, indent: int | None = 1) -> None:
    """Put one JSON value in a file's place."""
    write_text(file, json.dumps(value, indent=indent) + "\n")


@contextmanager
def folder_written_whole(folder: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """An empty folder to fill; it becomes `folder` when the block ends, and is dropped when it fails.

    Where another process was faster, its folder stays and this one's is dropped.

    Args:
        is_whole: whether a folder found in that place is what was to be written; one that is not is replaced.

    Raises:
        OSError: the folder around it cannot be written to, or has no room.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    partial = name_beside(folder)
    partial.mkdir()
    try:
        yield partial
        _publish(partial, folder, is_whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(path: Path) -> None:
    """Remove what writers of `path` left that were cut off; a young leftover may still be at work."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{_SUFFIX}"):
        _remove_if_stale(leftover)


def sweep_leavings(folder: Path) -> None:
    """Remove what writers that were killed left anywhere in a folder of our own; those at work are let be."""
    if folder.is_dir():
        for leftover in list(folder.rglob(f".*{_SUFFIX}")):
            _remove_if_stale(leftover)


def _remove_if_stale(leftover: Path) -> None:
    try:
        age = time.time() - leftover.stat().st_mtime
        if age <= _STALE_SECONDS and not _is_orphan(leftover):
            return
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink()
    except OSError:  # gone already, or another user's: no reason not to write
        return


def _publish(partial: Path, folder: Path, is_whole: Callable[[Path], bool]) -> None:
    if folder.exists() and not is_whole(folder):
        shutil.rmtree(folder)
    try:
        partial.rename(folder)
    except OSError:
        if not is_whole(folder):
            raise


def _is_orphan(leftover: Path) -> bool:
    """Whether the process that wrote it was of this machine and is no more."""
    match = _WRITER.search(leftover.name)
    if match is None or match["machine"] != _machine():
        return False
    import psutil

    return not psutil.pid_exists(int(match["process"]))


def _machine() -> str:
    """This machine, or this container: where a process number means something."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def name_beside(path: Path) -> Path:
    """A name nobody else writes to, in the same folder, so that the rename never crosses a disk."""
    return path.parent / f".{path.name}.{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
