"""Write docs/commands.md from the --help of every command: python docs/commands.py."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from scholars.cli.main import app

PAGE = Path(__file__).with_suffix(".md")


def commands() -> list[str]:
    """Return the names of all commands, in the order of ``scholars --help``."""
    return [one.name or one.callback.__name__ for one in app.registered_commands if one.callback]


def help_of(*words: str) -> str:
    """Return what ``scholars WORDS --help`` prints."""
    return CliRunner().invoke(app, [*words, "--help"], prog_name="scholars", terminal_width=80).output.strip()


def page() -> str:
    """Return the whole page."""
    parts = ["# Commands", "", "What `--help` prints for each; written by `python docs/commands.py`.", ""]
    for words in ((), *((command,) for command in commands())):
        parts += [f"## {' '.join(('scholars', *words))}", "", "```text", help_of(*words), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
