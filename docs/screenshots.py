"""Photographs a run's report for docs/report.md: python docs/screenshots.py RUN. Needs Chromium.

Take a run whose images may be shown, such as `scholars run quickstart`.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import FloatRect, sync_playwright

IMAGES = Path(__file__).with_name("images")


@dataclass(frozen=True)
class Shot:
    """A picture from the page's top, or from a section, to so many pixels below."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    section: str = ""


SHOTS = (
    Shot("report-light", "light", 1100, 1240),
    Shot("report-dark", "dark", 1100, 1160, "What is remembered of each class"),
    Shot("report-phone", "light", 390, 844),
)


def main(run: Path) -> None:
    """Write the pictures."""
    browsers = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, browsers)), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for shot in SHOTS:
            page = browser.new_page(viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme)
            page.goto((run / "report.html").resolve().as_uri())
            page.wait_for_function(
                "document.querySelectorAll('figure svg').length == document.querySelectorAll('figure').length"
            )
            top = 0.0
            if shot.section:
                box = page.get_by_role("heading", name=shot.section).bounding_box()
                top = box["y"] - 24 if box else 0.0
            clip: FloatRect = {"x": 0, "y": top, "width": shot.width, "height": shot.height}
            page.screenshot(path=IMAGES / f"{shot.name}.png", full_page=True, clip=clip)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
