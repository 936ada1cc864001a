"""Rewrites the table of settings in docs/recipes.md from the settings themselves: python docs/settings.py."""

from __future__ import annotations

from pathlib import Path

from scholars.section import Section
from scholars.settings import Settings

PAGE = Path(__file__).with_name("recipes.md")
START, END = "<!-- settings: made by docs/settings.py -->\n", "<!-- end of settings -->\n"


def rows(kind: type[Section], prefix: str = "") -> list[str]:
    """One table row per setting, by its dotted path."""
    lines = []
    for name, field in kind.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if isinstance(field.default, Section):
            lines += rows(type(field.default), f"{key}.")
        else:
            default = "none" if field.default is None else field.default
            lines.append(f"| `{key}` | {default} | {field.description} |")
    return lines


def table() -> str:
    """The whole table, in Markdown."""
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows(Settings)]) + "\n"


def written(page: str) -> str:
    """The page with the table between its marks made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
