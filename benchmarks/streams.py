"""Run the standard streams: every method, several seeds, accuracy and cost of each.

python benchmarks/streams.py --data-dir DIR [--only split-mnist ...] [--seeds 0 1 2] [--methods replay joint ...]

Every seed of a stream is a `scholars run`, in a process of its own, of those methods that benchmarks/measured has not
yet for it: remove its file to make it anew. Writes docs/results.md, its pictures, and the table in the README; with
`--only` and no name, from kept rows only. An interrupted run is resumed, in --out. Several of these may run at once,
each with its own --only or --seeds, OMP_NUM_THREADS=1 and a core of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import pages

from scholars.errors import InputError
from scholars.evaluation.metrics import summary
from scholars.experiments.methods import METHOD_NAMES
from scholars.experiments.recipe import Recipe, read_recipe
from scholars.report.charts import chart_accuracy, write_png
from scholars.report.formatting import DASH, format_interval, megabytes, number, percent
from scholars.report.results import Results, parse_results
from scholars.settings.overrides import build, parse_changes
from scholars.storage import files

HEADS = (
    "method | seeds | average accuracy | when learned | forgetting | backward transfer | forward transfer | "
    "gap closed | seconds | threads | peak MB | kept MB | images generated"
)
Parts = Sequence[Mapping[str, Any]]
THREE_KINDS = "van de Ven & Tolias 2019, arXiv 1904.07734"


@dataclass(frozen=True)
class Stream:
    """A section of the page.

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


