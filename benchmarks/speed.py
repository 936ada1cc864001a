"""How fast every stage of `mnist-svhn` is, beside what the machine can do at best at the same moment.

python benchmarks/speed.py --data-dir DIR [--processes] [--runs [NAME ...]] [--check]

Without more it takes some minutes, for the stages alone; `--processes` adds two processes against one, `--runs` whole
runs, which take long and are kept in --out, and go on there. Writes benchmarks/measured/speed.json and docs/speed.md;
what is not measured this time stays as it was. `--check` writes nothing: it measures the stages anew, compares their
ratios with the table, and ends with 1 if any is more than 15 % worse, also when it is measured a second time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from measuring import pages
from measuring.references import build_references
from measuring.slowdowns import comparable_ratios, find_slowdowns
from measuring.speed_page import format_page
from measuring.stage_timing import Row, measure_computation, measure_stages
from measuring.stages import build_stages

from scholars.compute.device import device_for
from scholars.experiments.recipe import read_recipe
from scholars.experiments.run import is_done
from scholars.settings import DEFAULT_GENERATOR
from scholars.storage import files

# Row -> what follows `scholars run`.
RUNS = {
    "mnist-svhn": ["mnist-svhn"],
    "split-mnist": ["split-mnist", "--methods", "replay"],
    "split-mnist-small": ["split-mnist-small", "--methods", "replay"],
}


def measure(options: argparse.Namespace, computation: bool = True) -> dict[str, Any]:
    """Measure stages and references; also what each stage computes, if ``computation``."""
    recipe = read_recipe("mnist-svhn")
    references = build_references(device_for(recipe.compute).bf16)
    with tempfile.TemporaryDirectory() as scratch:
        stages = [
            stage
            for stage in build_stages(recipe, options.data_dir, Path(scratch))
            if not options.only or any(word in stage.name for word in options.only)
        ]
        rows, speeds = measure_stages(stages, references, options.rounds, options.seconds, _report)
        if computation:
            for stage in stages:
                _report(f"what {stage.name!r} computes")
                rows[stage.name] |= measure_computation(stage, rows[stage.name], references)
    return {"stages": rows, "references": speeds}


def measure_processes(options: argparse.Namespace) -> dict[str, Row]:
    """Measure one process of two threads and two of one thread, in turn."""
    found = {}
    for what in dict.fromkeys(["solver", DEFAULT_GENERATOR, read_recipe("mnist-svhn").generator.kind]):
        speeds: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(options.rounds):
            for processes in (1, 2) if turn % 2 else (2, 1):
                _report(f"{what}, processes: {processes}, round {turn + 1}")
                script = Path(__file__).with_name("speed_processes.py")
                threads = {"OMP_NUM_THREADS": str(2 // processes)}
                row = pages.run_json(script, processes, what, 5 * options.seconds, env=threads)
                speeds[processes].append(row["images_per_second"])
        pairs = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
        found[what] = {"one": median(speeds[1]), "two": median(speeds[2]), "ratio": median(pairs)}
    return found


def measure_run(name: str, options: argparse.Namespace) -> Row:
    """Measure a whole run by the command line, in a process of its own."""
    folder = options.out / name
    if is_done(folder):  # of another day
        shutil.rmtree(folder)
    data = ["--data-dir", options.data_dir] if options.data_dir else []
    pages.scholars("run", *RUNS[name], "--out", folder, "--resume", *data)
    results = files.read_json(folder / "results.json")
    kept = ("average_accuracy", "seconds", "peak_memory_mb")
    return {
        "command": " ".join(["scholars run", *RUNS[name]]),
        "runs": {run["method"]: {key: run[key] for key in kept} for run in results["runs"]},
    }


def check(options: argparse.Namespace) -> bool:
    """Measure again, name every ratio that is worse than the kept one, and return whether there is any."""
    kept = pages.read_kept("speed")
    if not kept:
        raise SystemExit(f"there is no {pages.MEASURED / 'speed.json'} to compare with: measure without --check first")
    there, here = kept["environment"]["processor"], pages.this_machine()["processor"]
    if here != there:
        _report(f"the table is of another machine: {there}, this is {here}")
    before = {
        name: value
        for name, value in comparable_ratios(kept).items()
        if (not options.only or any(word in name.partition(":")[0] for word in options.only))
        and (options.processes or "two processes" not in name)
    }
    fresh = _fresh_ratios(options)
    if found := find_slowdowns(before, fresh):
        _report("measured again: " + "; ".join(found))
        again = _fresh_ratios(options)
        found = find_slowdowns(before, {name: max(value, again.get(name, value)) for name, value in fresh.items()})
    for name, what in found.items():
        print(f"{name}: {what}")
    if not found:
        print(f"none of {len(before)} ratios is worse")
    return bool(found)


def _fresh_ratios(options: argparse.Namespace) -> dict[str, float]:
    document = measure(options, computation=False)
    if options.processes:
        document["processes"] = measure_processes(options)
    return comparable_ratios(document)


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each stage in a round")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="stages with such a word in their name")
    parser.add_argument("--processes", action="store_true", help="also two processes of one thread against one of two")
    parser.add_argument("--runs", nargs="*", choices=list(RUNS), help="also whole runs; all, if none is named")
    parser.add_argument("--check", action="store_true", help="compare with the table, and write nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/speed"), help="where whole runs are kept")
    options = parser.parse_args()
    if options.check:
        return int(check(options))
    document = pages.read_kept("speed", stages={}, references={}, date="")
    if options.only:
        pages.check_machine("speed", document, "threads", "packages")
    fresh = measure(options)
    document["stages"] |= fresh["stages"]
    document["references"] |= fresh["references"]
    if options.processes:
        document["processes"] = measure_processes(options)
    for name in [] if options.runs is None else options.runs or list(RUNS):
        document.setdefault("runs", {})[name] = measure_run(name, options)
    # A part that was measured anew does not make the rest younger.
    pages.write_kept("speed", document, since=document["date"].partition(" to ")[0] if options.only else "")
    pages.write_page("speed", format_page(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
