"""The streams that everyone reports: every method, several seeds, what each cost.

python benchmarks/streams.py --data-dir DIR [--only split-mnist ...] [--seeds 0 1 2] [--methods replay joint ...]

Every seed of a stream is a `scholars run`, in a process of its own, of those methods that benchmarks/measured has not
yet for it: remove its file to make it anew. Writes docs/results.md, its pictures, and the table of them in the README.
What was interrupted goes on, in --out. Several of these may run at once, each with its own --only or --seeds,
OMP_NUM_THREADS=1 and a core of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring.marked import marked

from scholars import store
from scholars.config import METHODS, Recipe, build, parse_changes, read_recipe
from scholars.environment import environment
from scholars.evaluate import summary
from scholars.report import plots
from scholars.report.results import Spread, mean
from scholars.report.words import DASH, megabytes, number, percent, spread
from scholars.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
MEASURED = Path(__file__).parent / "measured"
README = DOCS.parent / "README.md"
THREE_KINDS = "van de Ven & Tolias 2019, arXiv 1904.07734"


@dataclass(frozen=True)
class Stream:
    """A row of the page.

    words: what follows `scholars run`
    published: (what, accuracy in %, where)
    note: what a reader of its figures must know
    """

    title: str
    words: Sequence[str]
    published: Sequence[tuple[str, str, str]] = field(default=())
    note: str = ""


STREAMS = {
    "mnist-svhn": Stream("MNIST, SVHN", ["mnist-svhn"]),
    "svhn-mnist": Stream("SVHN, MNIST", ["svhn-mnist"]),
    "split-mnist": Stream(
        "Split MNIST, class-incremental",
        ["split-mnist"],
        [
            ("DGR", "90.8", THREE_KINDS),
            ("DGR with distillation", "91.8", THREE_KINDS),
            ("iCaRL, 2,000 stored images", "94.6", THREE_KINDS),
            ("replay through feedback", "92.6", "Hsu et al. 2018, arXiv 1810.12488"),
        ],
    ),
    "split-mnist-domain": Stream(
        "Split MNIST, domain-incremental",
        ["split-mnist", "--set", "scenario=domain"],
        published=[("DGR", "95.7", THREE_KINDS), ("DGR with distillation", "96.8", THREE_KINDS)],
    ),
    "split-mnist-task": Stream(
        "Split MNIST, task-incremental",
        ["split-mnist", "--set", "scenario=task"],
        published=[("DGR", "99.5", THREE_KINDS), ("DGR with distillation", "99.6", THREE_KINDS)],
        note="Trained over all outputs, as if class-incremental; only the answer is limited to the two of a test "
        "image's task. The published figures were made by training those two alone.",
    ),
    "permuted-mnist": Stream(
        "Permuted MNIST, ten tasks, domain-incremental",
        ["permuted-mnist"],
        published=[
            ("DGR, class-incremental", "92", THREE_KINDS),
            ("DGR with distillation, class-incremental", "96", THREE_KINDS),
            ("DGR", "95.1", THREE_KINDS),
            ("DGR with distillation", "97.4", THREE_KINDS),
        ],
        note="The class-incremental figures are of networks that also tell which of the ten tasks an image is of. "
        "Those of this scenario are quoted from memory: the paper could not be opened where this was written.",
    ),
    "rotated-mnist": Stream("Rotated MNIST, four tasks, domain-incremental", ["rotated-mnist"]),
    "split-svhn": Stream("Split SVHN, class-incremental", ["split-svhn"]),
    "four-digits": Stream("MNIST, SVHN, USPS, Digits", ["four-digits"]),
    "four-digits-reversed": Stream("Digits, USPS, SVHN, MNIST", ["four-digits-reversed"]),
}


def command(stream: Stream, methods: Sequence[str], seeds: Sequence[int]) -> list[str]:
    return ["run", *stream.words, "--methods", ",".join(methods), "--seed", *map(str, seeds)]


def chosen(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that figures depend on: not seeds, methods and names, nor other generators'."""
    kind = config["generator"]["kind"]
    generator = {key: config["generator"][key] for key in ("kind", "start", "size", kind)}
    parts = ("image", "solver", "replay", "tasks", "split", "scenario", "buffer", "validation")
    return {**{key: config[key] for key in parts}, "generator": generator}


