"""The blocks of the documentation's pages, and what runs them: commands in this process, Python in one namespace."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import scholars
from conftest import TINY_GENERATORS

from scholars.experiments.recipe import read_recipe
from scholars.scholar import Scholar
from scholars.settings import DEFAULT_GENERATOR

ROOT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LANGUAGES = ("sh", "python", "yaml", "math", "text")


@dataclass(frozen=True)
class Budget:
    """Settings so small that a page takes seconds.

    settings: by dotted paths, without the generator's
    generators: the settings of each kind of generator; of a plugin's kind, ``own``
    kind: the generator where the page names none; None: that of the recipe, or the default
    """

    settings: Mapping[str, object]
    generators: Mapping[str, Mapping[str, object]]
    kind: str | None = None

    def changes(self, kind: str) -> dict[str, object]:
        """Return all of them for a kind of generator, by dotted paths."""
        section = self.generators[kind if kind in self.generators else "own"]
        return {**self.settings, **{f"generator.{key}": value for key, value in section.items()}}


SMALL = Budget(
    {
        **{"image.size": 8, "image.channels": 1, "solver.width": 8, "solver.steps": 3, "solver.batch": 32},
        **{"replay.bank": 100, "audit.dreams": 30, "audit.steps": 2, "ood.dreams": 30},
    },
    {**{kind: {**section, "steps": 2} for kind, section in TINY_GENERATORS.items()}, "own": {"steps": 10, "batch": 16}},
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: ``sh``, ``python``, ``yaml``, an equation, or ``text`` for what is not to be run."""

    line: int
    language: str
    text: str


def blocks(page: str, language: str | None = None) -> list[Block]:
    """Return the blocks of a page in their order; only those of ``language``, if it is given."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    return [block for block in found if language in (None, block.language)]


def typed(page: str) -> Iterator[str]:
    """Yield the commands of a page: the lines of its ``sh`` blocks, without comments."""
    for block in blocks(page, "sh"):
        for line in block.text.splitlines():
            if words := shlex.split(line, comments=True):
                words[0] = words[0].removeprefix(".venv/bin/")
                yield shlex.join(words)


@dataclass(frozen=True)
class Scene:
    """What a page's commands need, and what must be true when all of them have run.

    before: makes the files that they read, in the current folder
    names: returns the variables that the page's Python uses without defining them
    after: checks the outcome; it gets what each line printed, and the variables of the page's Python
    budget: settings of new scholars
    """

    before: Callable[[Path], None] = field(default=lambda home: None)
    names: Callable[[Path], dict[str, Any]] = field(default=lambda home: {})
    after: Callable[[Path, Mapping[str, str], Mapping[str, Any]], None] = field(
        default=lambda home, printed, names: None
    )
    budget: Budget = SMALL


def type_in(line: str, home: Path, budget: Budget) -> str:
    """Run a line in the folder ``home``, with small settings where it makes a new scholar; return what it prints."""
    program, *words = shlex.split(line)
    if program == "rm":
        shutil.rmtree(home / words[-1])
        return ""
    assert program == "scholars", f"{line}: cannot run that"
    done = scholars(*words, *_small_settings(words, home, budget), cwd=home)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def _small_settings(words: list[str], home: Path, budget: Budget) -> list[str]:
    """Return ``--set`` with what the line does not set itself; nothing where a scholar learns on as it did before."""
    command = next((place for place, word in enumerate(words) if word in ("run", "learn")), None)
    if command is None or "--from" in words:
        return []
    if words[command] == "learn" and (home / words[command + 1]).exists():
        return []
    changes: dict[str, object] = {}
    if "--generator" in words:
        kind = words[words.index("--generator") + 1]
    elif budget.kind:
        kind = changes["generator.kind"] = budget.kind
    elif words[command] == "run":
        kind = read_recipe(words[command + 1], {}).generator.kind
    else:
        kind = DEFAULT_GENERATOR
    changes |= budget.changes(kind)
    own = {word.partition("=")[0] for word in words}
    return ["--set", *(f"{key}={value}" for key, value in changes.items() if key not in own)]


def do_python(page: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Run a page's Python blocks in their order in one namespace, and return it."""
    scope = dict(names)
    for block in blocks(page, "python"):
        # As many empty lines before, so that a traceback names the line of the page.
        exec(compile("\n" * block.line + block.text, page, "exec"), scope)
    return scope


def lineage(folder: Path) -> list[str]:
    """Return the names of the tasks that the scholar in ``folder`` learned."""
    return [record.name for record in Scholar.load(folder).lineage]
