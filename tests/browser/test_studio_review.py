"""Reviewing in a real browser: the least certain images first, and answers that are learned, from a file or at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from photographs import photo_task, photograph, quick
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from scholars.inference.review import review
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.tasks.open import open_task

from .test_studio import CONTRASTS, served


@pytest.fixture(scope="module")
def scholar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scholar that knows discs and boxes."""
    folder = tmp_path_factory.mktemp("review")
    task = photo_task(folder / "known", ("disc", "box"), 10)
    learn(task, settings=quick(solver__steps=40, audit__dreams=0)).save(folder / "scholar")
    return folder / "scholar"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A folder of 24 photos of three classes, that does not say which; and two other files."""
    folder = tmp_path / "new"
    (folder / "more").mkdir(parents=True)
    for number in range(8):
        for thing in ("disc", "box", "ring"):
            name = f"more/{thing} {number}.png" if number % 2 else f"={thing}, {number}.png"
            photograph(thing, 300 + number).save(folder / name)
    (folder / "broken.jpg").write_text("no image")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def page(browser: Browser, scholar: Path, tmp_path: Path) -> Iterator[Page]:
    """The studio of a copy of the scholar, opened; its scripts may fail nowhere, nor breach the security policy."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    with served(shutil.copytree(scholar, tmp_path / "scholar")) as address:
        page.goto(address)
        expect(page.locator("#about")).to_contain_text("Generation")
        yield page
        page.close()
    # The browser notes every answer that is an error, and every request without one.
    assert [error for error in errors if not error.startswith("Failed to load resource")] == []


def listed(page: Page) -> Locator:
    return page.locator("#review-list li")


def choose(page: Page, folder: Path) -> None:
    page.locator("#review-folder").set_input_files(folder)
    expect(listed(page)).to_have_count(20)


def show_all(page: Page) -> list[Locator]:
    page.get_by_role("button", name="Show more (4 images are left)").click()
    expect(listed(page)).to_have_count(24)
    expect(page.locator("#review-more")).to_be_hidden()
    return listed(page).all()


def path_of(card: Locator) -> str:
    return card.locator("img").get_attribute("alt") or ""


def thing_of(card: Locator) -> str:
    return next(thing for thing in ("disc", "box", "ring") if thing in path_of(card))


def test_the_page_and_the_command_have_one_order(page: Page, new: Path, scholar: Path) -> None:
    choose(page, new)
    found = review(Scholar.load(scholar), new, top=24)
    expect(page.locator("#review-status")).to_contain_text("24 images, the least certain first.")
    expect(page.locator("#review-status")).to_contain_text(f"{found.unfamiliar} of them unlike anything")
    expect(page.locator("#review-status")).to_contain_text("1 other file was left out. 1 image cannot be read:")
    expect(page.locator("#review-unreadable li")).to_have_count(1)
    expect(page.locator("#review-unreadable")).to_contain_text("broken.jpg: the image is no image")
    cards = show_all(page)
    expected = [one.file.relative_to(new).as_posix() for one in found.predictions if one.file]
    assert [path_of(card) for card in cards] == expected
    marked = [card.get_by_text("unlike anything that it learned").count() for card in cards]
    assert marked == [int(bool(one.unfamiliar)) for one in found.predictions]
    expect(cards[0].get_by_role("button").first).to_contain_text(found.predictions[0].guesses[0][0])
    # Every picture is shown: the security policy allows it.
    page.wait_for_function(
        "[...document.querySelectorAll('#review-list img')].slice(0, 3).every((one) => one.naturalWidth)"
    )


