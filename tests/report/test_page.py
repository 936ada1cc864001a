from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scholars.errors import InputError
from scholars.report import write_report
from scholars.report.charts import chart_accuracy, write_png
from scholars.report.comparison_page import write_comparison_page
from scholars.report.formatting import DASH, describe_run, number, percent
from scholars.report.results import parse_results

from .documents import one_run, results, single, uneven

MINUS = "\N{MINUS SIGN}"


class Page(HTMLParser):
    """A page's texts by the tag that holds them, and every attribute in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._open = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if text := " ".join(data.split()):
            self.texts.append((self._open, text))

    def all(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def report(folder: Path, document: dict[str, Any]) -> Page:
    (folder / "results.json").write_text(json.dumps(document), encoding="utf-8")
    return Page(write_report(folder))


def specifications(page: Page) -> list[dict[str, Any]]:
    return [json.loads(text) for text in page.all("script") if text.startswith('{"$schema"')]


def test_headline_has_the_figures(tmp_path: Path) -> None:
    page = report(tmp_path, results())
    assert page.all("h1") == [
        "After learning mnist, then svhn, replay is right on 93.0 % of the real test images, averaged over the tasks; "
        "training on the new task alone keeps 59.5 %. Replay closes 93 % of the gap between new data alone and joint "
        "training."
    ]


def test_a_generator_is_named_where_one_was_trained(tmp_path: Path) -> None:
    assert "tiny · flow generator · seeds 0, 1" in report(tmp_path, results()).all("p")
    without = results(runs=[one_run(0, "naive", [[0.9], [0.8, 0.9]])], summary={}, seeds=[0])
    assert "tiny · seed 0" in report(tmp_path, without).all("p")


def test_what_is_scored_on_validation_images_says_so(tmp_path: Path) -> None:
    said = "No test image was looked at"
    page = report(tmp_path, results(config={"name": "tiny", "validation": 0.1}))
    assert "93.0 % of the validation images" in page.all("h1")[0]
    assert any(text.startswith(said) for text in page.all("p"))
    assert not any(text.startswith(said) for text in report(tmp_path, results()).all("p"))


def test_an_easier_scenario_is_named(tmp_path: Path) -> None:
    """A score among two classes is not one among ten."""
    easy = results(config={"scenario": "task"})
    assert "averaged over the tasks, with each image's task given;" in describe_run(parse_results(easy))
    domain, usual = (parse_results(results(config={"scenario": name})) for name in ("domain", "class"))
    assert "with classes numbered within each task" in describe_run(domain)
    assert ", with" not in describe_run(usual)
    for name, document in (("easy", easy), ("hard", results())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(document))
    page = write_comparison_page([tmp_path / "easy", tmp_path / "hard"], tmp_path / "page.html").read_text()
    assert "not of one scenario" in page
    page = write_report(tmp_path / "easy").read_text()
    assert page.count("each image&#39;s task given") >= 2


def test_headline_of_less() -> None:
    assert describe_run(parse_results(single())) == (
        "After learning mnist, replay is right on 98.7\N{NO-BREAK SPACE}% of the real test images."
    )
    joint = results(runs=[one_run(0, "joint", [[0.9, 0.8]])], summary={})
    assert describe_run(parse_results(joint)).startswith("After learning mnist, then svhn, joint training is right on")
    many = results(tasks=list("abcdef"))
    assert describe_run(parse_results(many)).startswith("After learning 6 tasks one after another, replay is right on")
    assert describe_run(parse_results(results(runs=[]))) == "No method has finished yet."


def test_tables_have_the_figures(tmp_path: Path) -> None:
    document = results()
    for entry in document["runs"]:
        if entry["method"] == "replay":
            entry |= {"learning_accuracy": 0.955, "forward_transfer": 0.01}
    cells = report(tmp_path, document).all("td")
    methods, matrices = cells[:30], cells[30:-3]
    assert methods == [
        *("93.0 ± 12.7", "95.5", "3.0", f"{MINUS}3.0", "1.0", "93.1", "2,002", "1,500", "8.1", "12,000"),
        *("59.5 ± 38.1", DASH, "73.0", f"{MINUS}73.0", DASH, "0.0", "1,001", "1,500", "8.1", "12,000"),
        *("95.5 ± 6.3", DASH, DASH, DASH, DASH, "100.0", "100", "1,500", "8.1", "12,000"),
    ]
    assert matrices == [*("98.0", "95.0", "91.0"), *("98.0", "25.0", "94.0"), *("98.0", "93.0")]


def test_means_over_classes_where_classes_have_different_numbers_of_images(tmp_path: Path) -> None:
    page = report(tmp_path, uneven())
    assert page.all("th")[:4] == ["method", "average", "mean over classes", "when learned"]
    assert page.all("td")[:3] == [DASH, "85.0", DASH]
    assert "mean over classes" not in report(tmp_path, results()).all("th")


def test_environment_configuration_and_command(tmp_path: Path) -> None:
    page = report(tmp_path, results())
    assert page.all("td")[-3:] == ["2", DASH, "torch: 2.13.0, numpy: 2.1"]
    assert page.all("code") == ["scholars run tiny", "name: tiny solver: steps: 800"]
    document = results(environment={"command": ["scholars", "run", "my recipe.yaml"]})
    assert "scholars run 'my recipe.yaml'" in report(tmp_path, document).all("code")
    assert "To repeat it" not in report(tmp_path, results(environment={})).all("h2")


def test_charts_are_inside_the_page(tmp_path: Path) -> None:
    """Each with a text alternative, and a picture for those who run no scripts."""
    write_png(chart_accuracy(parse_results(results())), tmp_path / "accuracy.png")
    page = report(tmp_path, results())
    (source,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / "accuracy.png").read_bytes()
    accuracy, forgetting = [value for tag, name, value in page.attributes if (tag, name) == ("figure", "aria-label")]
    assert "mnist: replay 95.0, naive 25.0, joint 98.0; svhn: replay 91.0, naive 94.0, joint 93.0." in accuracy
    assert "replay: 3.0 on average; naive: 73.0 on average" in forgetting
    assert len(specifications(page)) == 2


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, results())
    assert not [name for _, name, _ in page.attributes if name in ("href", "srcset")]
    assert not [tag for tag, _, _ in page.attributes if tag in ("link", "iframe")]
    assert not [value for tag, name, value in page.attributes if (tag, name) == ("script", "src")]
    assert any("default-src 'none'" in value for _, _, value in page.attributes)


def test_only_the_scripts_of_the_page_may_run(tmp_path: Path) -> None:
    """Named by their hashes; nothing else is allowed, and no evaluation of strings."""
    report(tmp_path, results())
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', content)
    allowed = html.unescape(policy).partition("script-src ")[2].split()
    assert len(scripts) == 2
    assert set(allowed) == hashes


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=http://x>', "{{ 7 * 7 }}", "O'Brien & co"])
def test_names_are_escaped(name: str, tmp_path: Path) -> None:
    document = single(name)
    document.update(recipe=name, generator=name, environment={name: name, "command": name}, config={"name": name})
    document["runs"][0]["method"] = name
    for picture in ("accuracy", "dreams", "losses"):
        (tmp_path / f"{picture}.png").write_bytes(b"png")
    page = report(tmp_path, document)
    assert page.all("td")[-1] == name
    assert name in page.all("code")
    assert len([tag for tag, _, _ in page.attributes if tag == "script"]) == 1  # a type: the chart's data
    assert specifications(page)[0]["data"]["values"][0]["task"] == name
    assert [value for tag, attribute, value in page.attributes if (tag, attribute) == ("img", "src")] == [
        "data:image/png;base64," + base64.b64encode(b"png").decode()
    ]


def test_one_task_alone_and_missing_figures(tmp_path: Path) -> None:
    document = single()
    document["runs"][0].update(peak_memory_mb=None)
    assert report(tmp_path, document).all("td")[:11] == ["98.7", *[DASH] * 5, "100", DASH, "8.1", "12,000", "98.7"]
    report(tmp_path, results(runs=[], summary={}))


def test_it_goes_where_it_is_told(tmp_path: Path) -> None:
    report(tmp_path, results())
    assert (tmp_path / "report.html").is_file()
    elsewhere = tmp_path / "deep" / "page.html"
    assert write_report(tmp_path, elsewhere) == elsewhere
    assert elsewhere.read_bytes() == (tmp_path / "report.html").read_bytes()


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no results\.json"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2; this version of scholars reads schema 1: update scholars"),
        ({"schema": None}, "schema None; this version of scholars reads schema 1$"),
        ({"tasks": 3}, "tasks: "),
        ({"runs": [{"seed": 0, "method": "replay"}]}, r"runs\.0\.accuracy: "),
        ({"tasks": ["mnist"]}, "more accuracies than tasks"),
        ({"runs": [one_run(0, "replay", [[math.nan]])]}, r"runs\.0\.accuracy\.0\.0: .*finite"),
    ],
)
def test_other_documents_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        report(tmp_path, results(**change))
    assert not (tmp_path / "report.html").exists()


def test_numbers() -> None:
    assert percent(0.9876) == "98.8"
    assert percent(-0.00001) == "0.0"
    assert percent(None) == DASH
    assert number(1234567.8) == "1,234,568"
    assert number(-12.0) == f"{MINUS}12"
