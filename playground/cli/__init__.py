"""The terminal: the same session code as the page, one verb a job.

Errors are one sentence on standard error and exit code 2. With --json, standard output is exactly one JSON object.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from playground.cli.interrupts import INTERRUPTED, ends_on_interrupt
from playground.config import PlaygroundError
from playground.files import refusal

LONGEST_ERROR = 300  # characters of what argparse says, which repeats what was typed


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are one sentence too."""

    def error(self, message: str) -> NoReturn:
        message = message.encode("utf-8", "backslashreplace").decode()
        message = message if len(message) <= LONGEST_ERROR else message[:LONGEST_ERROR] + "..."
        self.exit(2, f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.\n")


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    from playground.cli import evaluation, inspection, measure, replay, runs, traces, training, verify

    top = Parser(prog="python -m playground", description="Recurrent drafting (ReDrafter) from the terminal.")
    verbs = top.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    for module in (runs, inspection, traces, replay, verify, measure, training, evaluation):
        module.add_verbs(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    try:
        with ends_on_interrupt():
            chosen = parser().parse_args(arguments)
            code = int(chosen.verb(chosen))
        return code
    except PlaygroundError as error:
        print(str(error).encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        why = refusal(error)
        if why is None:
            raise
        print(why, file=sys.stderr)
        return 2
