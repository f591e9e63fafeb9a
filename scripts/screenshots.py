"""Take the README's pictures from the real page: `python -m scripts.screenshots`.

Serves the page over the bundled examples and the default pair, opens it in Chromium, writes docs/images/*.png.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playground.config import EngineOptions
from playground.session import Session
from playground.ui.host import SessionHost
from playground.ui.serving import serve

IMAGES = Path(__file__).resolve().parent / "images"
BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SHOTS = (("live", "light"), ("steps", "light"), ("mask", "light"), ("race", "dark"), ("live", "dark"))


def shoot(browser: Any, url: str, view: str, scheme: str) -> None:
    """One view in one colour scheme."""
    context = browser.new_context(viewport={"width": 1440, "height": 960}, color_scheme=scheme, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{url}#view={view}")
    page.wait_for_selector(f".rp-app[data-state=done][data-shown={view}]")
    page.wait_for_selector(".rp-pair[data-pair=ready]", timeout=300_000)
    if view in ("steps", "mask"):
        page.locator(f"#rp-view-{view} .rp-node.is-accepted").first.hover()
    page.wait_for_timeout(400)
    page.screenshot(path=IMAGES / f"{view}-{scheme}.png")
    context.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(parents=True, exist_ok=True)
    served = serve(SessionHost(Session.open, None, None, EngineOptions()), port=None, block=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        for view, scheme in SHOTS:
            shoot(browser, served.url, view, scheme)
        browser.close()
    served.close()


if __name__ == "__main__":
    main()
