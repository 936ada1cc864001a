"""The streams that everyone reports: every method, several seeds, what each cost.

python benchmarks/streams.py --data-dir DIR [--only split-mnist ...] [--seeds 0 1 2]

Every seed of a stream is one `scholars run`, in a process of its own. Writes docs/results.md and its pictures. What
was interrupted goes on, in --out. What is in benchmarks/measured is not made twice: remove it to make it anew. Several
of these may run at once, each with its own --only or --seeds, OMP_NUM_THREADS=1 and a core of its own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scholars import store
from scholars.environment import environment
from scholars.evaluate import summary
from scholars.report.results import mean
from scholars.report.words import DASH, megabytes, number, percent
from scholars.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
MEASURED = Path(__file__).parent / "measured"
ALL = "replay,naive,exact,joint,lwf,er"
BRACKETS = "replay,naive,joint"
FOUR = "replay,naive,exact,joint"
RUN = (
    "method",
    "seed",
    "average_accuracy",
    "learning_accuracy",
    "forgetting",
    "forward_transfer",
    "seconds",
    "peak_memory_mb",
    "kept_bytes",
    "images_generated",
)
THREE_KINDS = "van de Ven & Tolias 2019, arXiv 1904.07734"


@dataclass(frozen=True)
class Stream:
    """A row of the page.

    words: what follows `scholars run`
    published: (what, accuracy in %, where)
    """

    title: str
    words: Sequence[str]
    methods: str = BRACKETS
    published: Sequence[tuple[str, str, str]] = field(default=())


STREAMS = {
    "mnist-svhn": Stream("MNIST, SVHN: the founding experiment", ["mnist-svhn"], FOUR),
    "svhn-mnist": Stream("SVHN, MNIST", ["svhn-mnist"], FOUR),
    "split-mnist": Stream(
        "Split MNIST, class-incremental",
        ["split-mnist"],
        ALL,
        [
            ("DGR", "91.3", THREE_KINDS),
            ("DGR with distillation", "91.8", THREE_KINDS),
            ("iCaRL, 2,000 stored images", "94.6", THREE_KINDS),
            ("replay through feedback", "92.6", "Hsu et al. 2018, arXiv 1810.12488"),
        ],
    ),
    "split-mnist-domain": Stream(
        "Split MNIST, domain-incremental",
        ["split-mnist", "--set", "scenario=domain"],
        published=[("DGR", "95.7", THREE_KINDS)],
    ),
    "split-mnist-task": Stream(
        "Split MNIST, task-incremental",
        ["split-mnist", "--set", "scenario=task"],
        published=[("DGR", "99.5", THREE_KINDS)],
    ),
    "permuted-mnist": Stream(
        "Permuted MNIST, ten tasks, domain-incremental",
        ["permuted-mnist"],
        published=[("DGR", "92-96", THREE_KINDS)],
    ),
    "rotated-mnist": Stream("Rotated MNIST, four tasks, domain-incremental", ["rotated-mnist"]),
    "split-svhn": Stream("Split SVHN, class-incremental", ["split-svhn"]),
    "four-digits": Stream("MNIST, SVHN, USPS, Digits", ["four-digits"]),
    "four-digits-reversed": Stream("Digits, USPS, SVHN, MNIST", ["four-digits-reversed"]),
}


def command(stream: Stream, seeds: Sequence[int]) -> list[str]:
    return ["run", *stream.words, "--methods", stream.methods, "--seed", *map(str, seeds)]


def measure(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """What the run wrote, of which only what the page needs is kept."""
    folder = options.out / f"{name}-{seed}"
    words = [*command(STREAMS[name], [seed]), "--data-dir", str(options.data_dir), "--out", str(folder)]
    with (options.out / f"{name}-{seed}.log").open("a") as log:
        subprocess.run([sys.executable, "-m", "scholars", *words, "--resume"], check=True, stdout=log, stderr=log)
    if seed == options.seeds[0]:
        shutil.copy(folder / "accuracy.png", DOCS / "images" / f"stream-{name}.png")
    results = store.read_json(folder / "results.json")
    runs = [{key: run[key] for key in RUN} for run in results["runs"]]
    # The page gives the command; that of this run names folders of this machine.
    machine = {key: value for key, value in results["environment"].items() if key != "command"}
    return {"runs": runs, "environment": machine}


def section(name: str, stream: Stream, measured: list[dict[str, Any]]) -> list[str]:
    runs_of_all = [entry for one in measured for entry in one["runs"]]
    seeds = list(dict.fromkeys(entry["seed"] for entry in runs_of_all))
    threads = [one["environment"]["threads"] for one in measured]
    lines = [
        f"## {stream.title}",
        "",
        f"`scholars {' '.join(command(stream, seeds))}`",
        "",
        f"Threads, seed by seed: {', '.join(map(str, threads))}.",
        "",
        "| method | average accuracy | when learned | forgetting | forward transfer | gap closed | seconds | "
        "peak MB | kept MB | images generated |",
        "|" + "---|" * 10,
    ]
    for method, found_of in summary(runs_of_all).items():
        runs = [entry for entry in runs_of_all if entry["method"] == method]

        def over(key: str, runs: list[dict[str, Any]] = runs) -> float | None:
            return mean(entry[key] for entry in runs)

        found = found_of["average_accuracy"]
        half = f" ± {percent(found['interval'], 2)}" if found["interval"] is not None else ""
        figures = [
            percent(found["mean"], 2) + half,
            percent(over("learning_accuracy")),
            percent(over("forgetting")),
            percent(over("forward_transfer")),
            DASH if found_of["gap_closed"] is None else f"{found_of['gap_closed']:.2f}",
            number(min(entry["seconds"] for entry in runs)),
            number(over("peak_memory_mb")),
            megabytes(over("kept_bytes")),
            number(over("images_generated")),
        ]
        lines.append(f"| `{method}` | {' | '.join(figures)} |")
    for what, score, where in stream.published:
        lines.append(f"| *{what}, published, not measured here* ({where}) | *{score}* |" + " |" * 8)
    return [*lines, "", f"![Accuracy on each task after each task](images/stream-{name}.png)", ""]


def written(found: dict[str, list[dict[str, Any]]], machine: dict[str, Any]) -> str:
    lines = [
        "# The standard streams",
        "",
        "Average accuracy over all tasks after the last one, in %, on real test parts: mean and half width of the 95 %",
        "interval (Student's t) over the seeds. All methods of a stream have the same networks, steps, seeds. *Kept*",
        "is what had to stay between tasks: weights, and real images at 8 bits a value. Seconds are of learning alone,",
        "by the fastest seed; what had one thread had another such run on the machine's other core.",
        "[recipes.md](recipes.md) says what each method is, [measurements.md](measurements.md) what the data is: SVHN",
        "is a subset, not comparable to published figures. [peers.md](peers.md) has another system on Split MNIST.",
        "",
        f"Made by `python benchmarks/streams.py --data-dir DIR` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{machine['processor']}, 2 cores, {machine['precision']}, "
        f"torch {machine['packages']['torch']}.",
        "",
    ]
    for name, measured in found.items():
        lines += section(name, STREAMS[name], measured)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(STREAMS), default=list(STREAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/streams"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in STREAMS:
        for seed in options.seeds:
            kept = MEASURED / f"{name}-{seed}.json"
            if name in options.only and not kept.is_file():
                store.write_json(kept, measure(name, seed, options))
            if kept.is_file():
                found.setdefault(name, []).append(store.read_json(kept))
        (DOCS / "results.md").write_text(written(found, environment(Settings().compute)), encoding="utf-8")


if __name__ == "__main__":
    main()
