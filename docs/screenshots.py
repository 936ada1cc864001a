"""Take the docs' screenshots of a run's report, or of an open studio: python docs/screenshots.py RUN | ADDRESS.

Needs Chromium. The run's images must be free to show, as those of `scholars run quickstart` are; the studio's scholar
must know digits.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, FloatRect, sync_playwright

IMAGES = Path(__file__).with_name("images")


@dataclass(frozen=True)
class Shot:
    """A screenshot that begins at the page's top, or at the heading ``section``.

    width, height: pixels
    """

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    section: str = ""


SHOTS = (
    Shot("report-light", "light", 1100, 1240),
    Shot("report-dark", "dark", 1100, 1160, "Real images and dreams of each class"),
    Shot("report-phone", "light", 390, 844),
)


# The strokes of a 3; coordinates in [0, 1] of the drawing board.
THREE = (
    *((0.32, 0.3), (0.45, 0.17), (0.65, 0.22), (0.65, 0.4), (0.45, 0.5)),
    *((0.68, 0.6), (0.65, 0.8), (0.42, 0.85), (0.3, 0.72)),
)


def report(browser: Browser, run: Path) -> None:
    """Take the screenshots of a run's report."""
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


def studio(browser: Browser, address: str) -> None:
    """Draw a 3 in the studio at ``address``, and take its screenshot."""
    page = browser.new_page(viewport={"width": 1000, "height": 1180})
    page.goto(address)
    page.locator("#dreams img").last.wait_for()
    box = page.locator("#board").bounding_box()
    assert box, "no drawing board"
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in THREE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    page.locator("#guesses li").last.wait_for()
    page.wait_for_timeout(1000)  # for the prediction for the last stroke
    page.screenshot(path=IMAGES / "studio.png")
    page.close()


def main(target: str) -> None:
    """Take the screenshots of a run's folder, or of a studio's address."""
    browsers = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, browsers)), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        if target.startswith("http"):
            studio(browser, target)
        else:
            report(browser, Path(target))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
