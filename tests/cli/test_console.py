"""Arguments before they are parsed; --quiet, pipes, colours."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import scholars

from scholars.cli.console import hoist_quiet, messages, repeat_options, split_list

COMMAND = [sys.executable, "-m", "scholars"]


def test_options_take_several_values() -> None:
    assert repeat_options(["run", "--seed", "0", "1", "2", "r"]) == [
        "run",
        "--seed",
        "0",
        "--seed",
        "1",
        "--seed",
        "2",
        "r",
    ]
    assert repeat_options(["--set", "a=1", "b=2", "--resume", "c=3"]) == [
        "--set",
        "a=1",
        "--set",
        "b=2",
        "--resume",
        "c=3",
    ]
    address = "hf:a/b?image=x"
    assert repeat_options(["learn", "--set", "a.b=1", address]) == ["learn", "--set", "a.b=1", address]
    assert repeat_options(["learn", "s", "--seed", "0", "2026"]) == ["learn", "s", "--seed", "0", "2026"]
    assert repeat_options(["run", "7", "--seed", "1", "--out", "2"]) == ["run", "7", "--seed", "1", "--out", "2"]


def test_quiet_may_stand_anywhere() -> None:
    assert hoist_quiet(["run", "r", "-q"]) == hoist_quiet(["--quiet", "run", "r"]) == ["--quiet", "run", "r"]
    assert hoist_quiet(["run", "r"]) == ["run", "r"]
    assert hoist_quiet(["predict", "s", "--", "-q"]) == ["predict", "s", "--", "-q"]


def test_quiet_leaves_results_and_errors(tmp_path: Path) -> None:
    done = scholars("recipes", "--quiet", cwd=tmp_path)
    assert messages.quiet
    assert "quickstart" in done.stdout
    refused = scholars("-q", "inspect", "nothing", cwd=tmp_path)
    assert refused.returncode == 2
    assert "is not a scholar" in refused.stderr
    scholars("recipes", cwd=tmp_path)
    assert not messages.quiet


def test_a_pipe_gets_a_row_a_line_and_no_colours(tmp_path: Path) -> None:
    # Set by pytest-xdist, and by readline where Python does not see it; who sets it wants that width.
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [*COMMAND, "recipes"], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    text = done.stdout
    assert "\x1b" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("permuted-mnist")]
    assert "order-9" in line
    assert line.rstrip().endswith("every time.")


def test_no_color_is_respected_on_a_terminal(tmp_path: Path) -> None:
    def on_a_terminal(**variables: str) -> bytes:
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run(
            [*COMMAND, "run", "nothing"],
            cwd=tmp_path,
            env={**environment, "TERM": "xterm-256color", **variables},
            stdout=theirs,
            stderr=theirs,
            check=False,
        )
        os.close(theirs)
        content = os.read(ours, 4096)
        os.close(ours)
        return content

    assert b"\x1b[31m" in on_a_terminal()  # red
    assert b"\x1b[3" not in on_a_terminal(NO_COLOR="1")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b, c", ["a", "b", "c"]),
        ('a, "b, c",d', ["a", "b, c", "d"]),
        ('"5"" nails",x', ['5" nails', "x"]),
        (" , ", []),
    ],
)
def test_a_list_is_a_line_of_csv(text: str, parts: list[str]) -> None:
    assert split_list(text) == parts
