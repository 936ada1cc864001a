"""Split MNIST beside a peer: Avalanche's GenerativeReplay, on the same data and machine, one process after the other.

python benchmarks/peers.py --data-dir DIR [--seeds 0 1 2] [--epochs 1 4 10]

Avalanche gets an environment of its own under --out. The two take turns, seed by seed, with as many threads each (set
OMP_NUM_THREADS for fewer than there are cores). Both are timed from the training of the first task to the end of the
last; Scholars without the audit, which is no part of learning. Writes docs/peers.md; with `--seeds` and no number, from
kept rows only. Rows are kept in benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import venv
from pathlib import Path
from statistics import fmean
from typing import Any

from measuring import pages

from scholars import Scholar, open_task
from scholars.evaluation.accuracy import accuracy
from scholars.evaluation.metrics import interval
from scholars.storage import files

PEER = "avalanche-lib==0.6.0"
# What follows `scholars run`: as short as the peer's shortest, and a minute of two cores.
SHORT = (
    "split-mnist-small --set solver.width=12 solver.steps=70 solver.batch=32 replay.bank=1500 generator.width=12 "
    "generator.steps=240 generator.batch=16 generator.rate=0.005 generator.critic_rate=0.005"
)
SETTINGS = (SHORT, "split-mnist-small")


def peer_python(out: Path) -> Path:
    """Return the interpreter of an environment that has Avalanche; make it at the first call."""
    home = out / "avalanche"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
        (home / "ready").touch()
    return python


def measure_avalanche(out: Path, data_dir: Path, epochs: int, seed: int) -> dict[str, Any]:
    script = Path(__file__).with_name("peers_avalanche.py")
    row: dict[str, Any] = pages.run_json(script, data_dir, epochs, seed, python=peer_python(out))
    return row


def measure_scholars(out: Path, data_dir: Path, setting: str, seed: int) -> dict[str, Any]:
    folder = out / f"{SETTINGS.index(setting)}-{seed}"
    words = ["run", *setting.split(), "--out", folder, "--data-dir", data_dir, "--methods", "replay"]
    pages.scholars(*words, "--seed", seed, "--set", "audit.dreams=0", "--resume", stdout=subprocess.DEVNULL)
    found = files.read_json(folder / "results.json")
    score = accuracy(Scholar.load(folder / "scholars" / "5"), open_task("mnist", data_dir=data_dir))
    conditions = {"threads": found["environment"]["threads"], "torch": found["environment"]["packages"]["torch"]}
    return {"accuracy": score, "seconds": round(found["runs"][0]["seconds"], 1), **conditions}


def format_page(document: dict[str, Any]) -> list[str]:
    """Return the lines of the page. Raises SystemExit where numbers of threads differ: rows cannot be compared."""
    rows = sorted(document["rows"], key=lambda row: float(row["seconds"]))
    if len(threads := {row["threads"] for row in rows}) > 1:
        raise SystemExit(f"rows of {' and '.join(map(str, sorted(threads)))} threads: remove those of the one or other")
    groups: dict[tuple[str, str | int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["system"], row["setting"]), []).append(row)
    return [
        "# Comparison with Avalanche",
        "",
        "Split MNIST, five tasks of two digits, class-incremental, nothing stored but generator and classifier.",
        f"Avalanche's `GenerativeReplay` (`{PEER}`, its default VAE, `SimpleMLP`, Adam, batches of 100) and Scholars",
        "took turns on one machine. Accuracy in % over all ten digits after the last task, mean and half width of the",
        "95 % interval over seeds.",
        "",
        f"Made by `python benchmarks/peers.py --data-dir DIR`, ended on {document['date']}: "
        f"{document['environment']['processor']}, {threads.pop()} thread(s) each.",
        "",
        *pages.table(
            "system | setting | accuracy | seconds of training | seeds | torch",
            (group_cells(system, setting, own) for (system, setting), own in groups.items()),
        ),
        "The settings after a recipe's name shorten it to about Avalanche's shortest time; they were chosen on",
        "held-out training images. Avalanche's strategy has its defaults: it was not tuned beyond the epochs.",
    ]


def group_cells(system: str, setting: str | int, rows: list[dict[str, Any]]) -> list[object]:
    scores = [100 * row["accuracy"] for row in rows]
    half = interval(scores)
    return [
        system,
        f"`{setting}`" if isinstance(setting, str) else f"{pages.count(setting, 'epoch')} a task",
        f"{fmean(scores):.2f}" + ("" if half is None else f" ± {half:.2f}"),
        f"{fmean(row['seconds'] for row in rows):.0f}",
        len(rows),
        ", ".join(sorted({row["torch"] for row in rows})),
    ]


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 4, 10])
    parser.add_argument("--out", type=Path, default=Path("runs/peers"))
    options = parser.parse_args()
    document = pages.read_kept("peers", rows=[])
    rows: list[dict[str, Any]] = document["rows"]
    pairs = [*(("Scholars", name) for name in SETTINGS), *(("Avalanche", epochs) for epochs in options.epochs)]
    for seed, (system, setting) in itertools.product(options.seeds, pairs):
        if any((row["system"], row["setting"], row["seed"]) == (system, setting, seed) for row in rows):
            continue
        pages.check_machine("peers", document)
        measure = measure_scholars if system == "Scholars" else measure_avalanche
        found = measure(options.out, options.data_dir, setting, seed)
        rows.append({"system": system, "setting": setting, "seed": seed, **found})
        print(json.dumps(rows[-1]), flush=True)
        pages.write_kept("peers", document)
    pages.write_page("peers", format_page(document))


if __name__ == "__main__":
    main()
