"""The program of the process that renders chat templates: requests as JSON lines in, answers as JSON lines out.

A template is a program that came with a model. transformers renders it in Jinja's sandbox, which keeps it from files
and from Python's insides, but not from running for ever or filling memory; this process is held to seconds of computing
and to so much memory, may write no files, and dies of more. Run by `chat_template`, never imported.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any


def limit_process(memory_bytes: int) -> None:
    """Hold this process to so much memory and to no written files, where the system can (not on Windows)."""
    with contextlib.suppress(ImportError):
        import resource

        for kind, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (most, most))


def limit_next(seconds: int) -> None:
    """Let the next request compute for so long; the system ends the process where it goes on."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def render(request: dict[str, Any], most: int) -> dict[str, str]:
    """The answer to a request: the text, or why there is none."""
    from transformers.utils.chat_template_utils import render_jinja_template

    renderer: Any = render_jinja_template  # its return type is stated wrongly
    try:
        texts, _ = renderer(
            conversations=[request["messages"]],
            chat_template=request["template"],
            add_generation_prompt=True,
            **request["variables"],
        )
    except Exception as error:  # whatever a template can raise
        return {"error": (str(error).strip().splitlines() or [type(error).__name__])[0][:300]}
    if len(texts[0]) > most:
        return {"error": f"it writes {len(texts[0]):,} characters, but may write {most:,}"}
    return {"text": texts[0]}


def main(seconds: str, memory_bytes: str, most: str) -> None:
    """Answer until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    import transformers.utils.chat_template_utils  # noqa: F401 - the first request's time is its own

    limit_process(int(memory_bytes))
    for line in sys.stdin:
        limit_next(int(seconds))
        answers.write(json.dumps(render(json.loads(line), int(most))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
