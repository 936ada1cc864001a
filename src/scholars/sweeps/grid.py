"""What a sweep varies: ``KEY=V1,V2`` becomes every combination of values, each checked as a recipe of its own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from scholars.config import Recipe, parse_changes, read_recipe
from scholars.errors import InputError
from scholars.registry import plugins

# Of each class's training images, unless the recipe or --set says otherwise.
VALIDATION = 0.1
# Combinations of one sweep.
MOST = 10_000

# What cannot be varied, and what to do instead.
_ELSEWHERE = {
    "seeds": "give the seeds by --seed: every combination is run with each",
    "methods": "give the methods by --methods: every combination is run by each",
    "validation": "give it one value: combinations that are scored on different images cannot be compared",
    "name": "it changes nothing that is learned",
    "description": "it changes nothing that is learned",
}


@dataclass(frozen=True)
class Trial:
    """One combination.

    changes: value by dotted key, of what the sweep varies
    recipe: all of it, as it is to be run
    """

    changes: Mapping[str, Any]
    recipe: Recipe


@dataclass(frozen=True)
class Plan:
    """A sweep before it is run.

    recipe: a shipped recipe's name or a file, as it was given
    fixed: what every combination changes of it, by dotted key
    varied: the values of each key that has several
    trials: the combinations
    left_out: how many combinations differ from one of these in nothing that is used
    """

    recipe: str
    fixed: Mapping[str, Any]
    varied: Mapping[str, Sequence[Any]]
    trials: Sequence[Trial]
    left_out: int

    @property
    def scored(self) -> str:
        """The method whose accuracy decides: the first."""
        return self.trials[0].recipe.methods[0]

    def command(self, trial: Trial, data_dir: str | Path | None = None) -> str:
        """What runs a combination with all training data, and tests it on the real test part."""
        changes = {key: value for key, value in {**self.fixed, **trial.changes}.items() if key != "validation"}
        if read_recipe(self.recipe).validation is not None:
            changes["validation"] = None
        words = [f"{key}={_written(value)}" for key, value in changes.items()]
        seeds = [str(seed) for seed in trial.recipe.seeds]
        own = [word for plugin in plugins() for word in ("--plugin", plugin)]
        methods = ",".join(trial.recipe.methods)
        what = ["run", self.recipe, "--set", *words, "--seed", *seeds, "--methods", methods]
        what += ["--out", str(Path("runs") / f"{trial.recipe.name}-best")]
        what += ["--data-dir", str(data_dir)] if data_dir is not None else []
        return shlex.join(["scholars", *own, *what])


def planned(
    recipe: str, assignments: Iterable[str], seeds: Sequence[int] | None = None, methods: Sequence[str] = ("replay",)
) -> Plan:
    """Every combination of the values in ``KEY=V1,V2`` on ``recipe``. Raises InputError for whatever is wrong in it."""
    values = _values(assignments)
    fixed = {key: found[0] for key, found in values.items() if len(found) == 1}
    varied = {key: found for key, found in values.items() if len(found) > 1}
    for key, advice in _ELSEWHERE.items():
        if key in varied or (key in fixed and key in ("seeds", "methods")):
            raise InputError(f"--set {key}: {advice}")
    if not varied:
        raise InputError(
            "nothing is varied: give a setting several values, as in --set replay.ratio=0.3,0.5; for one combination "
            "there is `scholars run`"
        )
    if (count := prod(len(found) for found in varied.values())) > MOST:
        raise InputError(f"{count:,} combinations are more than the {MOST:,} that one sweep may have")
    own = {**fixed, "methods": list(methods), **({"seeds": list(seeds)} if seeds else {})}
    asked = read_recipe(recipe, own).validation
    if asked is None:
        if "validation" in fixed:
            raise InputError("a sweep chooses by a validation part, never by test images: set validation above 0")
        own["validation"] = VALIDATION
    trials: dict[str, Trial] = {}
    for combination in product(*varied.values()):
        changes = dict(zip(varied, combination, strict=True))
        try:
            trial = Trial(changes, read_recipe(recipe, {**own, **changes}))
        except InputError as error:
            raise InputError(f"{described(changes)}: {error}") from None
        trials.setdefault(_used(trial.recipe), trial)
    return Plan(recipe, fixed, varied, list(trials.values()), count - len(trials))


def described(changes: Mapping[str, Any]) -> str:
    """``generator.kind=flow replay.ratio=0.3``."""
    return " ".join(f"{key}={_written(value)}" for key, value in changes.items())


def _written(value: Any) -> str:
    """A value as `parse_changes` reads it."""
    return value if isinstance(value, str) and parse_changes([f"x={value}"]) == {"x": value} else json.dumps(value)


def _values(assignments: Iterable[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if key in found:
            raise InputError(f"--set {key} is given twice: give it all its values at once, separated by commas")
        pieces = split(text) if equals else [text]
        if equals and not all(pieces):
            raise InputError(f"--set {assignment}: there is an empty value; write KEY=VALUE,VALUE")
        # Without an equals sign this says what --set takes.
        values = [parse_changes([f"{key}={piece}" if equals else assignment])[key] for piece in pieces]
        for place, value in enumerate(values):
            if value in values[:place]:
                raise InputError(f"--set {key}: names {_written(value)} twice")
        found[key] = values
    return found


def split(text: str) -> list[str]:
    """``a,[b,c],"d,e"`` -> ``a``, ``[b,c]``, ``"d,e"``: commas within brackets or quotes belong to a value."""
    pieces, depth, quote, before = [""], 0, "", ","
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and before in ",[{:":  # elsewhere it is an apostrophe
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            pieces.append("")
            before = letter
            continue
        pieces[-1] += letter
        before = before if letter.isspace() else letter
    return [piece.strip() for piece in pieces]


def _used(recipe: Recipe) -> str:
    """What tells a recipe from others in what is learned: without the settings of generators that it does not train."""
    document = recipe.model_dump(mode="json")
    kinds = {*recipe.generator.kinds(), "own"} - {recipe.generator.chosen_key}
    document["generator"] = {key: value for key, value in document["generator"].items() if key not in kinds}
    return json.dumps(document, sort_keys=True)
