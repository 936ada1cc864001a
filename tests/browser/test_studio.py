"""The studio in a real browser: what a person does there, and sees."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from studio.test_app import continuing, write_images
from torch import Tensor

from scholars.inference.predict import Prediction
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.studio import served_scholar
from scholars.studio.app import studio
from scholars.tasks.open import open_task

# Enough to know a digit, to dream of each, and to learn five more, in a second or two.
SETTINGS = {
    "image": {"size": 16, "channels": 1},
    "solver": {"width": 8, "steps": 100, "batch": 32},
    "generator": {"kind": "vae", "net": "mlp", "width": 64, "latent": 8, "steps": 200, "batch": 32, "rate": 0.003},
    "replay": {"bank": 200},
    "ood": {"dreams": 50},
    "audit": {"dreams": 0},
}


@pytest.fixture(scope="module")
def new_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zip")
    write_images(open_task("digits").select_classes(tuple("56789")), folder / "photos" / "high", 40)
    return Path(shutil.make_archive(str(folder / "high"), "zip", folder / "photos"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio of a scholar that knows 0 to 4."""
    folder = tmp_path_factory.mktemp("studio") / "digits"
    settings = build(Settings, SETTINGS, None, where="tests")
    scholar = learn(open_task("digits").select_classes(tuple("01234")), settings=settings)
    continuing(scholar, generator__steps=10, solver__steps=60).save(folder)
    with served(folder) as place:
        yield place


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A studio of the scholar in ``folder``, at an address of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(studio(folder), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:  # else a test that fails here never ends
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The studio, opened; nothing may be logged as an error there, a breach of its security policy included."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.locator("#about")).to_contain_text("Generation")
    yield page
    # The browser notes every image that is refused, too.
    assert [error for error in errors if "status of 422" not in error] == []
    page.close()


# Keeps all that an element ever showed.
LISTEN = """(id) => {
    const element = document.getElementById(id);
    window.said = [];
    new MutationObserver(() => said.push(element.innerText.trim())).observe(element, {childList: true});
}"""


def hold(page: Page, pattern: str) -> list[Route]:
    """Where the next request of that pattern will be, unanswered."""
    held: list[Route] = []

    def keep_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    # Never with `times`: the browser then stops intercepting while it sends the next request, which may hang for ever.
    page.route(pattern, keep_first)
    return held


def draw(page: Page, *strokes: list[tuple[float, float]]) -> None:
    """Lines on the board through points in its width and height, 0 to 1."""
    box = page.locator("#board").bounding_box()
    assert box is not None
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()


def test_a_drawn_digit_is_centred_and_classified(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a classifier that depends on nothing else: in the middle of a 0 there is nothing, in that of a 1 is a line."""
    received: list[npt.NDArray[np.uint8]] = []

    def classify(scholar: Scholar, images: Tensor) -> Iterator[Prediction]:
        for image in images[:, 0].numpy():
            received.append(image)
            best = "1" if image[7:9, 7:9].mean() > 100 else "0"
            others = [(name, 0.0) for name in scholar.classes if name != best]
            yield Prediction(None, ((best, 1.0), *others), False)

    monkeypatch.setattr(served_scholar, "predict_images", classify)
    circle = [(0.3, 0.1), (0.1, 0.25), (0.08, 0.5), (0.3, 0.72), (0.5, 0.5), (0.5, 0.25), (0.3, 0.1)]
    draw(page, circle)
    expect(page.locator("#verdict")).to_contain_text("0")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#verdict")).to_contain_text("No image yet")
    draw(page, [(0.72, 0.38), (0.82, 0.3), (0.82, 0.9)])
    expect(page.locator("#verdict")).to_contain_text("1")
    assert page.locator("#guesses li").count() == 5
    rows, _ = np.nonzero(received[-1] > 60)
    assert np.ptp(rows) + 1 == pytest.approx(16 * 20 / 28, abs=1.5)
    weights = received[-1].astype(float)
    centre = [(weights * np.arange(16)[:, None]).sum(), (weights * np.arange(16)).sum()] / weights.sum()
    assert centre == pytest.approx([7.5, 7.5], abs=0.7)


@pytest.mark.parametrize("way", ["clear", "drop", "paste"])
def test_an_answer_that_comes_when_something_else_is_asked_about_is_not_shown(
    page: Page, tmp_path: Path, way: str
) -> None:
    page.evaluate(LISTEN, "verdict")
    held = hold(page, "**/predict*")
    with page.expect_request("**/predict*"):
        draw(page, [(0.5, 0.2), (0.5, 0.8)])
    if way == "clear":
        page.get_by_role("button", name="Clear").click()
    else:
        Image.fromarray(open_task("digits").test.images[0][0]).save(tmp_path / "digit.png")
        page.evaluate(GIVEN[way], list((tmp_path / "digit.png").read_bytes()))
    late = {"generation": 1, "unfamiliar": False, "guesses": [{"class": "late", "probability": 1.0}]}
    with page.expect_request_finished():
        held[0].fulfill(json=late)
    # The page is still answering, and asks one at a time: what is next is named once the late answer has been heard.
    if way == "clear":
        draw(page, [(0.42, 0.28), (0.52, 0.2), (0.52, 0.8)])
    expect(page.locator("#guesses li")).to_have_count(5)
    assert "late" not in page.evaluate("said")


def test_the_dreams_asked_for_last_are_shown_whichever_come_first(page: Page) -> None:
    expect(page.locator("#dreams img")).to_have_count(24)
    held = hold(page, "**/dreams*class=1*")
    with page.expect_request("**/dreams*class=1*"):
        page.locator("#class").select_option("1")
    page.locator("#class").select_option("2")
    expect(page.locator("#dreams li").first).to_have_text("2")
    page.evaluate(LISTEN, "dreams")
    with page.expect_request_finished():
        held[0].fulfill(json={"dreams": [{"image": "", "class": "late"}]})
    before = page.locator("#dreams img").first.get_attribute("src") or ""
    page.get_by_role("button", name="Other dreams").click()
    expect(page.locator("#dreams img").first).not_to_have_attribute("src", before)
    assert "late" not in page.evaluate("said")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_an_image_is_dropped_or_pasted(page: Page, tmp_path: Path, way: str) -> None:
    """As the browser hands on what somebody drags in, or has in the clipboard."""
    zero = open_task("digits").select_classes(("0",)).test.images[0][0]
    Image.fromarray(zero).save(tmp_path / "zero.png")
    content = list((tmp_path / "zero.png").read_bytes())
    page.evaluate(GIVEN[way], content)
    expect(page.locator("#verdict")).to_contain_text("0")
    expect(page.locator("#given")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#given")).to_be_hidden()


def test_what_could_not_be_named_cannot_be_kept(page: Page, tmp_path: Path) -> None:
    Image.fromarray(open_task("digits").test.images[0][0]).save(tmp_path / "digit.png")
    page.evaluate(GIVEN["drop"], list((tmp_path / "digit.png").read_bytes()))
    expect(page.locator("#pin")).to_be_visible()
    page.evaluate(GIVEN["drop"], list(b"no image"))
    expect(page.locator("#verdict")).to_contain_text("the image is no image")
    expect(page.locator("#pin")).to_be_hidden()


FILE = (
    "const data = new DataTransfer(); "
    "data.items.add(new File([new Uint8Array(content)], 'a.png', {type: 'image/png'}));"
)
GIVEN = {
    "drop": f"(content) => {{ {FILE} document.body.dispatchEvent(new DragEvent('drop', "
    "{dataTransfer: data, bubbles: true, cancelable: true})); }",
    "paste": f"(content) => {{ {FILE} document.body.dispatchEvent(new ClipboardEvent('paste', "
    "{clipboardData: data, bubbles: true})); }",
}


def test_a_phone_is_asked_for_its_camera(page: Page) -> None:
    camera = page.get_by_label("Take a photograph")
    assert (camera.get_attribute("accept"), camera.get_attribute("capture")) == ("image/*", "environment")


def test_the_api_describes_itself_without_a_network(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("link", name="The HTTP API").click()
    expect(page.get_by_role("heading", name="POST /predict")).to_be_visible()
    assert page.locator("pre", has_text="curl").count() == 9
    assert asked
    assert {urlsplit(url).hostname for url in asked} == {"127.0.0.1"}


def test_it_dreams_of_what_it_is_asked_for(page: Page) -> None:
    expect(page.locator("#dreams img")).to_have_count(24)
    first = page.locator("#dreams img").first.get_attribute("src")
    page.get_by_role("button", name="Other dreams").click()
    expect(page.locator("#dreams img").first).not_to_have_attribute("src", first or "")
    page.locator("#class").select_option("2")
    expect(page.locator("#dreams li").first).to_have_text("2")


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page: Page) -> None:
    for control in page.locator("button:visible, input:not([hidden]), select").all():
        named = control.evaluate("one => (one.innerText || one.ariaLabel || one.labels?.[0]?.innerText || '').trim()")
        assert named, control.evaluate("one => one.outerHTML")
    page.locator("#clear").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "dark"


def test_teaching_from_the_page_and_going_back(page: Page, new_digits: Path) -> None:
    """A file of a 7 is not known; a task is taught and the new generation knows it; then back to the first."""
    seven = open_task("digits").select_classes(("7",)).test.images[0][0]
    path = new_digits.with_name("seven.png")
    Image.fromarray(seven).save(path)
    page.locator("#file").set_input_files(path)
    expect(page.locator("#verdict")).not_to_contain_text("7")
    expect(page.locator("#pin")).to_be_visible()
    page.locator("#pin").click()
    page.locator("#zip").set_input_files(new_digits)
    expect(page.locator("#task")).to_have_value("high")
    page.evaluate(LISTEN, "job-status")
    page.get_by_role("button", name="Teach").click()
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#compare")).to_be_hidden()
    expect(page.locator("#job-status")).to_contain_text("is learned: generation 2", timeout=120_000)
    assert any("solver, step " in text for text in page.evaluate("said"))
    expect(page.locator("#verdict")).to_contain_text("7")
    expect(page.locator("#about")).to_contain_text("10 classes learned in 2 tasks")
    expect(page.locator("#timeline li")).to_have_count(2)
    expect(page.locator("#pinned")).to_contain_text("2: 7")
    expect(page.locator("#after img")).to_have_count(30)
    page.get_by_role("button", name="Go to generation 1").click()
    expect(page.locator("#about")).to_contain_text("5 classes learned in 1 task")
    page.get_by_role("button", name="Go to generation 2").click()
    expect(page.locator("#about")).to_contain_text("10 classes")


def test_a_task_is_called_after_what_was_chosen_last_or_as_was_written(page: Page, new_digits: Path) -> None:
    long = new_digits.with_name(f"{'n' * 90}.zip")
    shutil.copy(new_digits, long)
    for path, name in ((new_digits, "high"), (long, "n" * 80), (new_digits, "high")):
        page.locator("#zip").set_input_files(path)
        expect(page.locator("#task")).to_have_value(name)
    page.locator("#task").fill("mine")
    page.locator("#zip").set_input_files(long)
    expect(page.locator("#task")).to_have_value("mine")


def test_a_folder_is_taught_and_the_page_may_be_closed_meanwhile(page: Page, new_digits: Path) -> None:
    for name in ("5/film.mp4", "notes.txt"):
        (new_digits.with_name("photos") / "high" / name).write_text("no image")
    page.locator("#folder").set_input_files(new_digits.with_name("photos") / "high")
    expect(page.locator("#chosen")).to_contain_text(
        "200 images in high; 2 files left out: no images that are read here (."
    )
    page.locator("#task").fill("from a folder")
    page.get_by_role("button", name="Teach").click()
    expect(page.locator("#job-status")).to_contain_text("from a folder: ", timeout=60_000)
    page.reload()
    expect(page.locator("#job-status")).to_contain_text("from a folder: ", timeout=60_000)
    expect(page.locator("#job-status")).to_contain_text("is learned", timeout=120_000)
    expect(page.locator("#timeline")).to_contain_text("from a folder")
    expect(page.locator("#notes")).to_contain_text("the classes are the folders in 'high': 5, 6, 7, 8, 9")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_readably(page: Page, scheme: Literal["light", "dark"]) -> None:
    """No sideways scrolling at 360 pixels, and text stands out from its ground: 4.5 to 1 (WCAG 2.2, AA)."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CONTRASTS) == []


# Texts whose colour is too near to what is behind them.
CONTRASTS = """() => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? behind(one.parentElement) : colour;
  };
  const texts = [...document.querySelectorAll("h1,h2,p,label,button,a,li,strong,span,small")];
  return texts.filter((one) => one.innerText && one.offsetParent).filter((one) => {
    const [dark, bright] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05) < 4.5;
  }).map((one) => one.outerHTML);
}"""
