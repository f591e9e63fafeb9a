"""Take the README's pictures from the real page: `python -m scripts.screenshots`.

Serves the page over the bundled examples and the default pair, opens it in Chromium, writes docs/images/*.png.
With `--all FOLDER` every view at four window sizes, light and dark, goes there instead, to be looked at one by one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playground.config import EngineOptions
from playground.session import Session
from playground.ui.host import SessionHost
from playground.ui.serving import serve

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SHOTS = (("live", "light"), ("steps", "light"), ("mask", "light"), ("race", "dark"), ("live", "dark"))
VIEWS = ("live", "steps", "mask", "race", "shapes", "traces", "learn")
SIZES = ((1440, 900), (1280, 800), (1024, 768), (390, 844))


@contextmanager
def opened(browser: Any, url: str, view: str, scheme: str, size: tuple[int, int], scale: float) -> Iterator[Any]:
    """One view in one colour scheme and size, its pair loaded and its picture still."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
    )
    page = context.new_page()
    page.goto(f"{url}#view={view}")
    page.wait_for_selector(f".rp-app[data-state=done][data-shown={view}]")
    page.wait_for_selector(".rp-pair[data-pair=ready]", timeout=300_000)
    page.wait_for_timeout(400)
    yield page
    context.close()


def readme(browser: Any, url: str) -> None:
    """The pictures that the README and the docs show."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for view, scheme in SHOTS:
        with opened(browser, url, view, scheme, (1440, 900), 1.5) as page:
            if view in ("steps", "mask"):
                page.locator(f"#rp-view-{view} .rp-node.is-accepted").first.hover()
                page.wait_for_timeout(200)
            page.screenshot(path=IMAGES / f"{view}-{scheme}.png")


def every_view(browser: Any, url: str, folder: Path) -> None:
    """Whole pages, by size, scheme and view."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for scheme in ("light", "dark"):
            for view in VIEWS:
                with opened(browser, url, view, scheme, size, 1.0) as page:
                    page.screenshot(path=folder / f"{size[0]}x{size[1]}-{scheme}-{view}.png", full_page=True)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every view, size and scheme, into this folder")
    chosen = parser.parse_args()
    served = serve(SessionHost(Session.open, None, None, EngineOptions()), port=None, block=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        if chosen.all:
            every_view(browser, served.url, chosen.all)
        else:
            readme(browser, served.url)
        browser.close()
    served.close()


if __name__ == "__main__":
    main()
