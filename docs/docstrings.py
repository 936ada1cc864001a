"""Docstrings as the site needs them: an extension of Griffe, which reads them for docs/api.md.

In the code a docstring says what arguments and fields are in lines of ``name: what it is``, which Markdown would run
together. Here they become a list.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Docstring, Extension, Function

_NAMED = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")


class Listed(Extension):
    """Makes the lists."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Of a function's parameters."""
        _set(func.docstring, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Of a class's fields, and the parameters of its constructor."""
        _set(cls.docstring, {*cls.members, *(parameter.name for parameter in cls.parameters)})


def listed(text: str, names: set[str]) -> str:
    """``text`` with a list in place of every paragraph that begins with ``name: ``, ``names`` being those that are."""
    return "\n\n".join(_paragraph(part, names) for part in text.split("\n\n"))


def _paragraph(text: str, names: set[str]) -> str:
    lines: list[str] = []
    for line in text.split("\n"):
        found = _NAMED.match(line)
        if found and set(found[1].split(", ")) <= names:
            lines.append(f"- **{found[1]}**: {line[found.end() :]}")
        elif lines:
            lines[-1] += f" {line.strip()}"
        else:
            return text
    return "\n".join(lines)


def _set(docstring: Docstring | None, names: set[str]) -> None:
    if docstring:
        docstring.value = listed(docstring.value, names)
