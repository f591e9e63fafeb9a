"""Both lanes over many prompts, token for token, greedy and sampled; a line a run, so that a stopped one goes on."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from playground.bench.prompts import read_questions, spread
from playground.config import Message, RunRequest, Sampling
from playground.session import Session
from playground.trace import Footer, ParityRecord

NEW_TOKENS, TEMPERATURES = 512, (0.0, 0.7)


def exactness(session: Session, prompts: Path | None, count: int, log: Path) -> dict[str, Any]:
    """Runs that are not in `log` yet, then its sums."""
    if prompts is None:
        sys.exit("Exactness is measured over a prompt file; name one with --mt-bench.")
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(one["format"], one["prompt"], one["temperature"]) for one in known}
    dtype = session.info.dtype
    with log.open("a", encoding="utf-8") as file:
        for question in spread(read_questions(prompts), count):
            for temperature in TEMPERATURES:
                if (dtype, question.question_id, temperature) in done:
                    continue
                told = {"format": dtype, "prompt": question.question_id, "temperature": temperature}
                told |= _compared(session, question.turns[0], temperature)
                known.append(told)
                file.write(json.dumps(told) + "\n")
                file.flush()
    mine = [one for one in known if one["format"] == dtype]
    return {
        "format": dtype,
        "runs": len(mine),
        "tokens": sum(one["tokens"] for one in mine),
        "identical": sum(one["identical"] for one in mine),
    }


def _compared(session: Session, prompt: str, temperature: float) -> dict[str, Any]:
    room = session.info.window - 1
    asked = RunRequest(
        (Message("user", prompt),),
        shape=session.shape,
        sampling=Sampling(temperature=temperature, seed=1),
        max_new_tokens=min(NEW_TOKENS, room),
    )
    records = list(session.run(asked, threading.Event()))
    footer, parity = records[-1], records[-2]
    assert isinstance(footer, Footer) and isinstance(parity, ParityRecord)
    return {"tokens": footer.summary.new_tokens, "identical": bool(parity.identical)}
