"""Rewrite the tables of settings in docs/recipes.md from the settings themselves: python docs/settings.py."""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from scholars.settings import (
    DEFAULT_GENERATOR,
    GENERATORS_AND_MIXTURE,
    BackboneSettings,
    GeneratorSettings,
    OwnSettings,
    Settings,
)
from scholars.settings.base import Section
from scholars.settings.features import FEATURE_SOLVERS

PAGE = Path(__file__).with_name("recipes.md")
START, END = "<!-- settings: made by docs/settings.py -->\n", "<!-- end of settings -->\n"
HEAD = ["| key | default | meaning |", "|---|---|---|"]
# The keys of ``generator`` that are the same for every kind.
COMMON = ("kind", "start", "size")


def row(key: str, field: FieldInfo, default: object = None) -> str:
    """Return one row of a table: key, default (the field's own, unless given), meaning."""
    default = field.default if default is None else default
    shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else default
    return f"| `{key}` | {shown} | {field.description} |"


def common_rows(section: type[Section], prefix: str = "") -> list[str]:
    """Return one row per setting, by its dotted path; of the generator's, only those that every kind has.

    Sections that are not there by default have tables of their own.
    """
    rows = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, GeneratorSettings):
            fields = GeneratorSettings.model_fields
            rows += [row(f"{name}.kind", fields["kind"], DEFAULT_GENERATOR)]
            rows += [row(f"{name}.{key}", fields[key]) for key in COMMON[1:]]
        elif isinstance(field.default, Section):
            rows += common_rows(type(field.default), f"{prefix}{name}.")
        elif name != "backbone":
            rows.append(row(f"{prefix}{name}", field))
    return rows


def own_table(title: str, section: type[Section], prefix: str, without: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of a table of one section's settings, below its title and docstring."""
    rows = [row(f"{prefix}.{name}", field) for name, field in section.model_fields.items() if name not in without]
    table = [*HEAD, *rows] if rows else ["It has no settings."]
    return ["", f"### {title}", "", " ".join(str(section.__doc__).split()), "", *table]


def tables() -> str:
    """Return all tables, in Markdown: the common settings, then those that only some scholars have."""
    lines = [*HEAD, *common_rows(Settings), *own_table("Backbone", BackboneSettings, "backbone")]
    for name, solver in FEATURE_SOLVERS.items():
        lines += own_table(f"Solver: `{name}`", solver, "solver", without=("kind",))
    kinds: dict[str, type[Section]] = {f"`{name}`": kind for name, kind in GENERATORS_AND_MIXTURE.items()}
    kinds["your own"] = OwnSettings
    for name, kind in kinds.items():
        lines += own_table(f"Generator: {name}", kind, "generator", without=COMMON)
    return "\n".join(lines) + "\n"


def rewritten(page: str) -> str:
    """Return the page with the tables between its marks made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + tables() + END + after


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