def test_answers_are_a_file_that_learn_takes(page: Page, new: Path) -> None:
    choose(page, new)
    expect(page.locator("#review-count")).to_have_text("No image answered yet")
    expect(page.locator("#review-download")).to_be_disabled()
    for card in show_all(page):
        thing = thing_of(card)
        if "more/" in path_of(card) or "6" in path_of(card):
            continue
        if thing == "ring":
            card.get_by_label("another class").fill(" ring, wide ")
            page.keyboard.press("Enter")
        else:
            card.get_by_role("button", name=thing).click()
            expect(card.get_by_role("button", name=thing)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#review-count")).to_have_text("9 images answered, 3 classes")
    # A new class is offered for the other images, too.
    assert "ring, wide" in page.locator("#known option").evaluate_all("(all) => all.map((one) => one.value)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers.csv").click()
    download.value.save_as(new / "answers.csv")
    task = open_task(new / "answers.csv")
    assert task.classes == ("box", "disc", "ring, wide")
    assert len(task.train) + len(task.test) == 9
    heading, *lines = (new / "answers.csv").read_text(encoding="utf-8-sig").splitlines()
    labels = {"box": "box", "disc": "disc", "ring": '"ring, wide"'}
    assert heading == "file,label"
    assert sorted(lines) == sorted(
        f'"./={thing}, {n}.png",{label}' for thing, label in labels.items() for n in (0, 2, 4)
    )


def test_an_answer_can_be_changed_and_taken_back(page: Page, new: Path) -> None:
    choose(page, new)
    card = listed(page).first
    (one, two), field = card.get_by_role("button").all()[:2], card.get_by_label("another class")
    one.click()
    two.click()
    assert [button.get_attribute("aria-pressed") for button in (one, two)] == ["false", "true"]
    field.fill("lamp")
    page.keyboard.press("Enter")
    expect(two).to_have_attribute("aria-pressed", "false")
    one.click()
    expect(field).to_have_value("")
    expect(page.locator("#review-count")).to_have_text("1 image answered, 1 class")
    one.click()
    expect(page.locator("#review-count")).to_have_text("No image answered yet")


def test_answers_are_not_dropped_unasked(page: Page, new: Path) -> None:
    choose(page, new)
    listed(page).first.get_by_role("button").first.click()
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.locator("#review-images").set_input_files(new / "=disc, 0.png")
    expect(page.locator("#review-count")).to_have_text("1 image answered, 1 class")
    assert asked == ["Your answers are neither downloaded nor taught. Drop them?"]
    with page.expect_download():
        page.get_by_role("button", name="Download answers.csv").click()
    page.locator("#review-images").set_input_files([new / "=disc, 0.png", new / "notes.txt"])
    expect(listed(page)).to_have_count(1)
    expect(page.locator("#review-status")).to_contain_text("1 image, the least certain first.")


def test_answers_are_taught(page: Page, new: Path) -> None:
    choose(page, new)
    for card in show_all(page):
        if thing_of(card) == "ring":
            card.get_by_label("another class").fill("train")
            page.keyboard.press("Enter")
    page.get_by_role("button", name="Teach the answers").click()
    expect(page.locator("#review-count")).to_have_text(
        "A class called train is learned from answers.csv only: download it."
    )
    for card in listed(page).all():
        if thing_of(card) == "ring":
            card.get_by_label("another class").fill("hoop")
            page.keyboard.press("Enter")
    page.get_by_role("button", name="Teach the answers").click()
    expect(page.locator("#chosen")).to_have_text("8 answered images")
    expect(page.locator("#task")).to_have_value("answers")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#job-status")).to_contain_text("answers is learned: generation 2", timeout=120_000)
    expect(page.locator("#about")).to_contain_text("3 classes learned in 2 tasks")


def test_several_dropped_images_are_reviewed(page: Page, new: Path) -> None:
    contents = [list((new / f"={thing}, 0.png").read_bytes()) for thing in ("disc", "ring")]
    page.evaluate(
        """(contents) => {
            const data = new DataTransfer();
            for (const one of contents) data.items.add(new File([new Uint8Array(one)], `${one.length}.png`));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        contents,
    )
    expect(listed(page)).to_have_count(2)
    expect(page.locator("#given")).to_be_hidden()


def test_a_studio_that_is_closed_is_told_from_files_that_cannot_be_read(page: Page, new: Path) -> None:
    page.route("**/predict*", lambda route: route.abort())
    page.locator("#review-folder").set_input_files(new)
    expect(page.locator("#review-status")).to_have_text("The studio does not answer; it may have been closed.")


def test_a_phone_shows_all_of_it_readably(page: Page, new: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    choose(page, new)
    listed(page).first.get_by_role("button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CONTRASTS) == []
    for control in page.locator("#review-list button, #review-list input").all():
        assert control.evaluate("one => (one.innerText || one.labels?.[0]?.innerText || '').trim()")
