"""Recipes, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scholars.errors import InputError
from scholars.experiments.methods import DEFAULT_METHODS, METHOD_NAMES
from scholars.experiments.recipe import Recipe, read_recipe, shipped_recipes
from scholars.settings import Settings
from scholars.settings.overrides import changed, parse_changes


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_method_may_be_asked_of_a_shipped_recipe(name: str) -> None:
    # `er` is refused where no buffer is said.
    assert read_recipe(name, {"methods": [*METHOD_NAMES]}).buffer


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_are_valid_and_described(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    assert len(recipe.description) > 20
    assert len(recipe.tasks) >= 2 or (recipe.split and recipe.split.tasks >= 2)
    # A recipe survives its own JSON: results.json and scholar.json hold nothing less.
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert Settings.model_validate_json(recipe.settings().model_dump_json()) == recipe.settings()


def write(folder: Path, document: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, {"tasks": ["digits", {"source": "mnist", "classes": ["1"], "limit": 5}]})
    recipe = read_recipe(path, {"replay.ratio": "auto", "generator.steps": 7, "seeds": [3, 4]})
    assert recipe.name == "mine"
    assert [task.source for task in recipe.tasks] == ["digits", "mnist"]
    assert recipe.replay.ratio == "auto"
    assert (recipe.trained_generator.kind, recipe.trained_generator.steps) == ("r3gan", 7)
    assert recipe.seeds == (3, 4)
    assert recipe.methods == DEFAULT_METHODS


def test_the_parts_of_a_split_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, {"split": {"source": "digits", "tasks": 5}})
    recipe = read_recipe(path, parse_changes(["split.order=seed", "split.tasks=2"]))
    assert recipe.split
    assert (recipe.split.source, recipe.split.order, recipe.split.tasks) == ("digits", "seed", 2)
    with pytest.raises(InputError, match=r"unknown key 'split\.ordre'\. Did you mean 'order'"):
        read_recipe(path, {"split.ordre": "seed"})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": ["a"], "solver": {"stepz": 3}}, r"unknown key 'solver\.stepz'.*Did you mean 'steps'"),
        ({"tasks": [{"source": "a", "clases": ["x"]}]}, r"unknown key 'tasks\.0\.clases'.*'classes'"),
        ({"tasks": ["a"], "name": "../elsewhere"}, "name: must be usable as the name of a folder"),
        ({"tasks": ["a"], "name": "/etc/x"}, "name: must be usable as the name of a folder"),
        ({"tasks": ["a"], "name": ".."}, "name: must be usable as the name of a folder"),
        ({"tasks": ["a"], "metods": ["naive"]}, "unknown key 'metods'.*'methods'"),
        ({"tasks": ["a"], "methods": ["naive", "naive"]}, "methods: names something twice"),
        ({"tasks": ["a"], "seeds": [1, 1]}, "seeds: names something twice"),
        ({"tasks": ["a"], "replay": {"ratio": 0}}, r"replay\.ratio: .*greater than 0"),
        ({"tasks": ["a"], "replay": {"ratio": "often"}}, r"replay\.ratio"),
        ({"tasks": ["a"], "generator": {"kind": "gan2"}}, r"generator\.kind='gan2' is not known\. Did you mean 'gan'"),
        ({"tasks": ["a"], "image": {"size": 30}}, r"image\.size: .*multiple of 4"),
        ({"tasks": ["a"], "solver": {"rate": float("inf")}}, r"solver\.rate"),
        ({"tasks": ["a"], "solver": 3}, "solver: .*got 3"),
        ([1, 2], "a recipe is a mapping"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recipe(write(tmp_path, document))


def test_unreadable_recipes(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    for content in (b"a: [1", b"\xff\xfe\x00", b"!!python/object/apply:os.system ['true']", b"[" * 5000):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.yaml"):
            read_recipe(path)
    path.write_text("tasks: [digits]\nsolver: {steps: 77}\nimage: {size: 16}\nsolver: {width: 8}\n")
    with pytest.raises(InputError, match="'solver' is given twice"):
        read_recipe(path)
    with pytest.raises(InputError, match="Did you mean 'mnist-svhn'"):
        read_recipe("mnist-svnh")


def test_a_recipe_is_changed_in_python_as_on_the_command_line() -> None:
    recipe = changed(read_recipe("quickstart"), {"seeds": [3], "solver.steps": 9})
    assert (recipe.seeds, recipe.image_solver.steps) == ((3,), 9)
