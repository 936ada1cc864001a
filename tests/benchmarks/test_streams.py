"""Could a table of streams.py mix rows that do not belong together?"""

from __future__ import annotations

from typing import Any

import pytest
from streams import check_settings, chosen

from scholars.config import parse_changes, read_recipe

RECIPE = read_recipe("split-svhn")


def row(method: str, *changes: str) -> dict[str, Any]:
    recipe = read_recipe("split-svhn", parse_changes(changes))
    return {"method": method, "seed": 1, "settings": chosen(recipe.model_dump(mode="json"))}


def test_rows_of_the_recipe_are_a_table_whatever_other_methods_would_have_dreamt_with() -> None:
    check_settings("some", RECIPE, [row("replay"), row("replay", "seeds=[1]"), row("joint", "methods=[joint]")])
    check_settings("some", RECIPE, [row("naive", "generator.r3gan.steps=7"), row("joint", "generator.kind=vae")])
    # A generator that is not chosen has no part in it.
    check_settings("some", RECIPE, [row("replay", "generator.flow.steps=7")])


def test_a_row_of_before_a_setting_came_has_its_default() -> None:
    older = row("replay", "generator.r3gan.classify=0")
    del older["settings"]["generator"]["r3gan"]["classify"]
    check_settings("some", read_recipe("split-svhn", parse_changes(["generator.r3gan.classify=0"])), [older])
    with pytest.raises(SystemExit, match="some: the row of seed 1, replay is of other settings"):
        check_settings("some", RECIPE, [older])


@pytest.mark.parametrize("change", ["solver.steps=7", "replay.ratio=0.4", "validation=0.1", "scenario=task"])
def test_rows_of_other_settings_are_refused(change: str) -> None:
    with pytest.raises(SystemExit, match="some: the row of seed 1, joint is of other settings than the recipe"):
        check_settings("some", RECIPE, [row("replay"), row("joint", change)])


def test_dreams_of_another_generator_are_refused() -> None:
    with pytest.raises(SystemExit, match="the row of seed 1, replay"):
        check_settings("some", RECIPE, [row("joint"), row("replay", "generator.r3gan.steps=7")])
