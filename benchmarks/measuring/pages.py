"""Kept measurements (benchmarks/measured), and the pages of the documentation that are written from them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scholars.experiments.environment import describe_environment
from scholars.settings import ComputeSettings
from scholars.storage import files

ROOT = Path(__file__).parents[2]
DOCS, MEASURED, README = ROOT / "docs", ROOT / "benchmarks" / "measured", ROOT / "README.md"
_END = "<!-- until here -->\n"


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the script's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def this_machine() -> dict[str, Any]:
    """Return processor, threads, precision and versions, with default settings."""
    return describe_environment(ComputeSettings())


def read_kept(name: str, **empty: Any) -> dict[str, Any]:
    """Return what ``measured/NAME.json`` holds, ``empty`` if there is no such file."""
    path = MEASURED / f"{name}.json"
    return files.read_json(path) if path.is_file() else empty


def write_kept(name: str, document: dict[str, Any], machine: Mapping[str, Any] | None = None, since: str = "") -> None:
    """Write ``document`` to ``measured/NAME.json``, with the date and ``machine`` (by default this one) added.

    since: the date of the oldest rows, where they are not all of today
    """
    date = today() if since in ("", today()) else f"{since} to {today()}"
    document |= {"date": date, "environment": machine or this_machine()}
    files.write_json(MEASURED / f"{name}.json", document)


def check_machine(name: str, document: Mapping[str, Any], *more: str) -> None:
    """Raise SystemExit if rows are kept of another processor, precision, PyTorch, or other values of ``more`` keys."""
    kept, here = document.get("environment", {}), this_machine()
    for key in ("processor", "precision", *more):
        if key in kept and kept[key] != here[key]:
            raise SystemExit(_other_machine(name, key, kept[key], here[key]))
    if kept and kept["packages"]["torch"] != here["packages"]["torch"]:
        raise SystemExit(_other_machine(name, "torch", kept["packages"]["torch"], here["packages"]["torch"]))


def _other_machine(name: str, key: str, kept: object, here: object) -> str:
    return (
        f"{MEASURED / name}.json has rows of {key} {kept}, this is {here}: they cannot be compared. "
        "Remove it to measure everything here"
    )


def today() -> str:
    """Return the date, UTC, as ``2026-01-31``."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def describe_machine(document: Mapping[str, Any], *keys: str) -> str:
    """Return processor, further ``keys`` and version of PyTorch of a kept document, separated by commas."""
    here = document["environment"]
    threads = {"threads": count(here["threads"], "thread")} if "threads" in here else {}
    parts = [{**here, **threads}[key] for key in ("processor", *keys)]
    return ", ".join([*parts, f"torch {here['packages']['torch']}"])


def count(number: int, noun: str) -> str:
    """Return ``1 thread`` or ``2 threads``."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def parse_parts(doc: str | None, parts: Iterable[str], out: str) -> argparse.Namespace:
    """Return the options of a script that measures parts by name and seed; ``out``: where it works by default."""
    parser, names = argument_parser(doc), list(parts)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path(out))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def measure_parts(
    kept: str, options: argparse.Namespace, measure: Callable[[str, int], Mapping[str, Any]]
) -> dict[str, Any]:
    """Measure the parts of these options of which ``measured/KEPT.json`` has no row; return all its rows.

    options: of `parse_parts`
    measure: (part, seed) -> its row
    """
    rows: dict[str, Any] = read_kept(kept, rows={})["rows"]
    for name in options.only:
        for seed in options.seeds:
            if f"{name} {seed}" not in rows:
                row, here = measure(name, seed), this_machine()
                machine = {key: here[key] for key in ("processor", "threads", "precision")}
                # Another process may have added rows.
                document = read_kept(kept, rows={})
                rows = document["rows"]
                rows[f"{name} {seed}"] = {**row, "machine": machine, "date": today()}
                write_kept(kept, document)
                print(name, seed, json.dumps({key: row[key] for key in row if key != "plans"}), flush=True)
    return rows


def describe_row(row: Mapping[str, Any]) -> str:
    """Return the threads and the precision that a row of `measure_parts` was measured with."""
    precision = "bf16" if row["machine"]["precision"] == "bf16-mixed" else "no bf16"
    return f"{count(row['machine']['threads'], 'thread')}, {precision}"


def table(heads: str, rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table, and an empty one; ``heads``: such as ``"what | measured"``."""
    body = ["|" + "".join(f" {cell} |" if cell != "" else " |" for cell in cells) for cells in rows]
    return [f"| {heads} |", "|" + "---|" * len(heads.split(" | ")), *body, ""]


def write_page(name: str, lines: Iterable[str]) -> None:
    """Write ``docs/NAME.md``, with one newline at its end."""
    (DOCS / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def replace_section(page: str, script: str, text: str) -> str:
    """Replace the part of a page that ``script`` makes, between marks; people write the rest.

    Raises ValueError for a page without the marks.
    """
    start = f"<!-- made by benchmarks/{script} -->\n"
    before, rest = page.split(start)
    _, after = rest.split(_END, 1)
    return before + start + "\n" + text + "\n" + _END + after


def write_section(path: Path, script: str, lines: Iterable[str]) -> None:
    """Replace the part of a page that ``script`` makes; see `replace_section`."""
    page = replace_section(path.read_text(encoding="utf-8"), script, "\n".join(lines).rstrip() + "\n")
    path.write_text(page, encoding="utf-8")


def run_json(*command: object, python: Path | str = sys.executable, env: Mapping[str, str] | None = None) -> Any:
    """Run a Python script in a process of its own; return the last line that it prints, parsed as JSON."""
    words = [str(python), *map(str, command)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | (env or {}))
    return json.loads(done.stdout.splitlines()[-1])


def scholars(*words: object, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run the command line in a process of its own; ``options``: of `subprocess.run`."""
    return subprocess.run([sys.executable, "-m", "scholars", *map(str, words)], check=True, **options)
