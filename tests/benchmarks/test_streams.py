"""Could a table of streams.py mix rows that do not belong together?"""

from __future__ import annotations

from typing import Any

import pytest
from streams import check_settings, chosen

from scholars.config import parse_changes, read_recipe


def row(method: str, *changes: str) -> dict[str, Any]:
    recipe = read_recipe("split-svhn", parse_changes(changes))
    return {"method": method, "settings": chosen(recipe.model_dump(mode="json"))}


def test_rows_of_one_recipe_are_a_table_whatever_other_methods_would_have_dreamt_with() -> None:
    check_settings("some", [row("replay"), row("replay", "seeds=[1]"), row("joint", "methods=[joint]")])
    check_settings("some", [row("replay"), row("naive", "generator.r3gan.steps=7"), row("joint", "generator.kind=vae")])
    # A generator that is not chosen has no part in it.
    check_settings("some", [row("replay"), row("replay", "generator.flow.steps=7")])


def test_a_row_of_before_a_setting_came_has_its_default() -> None:
    older = row("replay", "generator.r3gan.classify=0")
    del older["settings"]["generator"]["r3gan"]["classify"]
    check_settings("some", [older, row("replay", "generator.r3gan.classify=0")])
    with pytest.raises(SystemExit, match="of several settings"):
        check_settings("some", [older, row("replay", "generator.r3gan.classify=1")])


@pytest.mark.parametrize("change", ["solver.steps=7", "replay.ratio=0.4", "validation=0.1", "scenario=task"])
def test_rows_of_several_settings_are_no_table(change: str) -> None:
    with pytest.raises(SystemExit, match="some: its rows are of several settings"):
        check_settings("some", [row("replay"), row("joint", change)])