def completed(run: dict[str, Any], generator: bool) -> str:
    """What `chosen` gave once, with the defaults of settings that came since; of the generator or of all else."""
    recipe = build(Recipe, {"name": "row", **run["settings"]}, None, where="a measured row")
    settings = chosen(recipe.model_dump(mode="json"))
    own = settings.pop("generator")
    return json.dumps(own if generator else settings, sort_keys=True)


def kept_rows(name: str, seed: int) -> dict[str, Any] | None:
    path = MEASURED / f"{name}-{seed}.json"
    return store.read_json(path) if path.is_file() else None


def measured(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """The results of a stream with one seed: those that are kept, and of the methods that are asked for and are not."""
    kept = kept_rows(name, seed)
    have = [run["method"] for run in kept["runs"]] if kept else []
    lacking = [method for method in options.methods if method not in have]
    if lacking and name in options.only and seed in options.seeds:
        folder = options.out / "-".join([name, str(seed), *lacking])
        words = [*command(STREAMS[name], lacking, [seed]), "--data-dir", str(options.data_dir), "--out", str(folder)]
        # Audits take a sixth of the time and change nothing that is learned.
        words += ["--set", "audit.dreams=0"]
        with folder.with_suffix(".log").open("a") as log:
            subprocess.run([sys.executable, "-m", "scholars", *words, "--resume"], check=True, stdout=log, stderr=log)
        found = store.read_json(folder / "results.json")
        made = {"threads": found["environment"]["threads"], "settings": chosen(found["config"])}
        runs = [*(kept["runs"] if kept else []), *({**run, **made} for run in found["runs"])]
        kept = {**found, "runs": sorted(runs, key=lambda run: METHODS.index(run["method"]))}
        # The page gives the command; that of this run names folders of this machine.
        kept["environment"] = {key: value for key, value in found["environment"].items() if key != "command"}
        store.write_json(
            MEASURED / f"{name}-{seed}.json",
            {key: value for key, value in kept.items() if key not in ("summary", "config")},
        )
    return kept


def check_settings(name: str, recipe: Recipe, runs: list[dict[str, Any]]) -> None:
    """Rows are of the recipe as it is: the page names its command. Only replay has a generator. Raises SystemExit."""
    now = {"settings": chosen(recipe.model_dump(mode="json"))}
    for run in runs:
        parts = (False, True) if run["method"] == "replay" else (False,)
        if any(completed(run, generator=part) != completed(now, generator=part) for part in parts):
            where = f"seed {run['seed']}, {run['method']}"
            raise SystemExit(
                f"{name}: the row of {where} is of other settings than the recipe. Remove it in {MEASURED}"
            )


def section(name: str, stream: Stream, parts: list[dict[str, Any]]) -> list[str]:
    every = [run for part in parts for run in part["runs"]]
    check_settings(name, read_recipe(stream.words[0], parse_changes(stream.words[2:])), every)
    seeds = list(dict.fromkeys(run["seed"] for run in every))
    methods = [method for method in METHODS if any(run["method"] == method for run in every)]
    plots.save(plots.accuracy({**parts[0], "seeds": seeds, "runs": every}), DOCS / "images" / f"stream-{name}.png")
    lines = [
        f"## {stream.title}",
        "",
        f"`scholars {' '.join(command(stream, methods, seeds))}`",
        "",
        "| method | seeds | average accuracy | when learned | forgetting | backward transfer | forward transfer | "
        "gap closed | seconds | threads | peak MB | kept MB | images generated |",
        "|" + "---|" * 13,
    ]
    for method, found in summary(every).items():
        runs = [run for run in every if run["method"] == method]

        def over(key: str, runs: list[dict[str, Any]] = runs) -> float | None:
            return mean(run[key] for run in runs)

        average = found["average_accuracy"]
        half = f" ± {percent(average['interval'], 2)}" if average["interval"] is not None else ""
        fastest = min(runs, key=lambda run: run["seconds"])
        figures = [
            number(len(runs)),
            percent(average["mean"], 2) + half,
            percent(over("learning_accuracy")),
            percent(over("forgetting")),
            percent(over("backward_transfer")),
            percent(over("forward_transfer")),
            number(found["gap_closed"], 2),
            number(fastest["seconds"]),
            number(fastest["threads"]),
            number(over("peak_memory_mb")),
            megabytes(over("kept_bytes")),
            number(over("images_generated")),
        ]
        lines.append(f"| `{method}` | {' | '.join(figures)} |")
    for what, score, where in stream.published:
        lines.append(f"| *{what}, published, not measured here* ({where}) | | *{score}* |" + " |" * 10)
    lines += ["", stream.note] if stream.note else []
    return [*lines, "", f"![Accuracy on each task after each task](images/stream-{name}.png)", ""]


def overview(found: dict[str, list[dict[str, Any]]]) -> str:
    """A row a stream, a column a method: the mean of its seeds, how sure it is, how many they are if not three."""
    heads = ["`scholars run`", "generator", *METHODS, "seconds of replay"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, parts in found.items():
        every = [run for part in parts for run in part["runs"]]
        cells: dict[str, str] = dict.fromkeys(METHODS, DASH)
        for method, figures in summary(every).items():
            average = Spread.model_validate(figures["average_accuracy"])
            few = "" if average.n == 3 else f" ({average.n} {'seed' if average.n == 1 else 'seeds'})"
            cells[method] = spread(average) + few
        cells["replay"] = f"**{cells['replay']}**"
        seconds = min((run["seconds"] for run in every if run["method"] == "replay"), default=None)
        generator = ", ".join(sorted({part["generator"] for part in parts}))
        row = [f"`{' '.join(STREAMS[name].words)}`", generator, *cells.values(), number(seconds)]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def written(found: dict[str, list[dict[str, Any]]], machine: dict[str, Any]) -> str:
    lines = [
        "# The standard streams",
        "",
        "Average accuracy over all tasks after the last one, in %, on real test parts: mean and half width of the 95 %",
        "interval (Student's t) over the seeds. All methods of a stream have the same networks, steps, seeds. *Kept*",
        "is what had to stay between tasks: weights, and real images at 8 bits a value, in their own shape or the",
        "scholar's, whichever is smaller. Seconds are of learning alone, for the fastest seed; runs with one thread",
        "shared the two cores with up to three others. Pictures show the",
        "mean over the seeds, and bands from the worst of them to the best. Audits change nothing that is learned,",
        "and were left out (`audit.dreams=0`). *Gap closed* is of the seeds that a method has in common with `naive`",
        "and `joint`. *Peak* of a method that ran after others may include memory they had not released. It is",
        "released now, but most rows are older.",
        "[recipes.md](recipes.md) says what each method is, [measurements.md](measurements.md) what the data is: SVHN",
        "is a subset, not comparable to published figures. [peers.md](peers.md) has another system on Split MNIST.",
        "",
        f"Written by `python benchmarks/streams.py --data-dir DIR` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{machine['processor']}, 2 cores, {machine['precision']}, "
        f"torch {machine['packages']['torch']}.",
        "",
    ]
    for name, parts in found.items():
        lines += section(name, STREAMS[name], parts)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(STREAMS), default=list(STREAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=Path("runs/streams"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in STREAMS:
        # The other seeds are on the page, too, once they have been measured.
        for seed in sorted({0, 1, 2, *options.seeds}):
            if part := measured(name, seed, options):
                found.setdefault(name, []).append(part)
    (DOCS / "results.md").write_text(written(found, environment(Settings().compute)), encoding="utf-8")
    page = marked(README.read_text(encoding="utf-8"), "streams.py", overview(found))
    README.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
