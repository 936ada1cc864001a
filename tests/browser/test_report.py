"""The report in a real browser: on a phone, in print, without a network, with names that people should not choose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from report.documents import one_run, results, tick

from scholars.report import write_report

NAMES = ["<script>document.title='taken'</script>", *(f"a-rather-long-name-of-a-task-number-{n}" for n in range(6))]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of seven tasks with long names."""
    folder = tmp_path_factory.mktemp("run")
    rows = [[0.9 - 0.05 * (after - task) for task in range(after + 1)] for after in range(len(NAMES))]
    document = results(tasks=NAMES, runs=[one_run(0, "replay", rows), one_run(0, "joint", rows[-1:])], summary={})
    (folder / "results.json").write_text(json.dumps(document), encoding="utf-8")
    ticks = [tick("replay", name, step) for name in NAMES for step in (5, 10, 20)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, ticks)), encoding="utf-8")
    return write_report(folder)


@pytest.fixture(params=[390, 1200])
def page(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The report from disk; whatever goes wrong in it, or asks for more than the file, fails the test."""
    wrong: list[str] = []
    opened = browser.new_page(viewport={"width": request.param, "height": 800})
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on(
        "request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
    )
    opened.goto(report.as_uri())
    opened.wait_for_function("document.querySelectorAll('figure svg').length == 3")
    yield opened
    opened.close()
    assert wrong == []


def test_charts_are_drawn_and_nothing_hangs_over(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    charts = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.scrollWidth - f.clientWidth)")
    assert max(charts) <= 1
    assert page.title() == "tiny - Scholars"  # the first task's name was read, not run


def test_print_shows_what_is_folded_and_cuts_nothing_off(page: Page) -> None:
    # Not by its height: what is folded may keep the one of its first layout.
    assert not page.locator("details pre").evaluate("e => e.checkVisibility()")
    # A page of A4 less its margins, in CSS pixels.
    page.set_viewport_size({"width": 688, "height": 1000})
    page.emulate_media(media="print")
    assert page.locator("details pre").evaluate("e => e.checkVisibility()")
    box = page.locator("details pre").bounding_box()
    assert box and box["height"] > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert (
        max(page.evaluate("[...document.querySelectorAll('table, svg')].map(e => e.getBoundingClientRect().right)"))
        <= 688
    )
