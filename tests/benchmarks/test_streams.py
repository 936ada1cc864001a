"""streams.py: could a table mix rows of different settings, or the README differ from what was measured?"""

from __future__ import annotations

from typing import Any

import pytest
from measuring import pages
from streams import STREAMS, check_settings, overview_table, relevant_settings

from scholars.experiments.recipe import read_recipe
from scholars.report.formatting import DASH
from scholars.settings.overrides import parse_changes

RECIPE = read_recipe("split-svhn")


def row(method: str, *changes: str) -> dict[str, Any]:
    recipe = read_recipe("split-svhn", parse_changes(changes))
    return {"method": method, "seed": 1, "settings": relevant_settings(recipe.model_dump(mode="json"))}


def test_rows_of_the_recipe_are_a_table_whatever_generator_other_methods_were_given() -> None:
    check_settings("some", RECIPE, [row("replay"), row("replay", "seeds=[1]"), row("joint", "methods=[joint]")])
    check_settings("some", RECIPE, [row("naive", "generator.steps=7"), row("joint", "generator.kind=vae")])


def test_a_row_of_before_a_setting_came_has_its_default() -> None:
    older = row("replay")
    del older["settings"]["generator"]["classify"], older["settings"]["budget"]
    check_settings("some", RECIPE, [older])
    for change in ("generator.classify=0", "budget=0.3"):
        with pytest.raises(SystemExit, match="some: the row of seed 1, replay is of other settings"):
            check_settings("some", read_recipe("split-svhn", parse_changes([change])), [older])


def test_a_row_with_a_setting_that_is_none_is_refused() -> None:
    other = row("joint")
    other["settings"]["solver"]["momentum"] = 0.9
    with pytest.raises(SystemExit, match="some: the row of seed 1, joint is of other settings"):
        check_settings("some", RECIPE, [other])


@pytest.mark.parametrize(
    "change", ["solver.steps=7", "budget=small", "replay.ratio=0.4", "validation=0.1", "scenario=task"]
)
def test_rows_of_other_settings_are_refused(change: str) -> None:
    with pytest.raises(SystemExit, match="some: the row of seed 1, joint is of other settings than the recipe"):
        check_settings("some", RECIPE, [row("replay"), row("joint", change)])


def test_dreams_of_another_generator_are_refused() -> None:
    with pytest.raises(SystemExit, match="the row of seed 1, replay"):
        check_settings("some", RECIPE, [row("joint"), row("replay", "generator.steps=7")])


def test_a_row_of_the_overview_says_of_how_many_seeds_it_is() -> None:
    def run(method: str, seed: int, accuracy: float) -> dict[str, Any]:
        return {"method": method, "seed": seed, "accuracy": [], "average_accuracy": accuracy, "seconds": 7.0 + seed}

    common = {"schema": 1, "recipe": "some", "tasks": ["one"], "generator": "r3gan"}
    parts: list[dict[str, Any]] = [
        {**common, "runs": [run("replay", seed, 0.90 + 0.01 * seed), run("naive", seed, 0.5)]} for seed in (0, 1, 2)
    ]
    parts[0]["runs"].append(run("er", 0, 0.8))
    row = overview_table({"four-digits": parts})[2]
    # 91 +- t * s / sqrt(3), with t = 4.303 for two degrees of freedom, s = 1.
    cells = ["`four-digits`", "r3gan", "**91.0 ± 2.5**", "50.0 ± 0.0", DASH, DASH, DASH, "80.0 (1 seed)", "7"]
    assert row == f"| {' | '.join(cells)} |"


def test_a_page_outside_the_marks_stays() -> None:
    page = "by hand\n<!-- made by benchmarks/a.py -->\nold\n<!-- until here -->\nby hand, <!-- until here -->\n"
    made = pages.replace_section(page, "a.py", "new\n")
    assert made == page.replace("old\n", "\nnew\n\n")
    assert pages.replace_section(made, "a.py", "new\n") == made
    for without in ("nothing\n", page.replace("<!-- until here -->\n", "")):
        with pytest.raises(ValueError):
            pages.replace_section(without, "a.py", "new\n")


def test_the_readme_has_what_was_measured() -> None:
    rows = {name: [part for seed in (0, 1, 2) if (part := pages.read_kept(f"{name}-{seed}"))] for name in STREAMS}
    page = pages.README.read_text(encoding="utf-8")
    found = {name: parts for name, parts in rows.items() if parts}
    assert len(found) >= 8
    table = "\n".join(overview_table(found)).rstrip() + "\n"
    assert pages.replace_section(page, "streams.py", table) == page, (
        "run: python benchmarks/streams.py --data-dir DIR --only"
    )
