"""Plan a sweep: ``KEY=V1,V2`` becomes every combination of values, each checked as a recipe of its own."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.experiments.recipe import Recipe, read_recipe
from scholars.settings.generator import generator_settings
from scholars.settings.overrides import parse_changes
from scholars.settings.registry import check_kind, plugins

# The share of each class's training images that is held out, unless the recipe or --set says otherwise.
DEFAULT_VALIDATION = 0.1
MAX_COMBINATIONS = 10_000

# Keys that cannot be varied, and what to do instead.
_NOT_VARIABLE = {
    "seeds": "give the seeds by --seed: every combination is run with each",
    "methods": "give the methods by --methods: every combination is run by each",
    "validation": "give it one value: combinations that are scored on different images cannot be compared",
    "name": "it changes nothing that is learned",
    "description": "it changes nothing that is learned",
}


@dataclass(frozen=True)
class Trial:
    """One combination of values.

    changes: the value of each key that the sweep varies
    recipe: the whole recipe with these values
    """

    changes: Mapping[str, Any]
    recipe: Recipe


@dataclass(frozen=True)
class Plan:
    """A sweep before it is run.

    recipe: a shipped recipe's name or a file, as it was given
    fixed: the value of each key that has one, in all trials
    varied: the values of each key that has several
    trials: one for each combination
    """

    recipe: str
    fixed: Mapping[str, Any]
    varied: Mapping[str, Sequence[Any]]
    trials: Sequence[Trial]

    @property
    def scored(self) -> str:
        """The method whose accuracy decides which trial is best: the first."""
        return self.trials[0].recipe.methods[0]

    def command(self, trial: Trial, data_dir: str | Path | None = None) -> str:
        """Return the command that runs a trial's settings on all training data, and tests on the real test part."""
        changes = {key: value for key, value in {**self.fixed, **trial.changes}.items() if key != "validation"}
        if read_recipe(self.recipe).validation is not None:
            changes["validation"] = None
        words = ["scholars", *(word for plugin in plugins() for word in ("--plugin", plugin)), "run", self.recipe]
        words += ["--set", *(f"{key}={_format_value(value)}" for key, value in changes.items())]
        words += ["--seed", *(str(seed) for seed in trial.recipe.seeds), "--methods", ",".join(trial.recipe.methods)]
        words += ["--out", str(Path("runs") / f"{trial.recipe.name}-best")]
        words += ["--data-dir", str(data_dir)] if data_dir is not None else []
        return shlex.join(words)


def plan_sweep(
    recipe: str, assignments: Iterable[str], seeds: Sequence[int] | None = None, methods: Sequence[str] = ("replay",)
) -> Plan:
    """Return a plan of every combination of the values in ``KEY=V1,V2``. Raises InputError for any that is wrong."""
    values = _parse_values(assignments)
    fixed = {key: options[0] for key, options in values.items() if len(options) == 1}
    varied = {key: options for key, options in values.items() if len(options) > 1}
    for key, advice in _NOT_VARIABLE.items():
        if key in varied or (key in fixed and key in ("seeds", "methods")):
            raise InputError(f"--set {key}: {advice}")
    if not varied:
        raise InputError(
            "nothing is varied: give a setting several values, as in --set replay.ratio=0.3,0.5; for one combination "
            "there is `scholars run`"
        )
    if (count := prod(len(options) for options in varied.values())) > MAX_COMBINATIONS:
        raise InputError(f"{count:,} combinations are more than the {MAX_COMBINATIONS:,} that one sweep may have")
    _check_generator_keys(values)
    common = {**fixed, "methods": list(methods), **({"seeds": list(seeds)} if seeds else {})}
    if "validation" not in fixed:
        common["validation"] = read_recipe(recipe).validation or DEFAULT_VALIDATION
    elif fixed["validation"] is None:
        raise InputError("a sweep chooses by a validation part, never by test images: set validation above 0")
    trials: dict[str, Trial] = {}
    for combination in product(*varied.values()):
        changes = dict(zip(varied, combination, strict=True))
        try:
            trial = Trial(changes, read_recipe(recipe, {**common, **changes}))
        except InputError as error:
            raise InputError(f"{format_changes(changes)}: {error}") from None
        equal = trials.setdefault(trial.recipe.model_dump_json(), trial)
        if equal is not trial:
            raise InputError(
                f"{format_changes(equal.changes)} and {format_changes(changes)} are the same settings: give each value "
                "once"
            )
    return Plan(recipe, fixed, varied, list(trials.values()))


def format_changes(changes: Mapping[str, Any]) -> str:
    """Return ``generator.kind=flow replay.ratio=0.3``."""
    return " ".join(f"{key}={_format_value(value)}" for key, value in changes.items())


def _format_value(value: Any) -> str:
    """Return a value as `parse_changes` reads it."""
    return value if isinstance(value, str) and parse_changes([f"x={value}"]) == {"x": value} else json.dumps(value)


def _check_generator_keys(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise InputError for a generator's setting that some, and not all, of the kinds in the sweep have."""
    kinds = [kind for kind in values.get("generator.kind", ()) if isinstance(kind, str)]
    for kind in kinds:
        check_kind("generator", kind)
    for key in values:
        section, _, name = key.partition(".")
        having = [kind for kind in kinds if name.partition(".")[0] in generator_settings(kind).model_fields]
        if section == "generator" and having and having != kinds:
            other = next(kind for kind in kinds if kind not in having)
            raise InputError(
                f"--set {key}: of generator.kind={','.join(kinds)} only {', '.join(having)} "
                f"{'has' if len(having) == 1 else 'have'} this setting: vary whole sections instead, as in "
                f"'generator={{kind: {having[0]}, {name}: ...}},{{kind: {other}}}'"
            )


def _parse_values(assignments: Iterable[str]) -> dict[str, list[Any]]:
    """Return the values of each key; one that has a single value is not varied."""
    found: dict[str, list[Any]] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if key in found:
            raise InputError(f"--set {key} is given twice: give all its values at once, separated by commas")
        pieces = split_values(text) if equals else [text]
        if equals and not all(pieces):
            raise InputError(f"--set {assignment}: there is an empty value; write KEY=VALUE,VALUE")
        # Without an equals sign `parse_changes` raises the error.
        values = [parse_changes([f"{key}={piece}" if equals else assignment])[key] for piece in pieces]
        for index, value in enumerate(values):
            if value in values[:index]:
                raise InputError(f"--set {key}: the value {_format_value(value)} is given twice")
        found[key] = values
    return found


def split_values(text: str) -> list[str]:
    """Split at commas, but not within brackets or quotes: ``a,[b,c],"d,e"`` -> ``a``, ``[b,c]``, ``"d,e"``."""
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
