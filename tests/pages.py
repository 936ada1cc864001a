"""The pages of the documentation as things to do, and a reader who does what they say."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import TINY, flat
from test_cli import scholars

from scholars.scholar import Scholar

ROOT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LANGUAGES = ("sh", "python", "yaml", "math", "text")

# So small that a page takes seconds; what is learned is not the point.
SMALL = {
    **{key: value for key, value in flat(TINY).items() if key != "generator.kind"},
    "solver.steps": 15,
    "generator.own.steps": 10,
    "generator.own.batch": 16,
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: ``sh``, ``python``, ``yaml``, an equation, or ``text`` for what is not to be run."""

    line: int
    language: str
    text: str


def blocks(page: str, language: str | None = None) -> list[Block]:
    """Those of a page in their order; of one language, if it is given."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    return [block for block in found if language in (None, block.language)]


def typed(page: str) -> Iterator[str]:
    """What a page says to type: the lines of its ``sh`` blocks, without comments."""
    for block in blocks(page, "sh"):
        for line in block.text.splitlines():
            if words := shlex.split(line, comments=True):
                words[0] = words[0].removeprefix(".venv/bin/")
                yield shlex.join(words)


@dataclass(frozen=True)
class Scene:
    """What a page takes for granted, and what has to be true when its reader is done.

    before: makes what the page's commands find in the current folder
    names: what its Python takes for granted
    after: looks at what became of it; told what each line printed, and the names that its Python left
    budget: settings with which new scholars are made
    """

    before: Callable[[Path], None] = field(default=lambda home: None)
    names: Callable[[Path], dict[str, Any]] = field(default=lambda home: {})
    after: Callable[[Path, Mapping[str, str], Mapping[str, Any]], None] = field(
        default=lambda home, printed, names: None
    )
    budget: Mapping[str, object] = field(default_factory=lambda: SMALL)


def type_in(line: str, home: Path, budget: Mapping[str, object]) -> str:
    """Do what a line says in the folder ``home``, and return what it prints; a new scholar is told to be quick."""
    program, *words = shlex.split(line)
    if program == "rm":
        shutil.rmtree(home / words[-1])
        return ""
    assert program == "scholars", f"{line}: do not know how to do that"
    done = scholars(*words, *_hurry(words, home, budget), cwd=home)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def _hurry(words: list[str], home: Path, budget: Mapping[str, object]) -> list[str]:
    """``--set`` with what the line does not set itself; nothing where a scholar goes on as it learned before."""
    command = next((place for place, word in enumerate(words) if word in ("run", "learn")), None)
    if command is None or "--from" in words:
        return []
    if words[command] == "learn" and (home / words[command + 1]).exists():
        return []
    own = {word.partition("=")[0] for word in words}
    return ["--set", *(f"{key}={value}" for key, value in budget.items() if key not in own)]


def do_python(page: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Run a page's Python blocks in their order in one namespace, and return it."""
    scope = dict(names)
    for block in blocks(page, "python"):
        # As many empty lines before, so that a traceback names the line of the page.
        exec(compile("\n" * block.line + block.text, page, "exec"), scope)
    return scope


def lineage(folder: Path) -> list[str]:
    """The names of the tasks that the scholar in ``folder`` learned."""
    return [record.name for record in Scholar.load(folder).lineage]
