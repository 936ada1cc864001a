"""Split MNIST beside a peer: Avalanche's GenerativeReplay, on the same data and machine, one process after the other.

python benchmarks/peers.py --data-dir DIR [--seeds 0 1 2] [--epochs 1 4 10]

Avalanche gets an environment of its own under --out. The two take turns, seed by seed, with as many threads each (set
OMP_NUM_THREADS for fewer than there are cores). Both are timed from the training of the first task to the end of the
last; Scholars without the audit, which is no part of learning. Writes docs/peers.md. Rows are kept in
benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from scholars import Scholar, open_task, store
from scholars.environment import environment
from scholars.evaluate import accuracy, interval
from scholars.settings import Settings

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PEER = "avalanche-lib==0.6.0"
# What follows `scholars run`: as short as the peer's shortest, and a minute of two cores.
SHORT = (
    "split-mnist-small --set solver.width=12 solver.steps=70 solver.batch=32 replay.bank=1500 generator.gan.width=12 "
    "generator.gan.steps=240 generator.gan.batch=16 generator.gan.rate=0.005 generator.gan.critic_rate=0.005"
)
SETTINGS = (SHORT, "split-mnist-small")


def peer_python(out: Path) -> Path:
    """The interpreter of an environment that has Avalanche."""
    home = out / "avalanche"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
        (home / "ready").touch()
    return python


def peer(out: Path, data_dir: Path, epochs: int, seed: int) -> dict[str, Any]:
    command = [str(peer_python(out)), str(HERE / "peers_avalanche.py"), str(data_dir), str(epochs), str(seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def ours(out: Path, data_dir: Path, setting: str, seed: int) -> dict[str, Any]:
    folder = out / f"{SETTINGS.index(setting)}-{seed}"
    words = ["run", *setting.split(), "--out", str(folder), "--data-dir", str(data_dir), "--methods", "replay"]
    words += ["--seed", str(seed), "--set", "audit.dreams=0", "--resume"]
    subprocess.run([sys.executable, "-m", "scholars", *words], check=True, stdout=subprocess.DEVNULL)
    found = store.read_json(folder / "results.json")
    score = accuracy(Scholar.load(folder / "scholars" / "5"), open_task("mnist", data_dir=data_dir))
    conditions = {"threads": found["environment"]["threads"], "torch": found["environment"]["packages"]["torch"]}
    return {"accuracy": score, "seconds": round(found["runs"][0]["seconds"], 1), **conditions}


def written(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """The page; raises SystemExit where rows were measured with different threads: they cannot be compared."""
    if len(threads := {row["threads"] for row in rows}) > 1:
        raise SystemExit(f"rows of {' and '.join(map(str, sorted(threads)))} threads: remove those of the one or other")
    lines = [
        "# Comparison with Avalanche",
        "",
        "Split MNIST, five tasks of two digits, class-incremental, nothing stored but generator and classifier.",
        f"Avalanche's `GenerativeReplay` (`{PEER}`, its default VAE, `SimpleMLP`, Adam, batches of 100) and Scholars",
        "took turns on one machine. Accuracy in % over all ten digits after the last task, mean and half width of the",
        "95 % interval over seeds.",
        "",
        f"Made by `python benchmarks/peers.py --data-dir DIR`, ended on {machine['date']}: {machine['processor']}, "
        f"{threads.pop()} thread(s) each.",
        "",
        "| system | setting | accuracy | seconds of training | seeds | torch |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str | int], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["seconds"]):
        groups.setdefault((row["system"], row["setting"]), []).append(row)
    for (system, setting), own in groups.items():
        scores = [100 * row["accuracy"] for row in own]
        half = interval(scores)
        shown = f"`{setting}`" if isinstance(setting, str) else f"{setting} epoch{'s'[: setting != 1]} a task"
        spread = "" if half is None else f" ± {half:.2f}"
        seconds = fmean(row["seconds"] for row in own)
        lines.append(
            f"| {system} | {shown} | {fmean(scores):.2f}{spread} | {seconds:.0f} | {len(own)} | "
            f"{', '.join(sorted({row['torch'] for row in own}))} |"
        )
    lines += [
        "",
        "The settings after a recipe's name shorten it to about Avalanche's shortest time; they were chosen on",
        "held-out training images. Avalanche's strategy has its defaults: it was not tuned beyond the epochs.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 4, 10])
    parser.add_argument("--out", type=Path, default=Path("runs/peers"))
    options = parser.parse_args()
    kept = Path(__file__).parent / "measured" / "peers.json"
    rows: list[dict[str, Any]] = store.read_json(kept)["rows"] if kept.is_file() else []
    for seed in options.seeds:
        for system, setting in [
            *(("Scholars", name) for name in SETTINGS),
            *(("Avalanche", n) for n in options.epochs),
        ]:
            if any((row["system"], row["setting"], row["seed"]) == (system, setting, seed) for row in rows):
                continue
            measure = ours if system == "Scholars" else peer
            found = measure(options.out, options.data_dir, setting, seed)
            rows.append({"system": system, "setting": setting, "seed": seed, **found})
            print(json.dumps(rows[-1]), flush=True)
            machine = {**environment(Settings().compute), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
            store.write_json(kept, {"rows": rows, "environment": machine})
            (DOCS / "peers.md").write_text(written(rows, machine), encoding="utf-8")


if __name__ == "__main__":
    main()
