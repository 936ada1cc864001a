"""Remember the files that are left out, so that none is left out without a word."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from scholars.errors import shortlist


@dataclass(frozen=True)
class Skipped:
    """A file that was left out.

    file: its name, as it is found in the source
    reason: why, and what to do
    """

    file: str
    reason: str

    @property
    def ending(self) -> str:
        """The ending of its name, in lower case, with the dot; empty where it has none."""
        return PurePath(self.file).suffix.lower()


def describe_skipped(skipped: Sequence[Skipped]) -> str:
    """Return one line for people, such as ``left out 3 files: 2 .heic (why), 1 .txt (no images)``."""
    counts = Counter((each.ending, each.reason) for each in skipped)
    parts = [f"{count:,} {ending or 'without an ending'} ({why})" for (ending, why), count in sorted(counts.items())]
    return f"left out {len(skipped):,} file{'' if len(skipped) == 1 else 's'}: {shortlist(parts, ', ')}"
