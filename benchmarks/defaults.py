"""Run the standard streams and a few everyday commands with no settings, beside what was tuned for each by hand.

python benchmarks/defaults.py --data-dir DIR [--only split-mnist learn quickstart ...] [--seeds 0 1 2] [--out DIR]

Every row is of a command in a process of its own, and says on which machine it was measured: those with bf16 and those
without are beside each other. Rows are kept in benchmarks/measured and not measured twice: remove one to measure it
anew. Writes the tables of docs/defaults.md; with `--only` and no name, from kept rows only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from measuring import pages
from PIL import Image

from scholars.report.formatting import number
from scholars.storage import files
from scholars.tasks.street import draw_street

# Average accuracy in % and seconds of replay that each stream had with settings tuned for it by hand (commit dba8e42):
# means of three seeds, and the fastest in one thread of a busy machine with bf16.
TUNED = {
    "mnist-svhn": (97.34, 673),
    "split-mnist": (98.86, 411),
    "split-svhn": (89.41, 1089),
    "four-digits": (97.49, 1150),
    "four-digits-reversed": (97.28, 1104),
    "rotated-mnist": (97.70, 590),
}
STREAM_HEADS = "stream | no settings, mean | each seed | seconds of replay | tuned | its seconds"
SCHOLARS_BEFORE = "97.19 % in 2,155 s (1 thread, bf16)"


def run_stream(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Learn a stream by replay; return its accuracy, seconds and plans."""
    folder = options.out / f"{name}-{seed}"
    words = ["run", name, "--methods", "replay", "--seed", seed, "--data-dir", options.data_dir, "--out", folder]
    # Audits change nothing that is learned.
    pages.scholars(*words, "--resume", "--set", "audit.dreams=0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = files.read_json(folder / "results.json")["runs"][0]
    return {key: found[key] for key in ("average_accuracy", "accuracy", "seconds", "plans")}


def run_quickstart(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run what `make demo` runs, from a cold start; return its seconds, gap closed, audits and warnings."""
    folder = options.out / f"{name}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    pages.scholars("run", name, "--seed", seed, "--out", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    lineage = files.read_json(folder / "scholars" / "2" / "scholar.json")["lineage"]
    audits = [record["audit"] for record in lineage]
    return {
        "seconds": round(seconds, 1),
        "gap_closed": files.read_json(folder / "results.json")["summary"]["replay"]["gap_closed"],
        "from_dreams_alone": [[task["accuracy"] for task in audit["tasks"]] for audit in audits],
        "warnings": sum(len(audit["warnings"]) for audit in audits),
    }


def learn_pairs(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Learn MNIST two digits at a time, by five commands."""
    folder, seconds = options.out / f"{name}-{seed}", []
    shutil.rmtree(folder, ignore_errors=True)
    data = ["--data-dir", options.data_dir]
    for first in range(0, 10, 2):
        pair = f"{first},{first + 1}"
        began = time.perf_counter()
        pages.scholars("-q", "learn", folder, "mnist", *data, "--classes", pair, "--name", pair, "--seed", seed)
        seconds.append(round(time.perf_counter() - began, 1))
    printed = pages.scholars("evaluate", folder, "mnist", *data, "--json", stdout=subprocess.PIPE, text=True).stdout
    return {"accuracy": json.loads(printed)["results"][0]["accuracy"], "seconds": seconds}


def learn_few(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Learn 50 pictures of 32 pixels: two classes of drawn street digits."""
    folder, pictures = options.out / f"{name}-{seed}", options.out / "pictures"
    for path in (folder, pictures):
        shutil.rmtree(path, ignore_errors=True)
    street = draw_street(500, 1).train
    for label in (3, 8):
        (pictures / str(label)).mkdir(parents=True)
        for place in (street.labels == label).nonzero()[0][:25]:
            Image.fromarray(street.images[place].transpose(1, 2, 0)).save(pictures / str(label) / f"{place}.png")
    began = time.perf_counter()
    pages.scholars("-q", "learn", folder, pictures, "--seed", seed)
    return {"seconds": round(time.perf_counter() - began, 1)}


PARTS: dict[str, Callable[[str, int, argparse.Namespace], dict[str, Any]]] = {
    **dict.fromkeys(TUNED, run_stream),
    "quickstart": run_quickstart,
    "learn-pairs": learn_pairs,
    "learn-few": learn_few,
}


def format_tables(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the tables of streams and of commands."""
    streams, commands = [], []
    for name, (accuracy, seconds) in TUNED.items():
        found = [row for key, row in rows.items() if key.startswith(f"{name} ")]
        if found:
            mean = fmean(100 * row["average_accuracy"] for row in found)
            each = ", ".join(f"{100 * row['average_accuracy']:.2f}" for row in found)
            spent = ", ".join(f"{number(row['seconds'])} ({pages.describe_row(row)})" for row in found)
            streams.append((f"`{name}`", f"{mean:.2f}", each, spent, f"{accuracy:.2f}", f"{seconds:,}"))
    for key, row in rows.items():
        name, _ = key.split(" ")
        if name == "quickstart":
            audits = "; ".join(", ".join(f"{100 * share:.1f} %" for share in each) for each in row["from_dreams_alone"])
            what = "`scholars run quickstart`, report included"
            gap = f"gap closed {row['gap_closed']:.2f}, from dreams alone {audits}; warnings: {row['warnings']}"
            commands.append(
                (what, f"{row['seconds']} s ({pages.describe_row(row)})", gap, "153 s with bf16, 298 s without")
            )
        elif name == "learn-pairs":
            spent = f"{sum(row['seconds']):.0f} s ({pages.describe_row(row)})"
            what = "`scholars learn` five times, MNIST two digits at a time"
            commands.append((what, spent, f"{100 * row['accuracy']:.2f} % of ten digits", SCHOLARS_BEFORE))
        elif name == "learn-few":
            what = "`scholars learn`, 50 pictures of 32 pixels in colour"
            commands.append((what, f"{row['seconds']} s ({pages.describe_row(row)})", "", "8 min without bf16"))
    return [
        *(pages.table(STREAM_HEADS, streams) if streams else []),
        *pages.table("command | time | what comes of it | before the rule", commands),
    ]


def main() -> None:
    options = pages.parse_parts(__doc__, PARTS, "runs/defaults")
    rows = pages.measure_parts("defaults", options, lambda name, seed: PARTS[name](name, seed, options))
    pages.write_section(pages.DOCS / "defaults.md", "defaults.py", format_tables(rows))


if __name__ == "__main__":
    main()
