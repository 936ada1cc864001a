"""The studio of a scholar with a backbone in a real browser: photos first, and no pictures of dreams."""

from __future__ import annotations

from pathlib import Path

from photographs import photo_folder, photo_task, photograph, quick
from playwright.sync_api import Browser, expect

from scholars.learning.algorithm import learn

from .test_studio import LISTEN, served


def test_photos_are_classified_and_taught(browser: Browser, tmp_path: Path) -> None:
    task = photo_task(tmp_path / "known", ("disc", "box"), 10)
    learn(task, settings=quick(solver__steps=40, audit__dreams=0)).save(tmp_path / "scholar")
    photo_folder(tmp_path / "new", ("leaf",), 8, first=50)
    photograph("box", 70).save(tmp_path / "box.jpg")
    wrong: list[str] = []
    with served(tmp_path / "scholar") as address:
        page = browser.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        expect(page.locator("#about")).to_contain_text("seen by the backbone efficientnet-lite0 (licence: Apache-2.0)")
        expect(page.locator("#dream-status")).to_have_text("Its dreams are features of photos, which have no picture.")
        expect(page.locator("#dreaming")).to_be_hidden()
        # What asks for a photo stands above the board.
        buttons, board = page.locator("#choosing").bounding_box(), page.locator("#board").bounding_box()
        assert buttons
        assert board
        assert buttons["y"] < board["y"]

        page.locator("#file").set_input_files(tmp_path / "box.jpg")
        expect(page.locator("#guesses li")).to_have_count(2)
        page.locator("#pin").click()
        page.evaluate(LISTEN, "job-status")
        page.locator("#folder").set_input_files(tmp_path / "new" / "train")
        page.get_by_role("button", name="Teach").click()
        expect(page.locator("#job-status")).to_contain_text("is learned: generation 2", timeout=120_000)
        assert any("features, 8 of 8 images" in text for text in page.evaluate("said"))
        expect(page.locator("#pinned")).to_contain_text("generation 2: ")
        expect(page.locator("#compare")).to_be_hidden()
        expect(page.locator("#about")).to_contain_text("3 classes learned in 2 tasks")
        page.close()
    assert wrong == []
