"""A run as one HTML file that needs nothing else: the page's own views, its steps, and the trace itself.

The drawing code is the page's, read from `assets` when a file is written. Steps and trace are packed (gzip in base64),
so nothing a model wrote stands in the markup but the text for browsers without scripts, which is escaped. The file's
own content policy forbids every request and every script but its one. Knows pictures and files; draws nothing.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
from pathlib import Path
from string import Template

from playground.export.jsonl import write_trace
from playground.trace import Trace
from playground.views.picture import step_picture, trace_picture
from playground.views.text import RunText
from playground.views.token_text import visible

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SCRIPTS = (
    "dom", "icons", "format", "store", "tree_layout", "view_box", "pan_zoom", "tree_pills", "tree", "motion_time",
    "motion", "terms", "guess", "tree_table", "beams", "node_card", "mask", "text", "charts", "equation", "map_scale",
    "map", "scrubber", "steps", "live", "race", "sources", "tabs", "offline",
)  # fmt: skip
STYLES = ("frame", "base", "tree", "views", "sources")
OWN_STYLE = """
body { margin: 0; padding: 16px; background: var(--rp-bg); }
body { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
.rp-app { max-width: 1500px; margin: 0 auto; }
.rp-app .rp-filetitle { margin: 0; font-size: 17px; font-weight: 650; }
"""
START = 'ReDrafter.openFile(document.querySelector(".rp-app"));'

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main class="rp-app" data-state="starting"></main>
<noscript>
<h1>$title</h1>
<p>This file shows the run step by step where scripts may run. The text:</p>
<pre>$text</pre>
</noscript>
<script type="application/gzip" id="rp-run">$run</script>
<script type="application/gzip" id="rp-trace">$trace</script>
<script>$code</script>
</body>
</html>
"""
)


def to_html(trace: Trace) -> str:
    """The whole file."""
    code = "\n".join([*(_asset("js", f"{name}.js") for name in SCRIPTS), START])
    style = "\n".join([*(_asset("css", f"{name}.css") for name in STYLES), OWN_STYLE])
    jsonl = io.StringIO()
    write_trace(trace, jsonl)
    return PAGE.substitute(
        policy=_policy(code),
        title=html.escape(f"Recurrent drafting: {visible(_prompt(trace))[:80]}"),
        style=style,
        text=html.escape(RunText().catch_up(trace).redrafter.text),
        run=_packed(_run(trace)),
        trace=_packed(jsonl.getvalue()),
        code=code,
    )


def _run(trace: Trace) -> str:
    """What the views draw: the frame of the whole run, and every step."""
    frame = {"kind": "run", "key": "file", "state": "done", "message": "", "position": 0, **trace_picture(trace)}
    steps = [step_picture(step, sampled=trace.sampled) for step in trace.steps]
    body = {"frame": frame, "steps": steps}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _prompt(trace: Trace) -> str:
    return next((content for role, content in reversed(trace.header.messages) if role == "user"), "a run")


def _policy(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'"


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _asset(*parts: str) -> str:
    return ASSETS.joinpath(*parts).read_text(encoding="utf-8")
