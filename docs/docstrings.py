"""An extension of Griffe, which reads the docstrings for docs/api.md: makes lists of what describes arguments.

In the code a docstring describes arguments and fields in lines of ``name: what it is``, which Markdown would run
together.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Docstring, Extension, Function

_ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")


class ArgumentLists(Extension):
    """Turns lines of ``name: what it is`` into Markdown lists."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Convert a function's parameters."""
        _convert(func.docstring, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Convert a class's fields, and the parameters of its constructor."""
        _convert(cls.docstring, {*cls.members, *(parameter.name for parameter in cls.parameters)})


def with_lists(text: str, names: set[str]) -> str:
    """Return ``text`` with a list in place of every paragraph that begins with ``name: ``, for these ``names`` only."""
    return "\n\n".join(_paragraph(part, names) for part in text.split("\n\n"))


def _paragraph(text: str, names: set[str]) -> str:
    lines: list[str] = []
    for line in text.split("\n"):
        found = _ARGUMENT.match(line)
        if found and set(found[1].split(", ")) <= names:
            lines.append(f"- **{found[1]}**: {line[found.end() :]}")
        elif lines:
            lines[-1] += f" {line.strip()}"
        else:
            return text
    return "\n".join(lines)


def _convert(docstring: Docstring | None, names: set[str]) -> None:
    if docstring:
        docstring.value = with_lists(docstring.value, names)
