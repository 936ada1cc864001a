"""How fast every stage of `mnist-svhn` is, beside what the machine can do at best at the same moment.

python benchmarks/speed.py --data-dir DIR [--team] [--runs [NAME ...]] [--check]

Without more it takes some minutes, for the stages alone; `--team` adds two processes against one, `--runs` whole runs,
which take long and are kept in --out, and go on there. Writes benchmarks/measured/speed.json and docs/speed.md; what
is not measured this time stays as it was. `--check` writes nothing: it measures the stages anew, compares their ratios
with the table, and ends with 1 if any is more than 15 % worse, also when it is measured a second time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from measuring.comparison import ratios, worse
from measuring.page import written
from measuring.rounds import Row, computed, measured
from measuring.stages import stages
from measuring.yardsticks import yardsticks

from scholars import store
from scholars.compute import machine
from scholars.config import read_recipe
from scholars.environment import environment
from scholars.experiment import is_done
from scholars.settings import Settings

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "speed.md"
KEPT = HERE / "measured" / "speed.json"
# What is run for each row, and how `scholars run` is told.
RUNS = {
    "mnist-svhn": ["mnist-svhn"],
    "split-mnist": ["split-mnist", "--methods", "replay"],
    "split-mnist-small": ["split-mnist-small", "--methods", "replay"],
}


def measure(options: argparse.Namespace, whole: bool = True) -> dict[str, Any]:
    """Stages and yardsticks; also what each stage computes, if ``whole``."""
    recipe = read_recipe("mnist-svhn")
    yards = yardsticks(machine(recipe.compute).bf16)
    with tempfile.TemporaryDirectory() as scratch:
        found = [
            stage
            for stage in stages(recipe, options.data_dir, Path(scratch))
            if not options.only or any(word in stage.name for word in options.only)
        ]
        rows, machines = measured(found, yards, options.rounds, options.seconds, _say)
        if whole:
            for stage in found:
                _say(f"what {stage.name!r} computes")
                rows[stage.name] |= computed(stage, rows[stage.name], yards)
    return {"stages": rows, "yardsticks": machines}


def team(options: argparse.Namespace) -> dict[str, Row]:
    """One process of two threads, two of one thread, in turn."""
    found = {}
    for what in dict.fromkeys(["solver", Settings().generator.kind, read_recipe("mnist-svhn").generator.kind]):
        speeds: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(options.rounds):
            for processes in (1, 2) if turn % 2 else (2, 1):
                _say(f"{what}, {processes} process{'es'[: 2 * (processes - 1)]}, round {turn + 1}")
                speeds[processes].append(_pair(processes, what, options.seconds))
        pairs = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
        found[what] = {"one": median(speeds[1]), "two": median(speeds[2]), "ratio": median(pairs)}
    return found


def _pair(processes: int, what: str, seconds: float) -> float:
    command = [sys.executable, str(HERE / "speed_team.py"), str(processes), what, str(5 * seconds)]
    threads = {"OMP_NUM_THREADS": str(2 // processes)}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, env=os.environ | threads
    )
    return float(json.loads(done.stdout.splitlines()[-1])["images_per_second"])


def run(name: str, options: argparse.Namespace) -> Row:
    """A whole run by the command line, in a process of its own."""
    folder = options.out / name
    if is_done(folder):  # of another day
        shutil.rmtree(folder)
    words = ["run", *RUNS[name], "--out", str(folder), "--resume"]
    data = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    subprocess.run([sys.executable, "-m", "scholars", *words, *data], check=True)
    results = store.read_json(folder / "results.json")
    return {
        "command": "scholars " + " ".join(words[: 1 + len(RUNS[name])]),
        "runs": {
            one["method"]: {key: one[key] for key in ("average_accuracy", "seconds", "peak_memory_mb")}
            for one in results["runs"]
        },
    }


def check(options: argparse.Namespace) -> int:
    """The number of ratios that are worse, after naming each."""
    if not KEPT.is_file():
        raise SystemExit(f"there is no {KEPT} to compare with: measure without --check first")
    kept = store.read_json(KEPT)
    here = environment(read_recipe("mnist-svhn").compute)
    if here["processor"] != kept["environment"]["processor"]:
        _say(f"the table is of another machine: {kept['environment']['processor']}, this is {here['processor']}")
    before = {name: value for name, value in ratios(kept).items() if not options.only or _chosen(name, options)}
    before = {name: value for name, value in before.items() if options.team or "two processes" not in name}
    fresh = _ratios(options)
    if found := worse(before, fresh):
        _say("measured again: " + "; ".join(found))
        again = _ratios(options)
        fresh = {name: max(value, again.get(name, value)) for name, value in fresh.items()}
        found = worse(before, fresh)
    for name, what in found.items():
        print(f"{name}: {what}")
    if not found:
        print(f"none of {len(before)} ratios is worse")
    return len(found)


def _ratios(options: argparse.Namespace) -> dict[str, float]:
    document = measure(options, whole=False)
    return ratios(document | ({"team": team(options)} if options.team else {}))


def _chosen(name: str, options: argparse.Namespace) -> bool:
    return any(word in name.partition(":")[0] for word in options.only)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each stage in a round")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="stages with such a word in their name")
    parser.add_argument("--team", action="store_true", help="also two processes of one thread against one of two")
    parser.add_argument("--runs", nargs="*", choices=list(RUNS), help="also whole runs; all, if none is named")
    parser.add_argument("--check", action="store_true", help="compare with the table, and write nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/speed"), help="where whole runs are kept")
    options = parser.parse_args()
    if options.check:
        return 1 if check(options) else 0
    document: dict[str, Any] = store.read_json(KEPT) if KEPT.is_file() else {"stages": {}, "yardsticks": {}}
    here = environment(read_recipe("mnist-svhn").compute)
    like = ("processor", "threads", "precision", "packages")
    if options.only and any(document.get("environment", here)[key] != here[key] for key in like):
        raise SystemExit(f"{KEPT} is of another machine, or other versions: measure all, without --only")
    fresh = measure(options)
    document["stages"] |= fresh["stages"]
    document["yardsticks"] |= fresh["yardsticks"]
    document["environment"] = here
    # A part that was measured anew does not make the rest younger.
    began = document["date"].partition(" to ")[0] + " to " if options.only and "date" in document else ""
    document["date"] = began + datetime.now(UTC).date().isoformat()
    if options.team:
        document["team"] = team(options)
    for name in [] if options.runs is None else options.runs or list(RUNS):
        document.setdefault("runs", {})[name] = run(name, options)
    store.write_json(KEPT, document)
    PAGE.write_text(written(document), encoding="utf-8")
    print(f"{KEPT} and {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
