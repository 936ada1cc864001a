"""Count the files that are left out, so that none is left out without a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from scholars.errors import shortlist


@dataclass(frozen=True, order=True)
class Skipped:
    """Files of one ending that were left out for one reason.

    ending: of their names, in lower case, with the dot; empty: they have none
    reason: why, and what to do
    count: how many
    example: one of them
    """

    ending: str
    reason: str
    count: int
    example: str


@dataclass
class SkippedFiles:
    """Counts files that are left out while a source is read, by ending and reason."""

    _found: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, file: PurePath | str, reason: str) -> None:
        """Count one more."""
        key = PurePath(file).suffix.lower(), reason
        count, example = self._found.get(key, (0, str(file)))
        self._found[key] = count + 1, example

    def counts(self) -> tuple[Skipped, ...]:
        """Return them in the order of their endings."""
        return tuple(sorted(Skipped(*key, *counted) for key, counted in self._found.items()))


def merge_skipped(*parts: Iterable[Skipped]) -> tuple[Skipped, ...]:
    """Return the counts of several sources together."""
    found: dict[tuple[str, str], Skipped] = {}
    for each in (one for part in parts for one in part):
        key = each.ending, each.reason
        before = found.get(key)
        found[key] = Skipped(
            *key, each.count + (before.count if before else 0), before.example if before else each.example
        )
    return tuple(sorted(found.values()))


def describe_skipped(skipped: Sequence[Skipped]) -> str:
    """Return one line for people, such as ``left out 3 files: 2 .heic (why), 1 .txt (no images)``."""
    parts = [f"{each.count:,} {each.ending or 'without an ending'} ({each.reason})" for each in skipped]
    total = sum(each.count for each in skipped)
    return f"left out {total:,} file{'' if total == 1 else 's'}: {shortlist(parts, ', ')}"


def skipped_rows(skipped: Iterable[Skipped]) -> list[dict[str, Any]]:
    """Return the counts as the commands' JSON has them."""
    return [asdict(each) for each in skipped]
