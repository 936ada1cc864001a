"""Every choice of the replay policy by itself, against the default: SVHN is learned once, then MNIST in every way.

python benchmarks/replay.py --data-dir DIR [--generator KIND] [--steps 300]

Accuracy is on a tenth of each task's training data that nothing was trained on; a tenth of SVHN's is few images, so
what is kept of SVHN is also told by all that only the first scholar has seen. The generator of the second generation is
trained only where it is the question. Writes docs/replay.md. Rows are kept in benchmarks/measured and not measured
twice: remove one to measure it anew.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from generators import parted

from scholars import Scholar, Settings, learn, open_task, store
from scholars.auditing import audit
from scholars.config import build, parse_changes
from scholars.environment import environment
from scholars.errors import InputError
from scholars.evaluate import accuracy

DOCS = Path(__file__).parent.parent / "docs"
# Rows that differ in nothing but the seed of the second generation: what is less than their spread says nothing.
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


def write(rows: list[dict[str, Any]], options: argparse.Namespace, svhn: int, mnist: int, unseen: int) -> None:
    """svhn, mnist, unseen: how many images each column is of"""
    machine = environment(Settings().compute)
    lines = [
        "# Replay policies",
        "",
        f"SVHN, then MNIST, with dreams of `{options.generator}` and {options.steps} steps of the second solver; every "
        "row changes one setting.",
        f"Accuracy in %: on a tenth of the training data that nothing was trained on ({svhn:,} and {mnist:,} images),",
        f"and on the {unseen:,} images of SVHN that the first solver learned from and the second never saw.",
        "The first three rows differ by chance alone. Made by",
        f"`python benchmarks/replay.py --data-dir DIR --generator {options.generator}`, seed 0, on: "
        f"{machine['processor']}.",
        "",
        "| setting | SVHN, held out | SVHN, only the first scholar's | MNIST, held out |",
        "|---|---|---|---|",
        *(
            f"| {row['policy'] or 'default, seed ' + str(row['seed'])} | {row['svhn']} | {row['unseen']} | "
            f"{row['mnist']} |"
            for row in rows
            if "dreams" not in row
        ),
        "",
        "How the second generator starts (trained in full; test accuracy in % of a small solver that saw its dreams",
        "only):",
        "",
        "| setting | SVHN | MNIST |",
        "|---|---|---|",
        *(
            f"| {row['policy']} | {row['dreams']['svhn']} | {row['dreams']['mnist']} |"
            for row in rows
            if "dreams" in row
        ),
    ]
    (DOCS / "replay.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--generator", default=Settings().generator.kind)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/replay"))
    options = parser.parse_args()
    kept = Path(__file__).parent / "measured" / f"replay-{options.generator}.json"
    document: dict[str, Any] = store.read_json(kept) if kept.is_file() else {"steps": options.steps, "rows": []}
    if document["steps"] != options.steps:
        raise SystemExit(f"{kept} has rows of {document['steps']} steps: remove it, or give --steps so")
    rows: list[dict[str, Any]] = document["rows"]
    base = {"generator": {"kind": options.generator}, "solver": {"steps": options.steps}}
    settings = build(Settings, base, None, where="benchmark")
    (first, svhn), (second, mnist) = (
        parted(open_task(name, data_dir=options.data_dir).resized(settings.image.channels, settings.image.size))
        for name in ("svhn", "mnist")
    )
    folder = options.out / f"{options.generator}-svhn"
    if not folder.is_dir():
        learn(first, settings=build(Settings, base, {"solver.steps": 1200}, where="benchmark")).save(folder)
    scholar = Scholar.load(folder)
    # The second solver has learned of these from dreams alone.
    unseen = replace(first, test=first.train)
    for policy, seed in [*(("", seed) for seed in SEEDS), *((policy, 0) for policy in [*POLICIES, *GENERATORS])]:
        if any((row["policy"], row["seed"]) == (policy, seed) for row in rows):
            continue
        trained = policy in GENERATORS
        short = {} if trained else {f"generator.{options.generator}.steps": 1}
        changes = {**parse_changes([policy] if policy else []), **short}
        try:
            chosen = build(Settings, base, changes, where=policy)
        except InputError as error:
            print(error)
            continue
        learned = learn(second, scholar, settings=chosen, seed=seed)
        row: dict[str, Any] = {
            "policy": policy,
            "seed": seed,
            "svhn": round(100 * accuracy(learned, svhn), 2),
            "unseen": round(100 * accuracy(learned, unseen), 2),
            "mnist": round(100 * accuracy(learned, mnist), 2),
        }
        if trained:
            found = audit(learned, [first, second])
            row |= {"dreams": {entry.name: round(100 * entry.accuracy, 1) for entry in found.tasks}}
        rows.append(row)
        print(json.dumps(row), flush=True)
        store.write_json(kept, document)
        write(rows, options, len(svhn.test), len(mnist.test), len(first.train))
    write(rows, options, len(svhn.test), len(mnist.test), len(first.train))


if __name__ == "__main__":
    main()
