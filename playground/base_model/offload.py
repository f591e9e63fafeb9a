"""A folder on disk for weights that no device has room for, and its end.

Knows folders and processes; nothing of what is kept there, which is transformers' business: mostly it reads the model's
own files again, and only weights it has to convert are written.
"""

from __future__ import annotations

import os
import platform
import shutil
import uuid
import weakref
from pathlib import Path
from typing import Any

from playground.files import cache_folder


class OffloadFolder:
    """A folder of this process's own, under the cache folder.

    It goes with the model it was made for, at the latest when the program ends; what a killed process left goes when
    the next one is made.
    """

    def __init__(self) -> None:
        room = cache_folder() / "offload"
        _remove_orphans(room)
        self.path = room / f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.path.mkdir(parents=True)

    def remove(self) -> None:
        """Remove it now."""
        shutil.rmtree(self.path, ignore_errors=True)

    def goes_with(self, model: Any) -> None:
        """Remove it with the model; at once where nothing was written."""
        if any(self.path.iterdir()):
            weakref.finalize(model, shutil.rmtree, self.path, ignore_errors=True)
        else:
            self.remove()


def _remove_orphans(room: Path) -> None:
    """Remove folders of this machine's processes that are no more."""
    import psutil

    for folder in room.glob(f"{platform.node()}-*"):
        process = folder.name.removeprefix(f"{platform.node()}-").partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
