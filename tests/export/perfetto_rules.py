"""What Perfetto asks of Chrome trace-event JSON, checked on the parsed file alone: kinds, units, ids, nesting."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

NAMED = {"process_name", "thread_name", "process_sort_index", "thread_sort_index", "process_labels"}
NEEDED = {"X": {"name", "pid", "tid", "ts", "dur"}, "C": {"name", "pid", "ts", "args"}, "M": {"name", "pid", "args"}}


def problems(body: dict[str, Any]) -> list[str]:
    """Everything wrong with a file."""
    found = [] if body.get("displayTimeUnit") in {"ms", "ns", None} else ["displayTimeUnit is neither ms nor ns"]
    for number, event in enumerate(body["traceEvents"]):
        found += [f"event {number}: {problem}" for problem in event_problems(event)]
    if found:
        return found
    named = {event["pid"] for event in body["traceEvents"] if event["name"] == "process_name"}
    found += [f"process {pid} has no name" for pid in {event["pid"] for event in body["traceEvents"]} - named]
    return found + nesting_problems(body["traceEvents"])


def event_problems(event: dict[str, Any]) -> list[str]:
    kind = event.get("ph")
    if kind not in NEEDED:
        return [f"ph is {kind!r}"]
    found = [f"no {name}" for name in NEEDED[kind] - event.keys()]
    found += [f"{name} is no whole number" for name in ("pid", "tid") if not isinstance(event.get(name, 0), int)]
    for name in ("ts", "dur"):
        value = event.get(name, 0)
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            found.append(f"{name} is {value!r}, not microseconds")
    if kind == "C" and not all(isinstance(value, int | float) for value in event.get("args", {}).values()):
        found.append("a counter that does not count")
    if kind == "M" and event.get("name") not in NAMED:
        found.append(f"metadata {event.get('name')!r} is not known")
    return found


def nesting_problems(events: list[dict[str, Any]]) -> list[str]:
    """Slices of one thread lie in each other or apart."""
    threads: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append(event)
    found = []
    for thread, slices_ in threads.items():
        open_until: list[int] = []
        for event in sorted(slices_, key=lambda one: (nanoseconds(one["ts"]), -nanoseconds(one["dur"]))):
            start = nanoseconds(event["ts"])
            end = start + nanoseconds(event["dur"])
            while open_until and open_until[-1] <= start:
                open_until.pop()
            if open_until and end > open_until[-1]:
                found.append(f"{event['name']} at {event['ts']} overlaps another slice of thread {thread}")
            open_until.append(end)
    return found


def nanoseconds(microseconds: float) -> int:
    return round(microseconds * 1000)


def slices(body: dict[str, Any], process: int, name: str) -> list[dict[str, Any]]:
    wanted = [one for one in body["traceEvents"] if one["ph"] == "X" and one["pid"] == process and one["name"] == name]
    return sorted(wanted, key=lambda one: one["ts"])
