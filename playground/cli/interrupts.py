"""Ctrl-C while nothing looks for it: while libraries are imported and models loaded, it ends the program for sure.

Some libraries take a KeyboardInterrupt inside an import for a module that cannot be imported, and go on or fail later
with a sentence that is not true. Knows signals only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # a shell's code for a program ended by Ctrl-C
_PATIENCE = 5.0  # seconds until a program that has not ended by itself is ended


@contextmanager
def ends_on_interrupt() -> Iterator[None]:
    """Ctrl-C inside the block raises KeyboardInterrupt at its end at the latest, and ends the program after that.

    What stands in files is written whole or not at all, so an end at any moment leaves nothing half done.
    """
    started_with = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or started_with is signal.SIG_IGN:
        yield
        return
    watch = threading.Timer(_PATIENCE, _leave)
    watch.daemon = True
    hit = False

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        nonlocal hit
        if not hit:
            hit = True
            watch.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except Exception:
        if hit:
            raise KeyboardInterrupt from None
        raise
    finally:
        watch.cancel()
        signal.signal(signal.SIGINT, started_with)
    if hit:
        raise KeyboardInterrupt


def end(code: int) -> NoReturn:
    """End the program; after Ctrl-C at once.

    Everything is closed by then. What the interpreter does last, taking apart the libraries, costs a second of
    computing with PyTorch and transformers loaded, and several by the clock of a busy machine.
    """
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _leave() -> None:
    print("Interrupted.", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
