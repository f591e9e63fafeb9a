"""Where the page's own files are: scripts and styles, put into the page itself so that nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets"
EXAMPLES = ASSETS / "traces"
SCRIPTS = (
    "dom", "icons", "format", "store", "tree_layout", "view_box", "pan_zoom", "tree_pills", "tree", "motion_time",
    "motion", "terms", "guess", "tree_table", "beams", "node_card", "mask", "text", "charts", "equation", "map_scale",
    "map", "scrubber", "steps", "live", "race", "shapes", "names", "side", "compared", "compare", "traces", "learn",
    "settings", "rail", "status", "plots", "export", "handover", "sources", "tabs", "stage", "app",
)  # fmt: skip
_COMMENTS = re.compile(r"^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
STYLES = ("base", "tree", "views", "rail", "exports", "sources", "compare")


def page_head() -> str:
    """Icon, what styles Gradio would confine, and the scripts, inline."""
    code = "\n".join(lean((ASSETS / "js" / f"{name}.js").read_text(encoding="utf-8")) for name in SCRIPTS)
    icon = "data:image/svg+xml," + _percent((ASSETS / "icon.svg").read_text(encoding="utf-8"))
    frame = (ASSETS / "css" / "frame.css").read_text(encoding="utf-8")
    return f'<link rel="icon" href="{icon}"><style>{frame}</style><script>{code}</script>'


def page_css() -> str:
    """The styles, in one sheet."""
    return "\n".join(lean((ASSETS / "css" / f"{name}.css").read_text(encoding="utf-8")) for name in STYLES)


def lean(code: str) -> str:
    """Scripts and styles without what only their readers need: lines of comment, and indents.

    No text in them runs over a line's end (a test looks), so nothing they say changes.
    """
    return "\n".join(line.strip() for line in _COMMENTS.sub("", code).splitlines() if line.strip())


def _percent(text: str) -> str:
    from urllib.parse import quote

    return quote(text.strip())
