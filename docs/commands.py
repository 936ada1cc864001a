"""Writes docs/commands.md from what the commands say of themselves: python docs/commands.py"""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from scholars.cli import app

PAGE = Path(__file__).with_suffix(".md")


def commands() -> list[str]:
    """Their names, in the order of ``scholars --help``."""
    return [one.name or one.callback.__name__ for one in app.registered_commands if one.callback]


def said(*words: str) -> str:
    """What ``scholars WORDS --help`` prints."""
    return CliRunner().invoke(app, [*words, "--help"], prog_name="scholars", terminal_width=80).output.strip()


def written() -> str:
    """The page."""
    parts = ["# Commands", "", "What each says with `--help`; written by `python docs/commands.py`.", ""]
    for words in ((), *((command,) for command in commands())):
        parts += [f"## {' '.join(('scholars', *words))}", "", "```text", said(*words), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
