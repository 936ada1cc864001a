"""Each replay policy by itself, against the default: SVHN is learned once, then MNIST in every way.

python benchmarks/replay.py --data-dir DIR [--generator KIND] [--steps 300]

Accuracy is on a tenth of each task's training data that nothing was trained on. A tenth of SVHN is few images, so it
is also measured on all images of SVHN that only the first scholar was trained on. The second generator is trained only
where it is the question. Writes docs/replay.md. Rows are kept in benchmarks/measured and not measured twice: remove one
to measure it anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from generators import split_validation
from measuring import pages

from scholars import Scholar, Settings, changed, learn, open_task
from scholars.errors import InputError
from scholars.evaluation.accuracy import accuracy
from scholars.learning.audit import audit
from scholars.settings import DEFAULT_GENERATOR
from scholars.settings.overrides import parse_changes

# Rows that differ in the seed of the second generation alone: smaller differences than theirs are chance.
SEEDS = (0, 1, 2)
POLICIES = [
    "replay.ratio=0.3",
    "replay.ratio=0.7",
    "replay.labels=hard",
    "replay.temperature=2",
    "replay.temperature=0.5",
    "replay.balance=classes",
    "replay.filter=confidence",
    "replay.filter=agreement",
    "replay.bank=3000",
    "replay.bank=40000",
    "replay.dreams=fresh",
    "replay.shift=0",
    "replay.shift=4",
    "replay.mixup=0.3",
    "solver.start=fresh",
    "solver.warm_rate=0.001",
    "solver.smoothing=0.1",
    "solver.steps=600",
]
GENERATORS = ["generator.start=warm", "generator.start=fresh"]


def format_page(document: dict[str, Any], generator: str) -> list[str]:
    rows, images = document["rows"], document["images"]
    policies = [row for row in rows if "dreams" not in row]
    starts = [row for row in rows if "dreams" in row]
    return [
        "# Replay policies",
        "",
        f"SVHN, then MNIST, with dreams of `{generator}` and {document['steps']} steps of the second solver; every "
        f"row changes one of the default settings of {document['date']}.",
        "Accuracy in %: on a tenth of the training data that nothing was trained on "
        f"({images['svhn']:,} and {images['mnist']:,} images),",
        f"and on the {images['unseen']:,} images of SVHN that the first solver learned from and the second never saw.",
        "The first three rows differ by chance alone. Made by",
        f"`python benchmarks/replay.py --data-dir DIR --generator {generator}`, seed 0, on: "
        f"{document['environment']['processor']}.",
        "",
        *pages.table(
            "setting | SVHN, held out | SVHN, only the first scholar's | MNIST, held out",
            (
                (row["policy"] or f"default, seed {row['seed']}", row["svhn"], row["unseen"], row["mnist"])
                for row in policies
            ),
        ),
        "How the second generator starts (trained in full; test accuracy in % of a small solver that saw its dreams",
        "only):",
        "",
        *pages.table(
            "setting | SVHN | MNIST",
            ((row["policy"], row["dreams"]["svhn"], row["dreams"]["mnist"]) for row in starts),
        ),
    ]


def measure(
    name: str, document: dict[str, Any], lacking: Iterable[tuple[str, int]], options: argparse.Namespace
) -> None:
    """Add the rows of ``lacking`` (policy, seed) to the document, and keep it after each."""
    settings = changed(Settings(), {"generator.kind": options.generator, "solver.steps": options.steps})
    image = settings.image
    (first, svhn), (second, mnist) = (
        split_validation(open_task(source, data_dir=options.data_dir).resized(image.channels, image.size))
        for source in ("svhn", "mnist")
    )
    folder = options.out / f"{options.generator}-svhn"
    if not folder.is_dir():
        learn(first, settings=changed(settings, {"solver.steps": 1200})).save(folder)
    scholar = Scholar.load(folder)
    # The second solver has learned of the unseen ones from dreams alone.
    tests = {"svhn": svhn, "unseen": replace(first, test=first.train), "mnist": mnist}
    document["images"] = {key: len(task.test) for key, task in tests.items()}
    for policy, seed in lacking:
        trained = policy in GENERATORS
        changes = parse_changes([policy] if policy else []) | ({} if trained else {"generator.steps": 1})
        try:
            learned = learn(second, scholar, settings=changed(settings, changes), seed=seed)
        except InputError as error:
            print(error)
            continue
        row: dict[str, Any] = {"policy": policy, "seed": seed}
        row |= {key: round(100 * accuracy(learned, task), 2) for key, task in tests.items()}
        if trained:
            found = audit(learned, [first, second])
            row |= {"dreams": {entry.name: round(100 * entry.accuracy, 1) for entry in found.tasks}}
        document["rows"].append(row)
        print(json.dumps(row), flush=True)
        pages.write_kept(name, document)


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--generator", default=DEFAULT_GENERATOR)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/replay"))
    options = parser.parse_args()
    name = f"replay-{options.generator}"
    document = pages.read_kept(name, steps=options.steps, rows=[])
    if document["steps"] != options.steps:
        raise SystemExit(f"{name}.json has rows of {document['steps']} steps: remove it, or give --steps so")
    have = {(row["policy"], row["seed"]) for row in document["rows"]}
    wanted = [*(("", seed) for seed in SEEDS), *((policy, 0) for policy in [*POLICIES, *GENERATORS])]
    if lacking := [each for each in wanted if each not in have]:
        pages.check_machine(name, document)
        measure(name, document, lacking, options)
    pages.write_page("replay", format_page(document, options.generator))


if __name__ == "__main__":
    main()
