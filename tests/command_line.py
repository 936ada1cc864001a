"""Run the command line as a user types it, in this process: torch need not be imported again."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from scholars.cli import main as cli


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def scholars(*words: str, cwd: Path) -> Done:
    """Run ``scholars WORDS`` in the folder ``cwd``."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as left,
    ):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["scholars", *words])
        cli.main()
    assert isinstance(left.value.code, int)
    return Done(left.value.code, out.getvalue(), errors.getvalue())