def run_words(stream: Stream, methods: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Return what follows `scholars` on the command line."""
    return ["run", *stream.words, "--methods", ",".join(methods), "--seed", *map(str, seeds)]


def relevant_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that figures depend on: not seeds, methods and names."""
    keys = ("image", "budget", "solver", "generator", "replay", "tasks", "split", "scenario", "buffer", "validation")
    return {key: recipe[key] for key in keys}


def measure(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the kept results of a stream with one seed, after measuring the methods that are asked for and lacking."""
    kept = pages.read_kept(f"{name}-{seed}")
    have = [run["method"] for run in kept.get("runs", [])]
    lacking = [method for method in options.methods if method not in have]
    if lacking and name in options.only and seed in options.seeds:
        folder = options.out / "-".join([name, str(seed), *lacking])
        words = [*run_words(STREAMS[name], lacking, [seed]), "--data-dir", options.data_dir, "--out", folder]
        with folder.with_suffix(".log").open("a") as log:
            # Audits take a sixth of the time and change nothing that is learned.
            pages.scholars(*words, "--set", "audit.dreams=0", "--resume", stdout=log, stderr=log)
        found = files.read_json(folder / "results.json")
        made = {"threads": found["environment"]["threads"], "settings": relevant_settings(found["config"])}
        runs = [*kept.get("runs", []), *({**run, **made} for run in found["runs"])]
        kept = {key: value for key, value in found.items() if key not in ("summary", "config")}
        kept["runs"] = sorted(runs, key=lambda run: METHOD_NAMES.index(run["method"]))
        # The page gives the command; that of this run names folders of this machine.
        machine = {key: value for key, value in found["environment"].items() if key != "command"}
        pages.write_kept(f"{name}-{seed}", kept, machine)
    return kept


def check_settings(name: str, recipe: Recipe, runs: Iterable[Mapping[str, Any]]) -> None:
    """Raise SystemExit unless all rows have the recipe's settings: the page names its command.

    Settings that a row does not have, because they came later, count as their defaults. Methods other than replay have
    no generator.
    """
    wanted = relevant_settings(recipe.model_dump())
    for run in runs:
        found = settings_of_row(run)
        if any(found.get(key) != wanted[key] for key in wanted if key != "generator" or run["method"] == "replay"):
            raise SystemExit(
                f"{name}: the row of seed {run['seed']}, {run['method']} is of other settings than the recipe. "
                f"Remove it in {pages.MEASURED}"
            )


def settings_of_row(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a row, with those that came later; nothing where some are no settings of a recipe."""
    try:
        return relevant_settings(build(Recipe, {"name": "row", **run["settings"]}, None, where="a row").model_dump())
    except InputError:
        return {}


def merge_seeds(parts: Parts) -> Results:
    """Return the results of several seeds, each measured by itself, as those of one run."""
    runs = [run for part in parts for run in part["runs"]]
    seeds = list(dict.fromkeys(run["seed"] for run in runs))
    return parse_results({**parts[0], "seeds": seeds, "runs": runs, "summary": summary(runs)})


def stream_section(name: str, parts: Parts) -> list[str]:
    """Return the lines of the page about one stream; draw its picture."""
    stream, results = STREAMS[name], merge_seeds(parts)
    runs = [run for part in parts for run in part["runs"]]
    check_settings(name, read_recipe(stream.words[0], parse_changes(stream.words[2:])), runs)
    write_png(chart_accuracy(results), pages.DOCS / "images" / f"stream-{name}.png")
    rows = [method_cells(method, results, runs) for method in results.methods]
    for what, score, where in stream.published:
        cited = [f"*{what}, published, not measured here* ({where})", "", f"*{score}*"]
        rows.append([*cited, *[""] * (HEADS.count("|") - 2)])
    return [
        f"## {stream.title}",
        "",
        f"`scholars {' '.join(run_words(stream, results.methods, results.seeds))}`",
        "",
        *pages.table(HEADS, rows),
        *([stream.note, ""] if stream.note else []),
        f"![Accuracy on each task after each task](images/stream-{name}.png)",
        "",
    ]


def method_cells(method: str, results: Results, runs: Parts) -> list[str]:
    found = results.summary_of(method)
    average = found.average_accuracy
    own = [run for run in runs if run["method"] == method]
    fastest = min(own, key=lambda run: float(run["seconds"]))
    return [
        f"`{method}`",
        number(len(own)),
        percent(average.mean, 2) + ("" if average.interval is None else f" ± {percent(average.interval, 2)}"),
        percent(results.seed_mean(method, "learning_accuracy")),
        percent(results.seed_mean(method, "forgetting")),
        percent(results.seed_mean(method, "backward_transfer")),
        percent(results.seed_mean(method, "forward_transfer")),
        number(found.gap_closed, 2),
        number(fastest["seconds"]),
        number(fastest["threads"]),
        number(results.seed_mean(method, "peak_memory_mb")),
        megabytes(results.seed_mean(method, "kept_bytes")),
        number(results.seed_mean(method, "images_generated")),
    ]


def overview_table(found: Mapping[str, Parts]) -> list[str]:
    """Return a row a stream, a column a method: mean and interval over seeds, and how many they are if not three."""
    rows = []
    for name, parts in found.items():
        results = merge_seeds(parts)
        cells: dict[str, str] = dict.fromkeys(METHOD_NAMES, DASH)
        for method in results.methods:
            average = results.summary_of(method).average_accuracy
            seeds = "" if average.n == 3 else f" ({pages.count(average.n, 'seed')})"
            cells[method] = format_interval(average) + seeds
        cells["replay"] = f"**{cells['replay']}**"
        seconds = min((run.seconds or 0 for run in results.runs if run.method == "replay"), default=None)
        rows.append([f"`{' '.join(STREAMS[name].words)}`", results.generator, *cells.values(), number(seconds)])
    return pages.table(f"`scholars run` | generator | {' | '.join(METHOD_NAMES)} | seconds of replay", rows)


def format_page(found: Mapping[str, Parts]) -> list[str]:
    newest = max((part for parts in found.values() for part in parts), key=lambda part: str(part["date"]))
    machine = {"environment": {**newest["environment"], "cores": pages.count(newest["environment"]["cores"], "core")}}
    return [
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
        f"Written by `python benchmarks/streams.py --data-dir DIR`; newest rows of {newest['date']}: "
        f"{pages.describe_machine(machine, 'cores', 'precision')}.",
        "",
        *(line for name, parts in found.items() for line in stream_section(name, parts)),
    ]


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(STREAMS), default=list(STREAMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHOD_NAMES, default=METHOD_NAMES)
    parser.add_argument("--out", type=Path, default=Path("runs/streams"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in STREAMS:
        # The other seeds are on the page, too, once they have been measured.
        for seed in sorted({0, 1, 2, *options.seeds}):
            if part := measure(name, seed, options):
                found.setdefault(name, []).append(part)
    pages.write_page("results", format_page(found))
    pages.write_section(pages.README, "streams.py", overview_table(found))


if __name__ == "__main__":
    main()
