"""The studio in a real browser: forgetting, renaming and merging, with a consent to each, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import with_changes
from photographs import arrays, quick
from playwright.sync_api import Browser, Page, expect
from studio.test_app import continuing

from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks.task import Task

from .test_studio import CONTRASTS, served


@pytest.fixture(scope="module")
def other(high: Task, tiny: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of a scholar that knows 5 to 9."""
    folder = tmp_path_factory.mktemp("other")
    settings = with_changes(tiny, generator__steps=2, solver__steps=5, audit__dreams=0)
    learn(high, settings=settings, seed=3).save(folder / "pets")
    return Path(shutil.make_archive(str(folder / "pets"), "zip", folder, "pets"))


@pytest.fixture
def page(browser: Browser, one: Scholar, tmp_path: Path) -> Iterator[Page]:
    """The studio of a scholar that knows 0 to 4; nothing may be logged as an error there but what is refused."""
    continuing(one, generator__steps=2, solver__steps=5, audit__dreams=0).save(tmp_path / "home")
    with served(tmp_path / "home") as address:
        page = browser.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        expect(page.locator("#about")).to_contain_text("Generation 1")
        yield page
        assert [error for error in errors if "status of 422" not in error] == []
        page.close()


def consent(page: Page, words: str) -> None:
    """Agree to what is asked, which must say ``words``."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(words)
    dialog.locator("#consent-yes").click()
    expect(dialog).to_be_hidden()


def done(page: Page, words: str) -> None:
    expect(page.locator("#job-status")).to_contain_text(words, timeout=120_000)


def test_classes_are_forgotten_and_one_goes_back(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    forget = page.get_by_role("button", name="Forget", exact=True).and_(page.locator("#forgetting button"))
    forget.click()
    expect(page.locator("#forget-status")).to_have_text("Tick the classes to forget first.")
    for name in ("1", "3"):
        page.locator("#forgettable").get_by_label(name).check()
    forget.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    page.get_by_role("button", name="Cancel").click()
    forget.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert sent == [], "nobody agreed"
    forget.click()
    consent(
        page,
        "The scholar will no longer know 1 and 3. Forgetting is approximate here: dreams of other classes may still "
        "show something of what is forgotten. This generation is kept, so that you can go back; to remove it for good, "
        "use `scholars forget --purge` instead.",
    )
    done(page, "Forgetting 1, 3 is done: generation 2 knows 3 classes.")
    expect(page.locator("section[aria-labelledby=change] #job")).to_be_visible()
    expect(page.locator("#notes")).to_contain_text("approximate")
    expect(page.locator("#about")).to_contain_text("Generation 2: 3 classes learned in 1 task,")
    expect(page.locator("#timeline li")).to_have_count(2)
    expect(page.locator("#timeline li").first).to_contain_text(
        "0, 2, 4; its accuracy is not known since its classes changed."
    )
    expect(page.locator("#timeline li").last).to_contain_text("2. something forgotten")
    expect(page.locator("#forgettable label")).to_have_text(["0", "2", "4"])
    expect(forget).to_be_enabled()
    page.locator("#timeline li").first.get_by_role("button", name="Go to generation 1").click()
    expect(page.locator("#about")).to_contain_text("Generation 1: 5 classes")
    expect(page.locator("#timeline li.later")).to_contain_text("2. something forgotten: kept, not in use")


def test_a_class_is_renamed_then_joined_with_another(page: Page) -> None:
    rename = page.locator("#renaming button")
    page.locator("#old-name").select_option("3")
    page.locator("#new-name").fill(" three ")
    expect(page.locator("#rename-status")).to_have_text("")
    rename.click()
    consent(page, "3 will be called three. This generation is kept, so that you can go back.")
    done(page, "Renaming 3 to three is done: generation 1 knows 5 classes.")
    # With other names of its classes the generation is another one: the one before can be gone back to.
    expect(page.locator("#timeline li")).to_have_count(1)
    expect(page.locator("#timeline").get_by_role("button")).to_have_text("Go to generation 1")
    page.locator("#old-name").select_option("three")
    page.locator("#new-name").fill("4")
    expect(page.locator("#rename-status")).to_have_text("The scholar knows 4 already: both become one class.")
    rename.click()
    consent(page, "three and 4 become one class, called 4")
    done(page, "Renaming three to 4 is done: generation 2 knows 4 classes.")
    expect(page.locator("#timeline li").last).to_contain_text("2. joined two classes")
    assert page.locator("#timeline li").first.get_by_role("button").all_inner_texts() == [
        "Go to generation 1",
        "Go to generation 1-2",
    ]


def test_what_the_studio_refuses_is_said(page: Page) -> None:
    page.locator("#old-name").select_option("3")
    page.locator("#new-name").fill("3")
    page.locator("#renaming button").click()
    consent(page, "3 will be called 3.")
    done(page, "the class is called '3' already")
    expect(page.locator("#renaming button")).to_be_enabled()
    page.locator("#merging button").click()
    expect(page.locator("#merge-status")).to_have_text("Choose a scholar's zip file first.")


DROP = """([name, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(content)], name, {type: "application/zip"}));
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_a_dropped_scholar_is_merged_and_a_dropped_task_is_not(page: Page, other: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "a.png").write_bytes(b"x")
    photos = shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    page.evaluate(DROP, ["photos.zip", list(Path(photos).read_bytes())])
    expect(page.locator("#chosen")).to_contain_text("photos.zip")
    expect(page.locator("#other-chosen")).to_have_text("nothing chosen")
    page.evaluate(DROP, ["pets.zip", list(other.read_bytes())])
    expect(page.locator("#other-chosen")).to_contain_text("pets.zip")
    expect(page.locator("#chosen")).to_contain_text("photos.zip")
    page.locator("#merging button").click()
    consent(page, "by its own dreams and by those of the scholar in pets.zip, and know the classes of both.")
    done(page, "Merging with pets is done: generation 2 knows 10 classes.")
    expect(page.locator("#about")).to_contain_text("Generation 2: 10 classes learned in 2 tasks,")
    titles = page.locator("#timeline li strong").all_inner_texts()
    assert titles == ["1. digits", "1. digits-2", "2. merged 2 scholars"]
    expect(page.locator("#timeline li").nth(0)).not_to_contain_text("nothing before")
    expect(page.locator("#timeline li").nth(1)).to_contain_text("Learned from nothing before.")
    expect(page.locator("#timeline li").nth(2)).to_contain_text("From 1. digits and 1. digits-2.")
    expect(page.locator("#timeline").get_by_role("button")).to_have_count(1)
    page.get_by_role("button", name="Go to generation 1").click()
    expect(page.locator("#about")).to_contain_text("5 classes learned in 1 task,")


def test_a_scholar_with_memories_forgets_exactly(browser: Browser, tmp_path: Path) -> None:
    settings = quick("lda", generator__kind="mixture", audit__dreams=0, ood__dreams=0)
    learn(arrays(("disc", "box", "leaf"), 6), settings=settings).save(tmp_path / "home")
    with served(tmp_path / "home") as address:
        page = browser.new_page()
        page.goto(address)
        page.locator("#forgettable").get_by_label("leaf").check()
        page.locator("#forgetting button").click()
        expect(page.get_by_role("dialog")).to_contain_text("no longer know leaf. This generation is kept")
        page.close()
