"""Change settings by dotted keys, as ``--set`` does, and explain what is refused."""

import reprlib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from scholars.errors import InputError, did_you_mean
from scholars.settings.base import Section
from scholars.settings.generator import DEFAULT_GENERATOR, AnyGeneratorSettings, generator_settings, switch_kind
from scholars.settings.registry import check_kind
from scholars.settings.scholar import FEATURE_KINDS, Settings
from scholars.settings.solver import AnySolverSettings, solver_settings

S = TypeVar("S", bound=Settings)


def build(kind: type[S], document: Mapping[str, Any], changes: Mapping[str, Any] | None, where: str) -> S:
    """Validate ``document``, with dotted ``changes`` laid over it, as a ``kind``.

    Another ``generator.kind`` begins with that kind's defaults, whatever the order of the changes. Raises InputError,
    naming ``where`` and each key.
    """
    merged = _copy(document)
    changes = dict(changes or {})
    if "backbone" in changes:
        merged["backbone"] = changes.pop("backbone")
    features = merged.get("backbone") is not None or any(key.startswith("backbone.") for key in changes)
    if "generator.kind" in changes:
        section = merged.get("generator", {})
        usual = FEATURE_KINDS["generator"] if features else DEFAULT_GENERATOR
        if isinstance(section, dict) and section.get("kind", usual) != changes["generator.kind"]:
            merged["generator"] = switch_kind(section, changes.pop("generator.kind"))
    if "solver.kind" in changes:
        section = merged.get("solver", {})
        before = (
            section.get("kind", FEATURE_KINDS["solver"] if features else "cnn") if isinstance(section, dict) else ""
        )
        if solver_settings(before) is not solver_settings(str(changes["solver.kind"])):
            merged["solver"] = {"kind": changes.pop("solver.kind")}
    for key, value in changes.items():
        _put(merged, key, value)
    try:
        settings = kind.model_validate(merged)
    except ValidationError as error:
        problems = _tell_words_or_numbers(error.errors())
        raise InputError(f"{where}: " + "\n".join(_explain(kind, problem) for problem in problems)) from None
    check_kind("solver", settings.solver.kind)
    check_kind("generator", settings.generator.kind)
    return settings


def changed(settings: S, changes: Mapping[str, Any]) -> S:
    """Return the same settings or recipe with other values for some keys, dotted as for ``--set``.

    ``changed(settings, {"solver.steps": 600})``. Raises InputError for an unknown key, naming the nearest, and for a
    value that a key does not take.
    """
    return build(type(settings), settings.model_dump(), changes, where="settings")


def parse_changes(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse ``["replay.ratio=0.3", ...]`` into ``{"replay.ratio": 0.3, ...}``; values are YAML. Raises InputError."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set takes KEY=VALUE, got {assignment!r}")
        try:
            changes[key.strip()] = read_yaml(text)
        except (ValueError, RecursionError):
            raise InputError(f"--set {key}: {text!r} is not a readable value") from None
    return changes


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, with which one line can exhaust memory or contain itself, and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not read: write out what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} is given twice: give it once")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Parse plain YAML. Raises ValueError; RecursionError where it is nested too deeply."""
    try:
        return _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        # PyYAML's constructors raise all of these for malformed dates, numbers and keys.
        raise ValueError(str(error)) from None


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _put(document: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a dotted key; pydantic refuses the unknown ones."""
    *path, last = dotted.split(".")
    for key in path:
        inner = document.get(key)
        if inner is not None and not isinstance(inner, Mapping):
            raise InputError(f"cannot set {dotted!r}: {key!r} is {inner!r}, not a group of settings")
        document[key] = dict(inner or {})
        document = document[key]
    document[last] = value


def _tell_words_or_numbers(problems: Sequence[Any]) -> list[Any]:
    """Return the problems; of a setting that takes words or numbers, one instead of one for each."""
    unions = (problem["loc"][:-1] for problem in problems if "literal[" in str(problem["loc"][-1:]))
    both = set(unions)
    found = []
    for problem in problems:
        if problem["loc"][:-1] in both:
            is_of_words = problem["type"] == "literal_error"
            if isinstance(problem["input"], str) != is_of_words:
                continue
            found.append({**problem, "msg": f"{problem['msg']}, or a number"} if is_of_words else problem)
        else:
            found.append(problem)
    return found


def _explain(kind: type[Section], problem: Any) -> str:
    """Return one of pydantic's problems in one line: the dotted key, what is wrong, what was given or meant."""
    path: list[str] = []
    section: Any = kind
    for part in problem["loc"]:
        if section is AnyGeneratorSettings:  # this part names the class of the union: no key
            section = generator_settings(part)
        elif section is AnySolverSettings:
            section = solver_settings(part)
        elif not str(part).startswith(("constrained-", "literal[")):
            path.append(str(part))
            section = _fields(section).get(str(part), section)
    dotted = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {dotted!r}. {did_you_mean(path[-1], _fields(section))}"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem.get("input"), Mapping):
        # A contradiction within a group of settings: the message names its keys, and the group is too long to print.
        return message if problem["type"] == "value_error" else f"{dotted}: {message}"
    return f"{dotted}: {message[0].lower()}{message[1:]}, got {reprlib.repr(problem.get('input'))}"


def _fields(kind: Any) -> dict[str, Any]:
    """Return key -> type of the fields of a section, of a list of sections, or of an optional one; else empty."""
    if isinstance(kind, type) and issubclass(kind, Section):
        annotated = typing.get_type_hints(kind, include_extras=True)
        return {name: annotated[name] for name in kind.model_fields}
    return next((found for part in typing.get_args(kind) if (found := _fields(part))), {})
