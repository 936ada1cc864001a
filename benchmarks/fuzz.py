"""What every reader makes of what nobody meant it to read: coverage-guided fuzzing, each in a process of its own.

pip install atheris
python benchmarks/fuzz.py --minutes 10 [--readers recipe table ...]

An input may be read or be refused by an InputError. Anything else is a finding: another exception, more than
10 seconds, more than 2 GiB. Inputs that did it, and all that led to new code, are kept in --out.
Writes docs/fuzzing.md with the latest counts of every reader.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DOCS = Path(__file__).parent.parent / "docs"
MEGABYTES, SECONDS = 2048, 10
Reader = Callable[[bytes], object]


def images() -> list[bytes]:
    found = []
    for form, mode in (("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("BMP", "L"), ("TIFF", "I;16")):
        file = io.BytesIO()
        Image.new(mode, (9, 7)).save(file, form)
        found.append(file.getvalue())
    return found


def read_image(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.errors import InputError
    from scholars.tasks.pictures import squares

    def read(data: bytes) -> None:
        (found,) = squares(lambda place: data, ["picture"], 16)
        if isinstance(found, str):
            raise InputError(found)

    return read, images()


def read_recipe(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars import config

    path = home / "recipe.yaml"
    return kept(path, config.read_recipe), [file.read_bytes() for file in config.shipped_recipes().values()]


def read_change(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.config import build, parse_changes
    from scholars.settings import Settings

    def read(data: bytes) -> None:
        build(Settings, {}, parse_changes([data.decode(errors="replace")]), where="--set")

    return read, [
        b"replay.ratio=0.3",
        b"generator.kind=wgan-gp",
        b"generator.own.options={a: [1, 2]}",
        b"image.size=28",
    ]


def read_table(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.tasks.table import read_rows

    return kept(home / "table.csv", read_rows), [
        b"path,label\na/b.png,cat\nc.png,dog\n",
        b"label,split,path\n1,test,x\n",
    ]


def read_arrays(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.tasks.arrays import read_arrays as read

    x, y = np.zeros((3, 4, 4), np.uint8), np.arange(3)
    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, x_train=x, y_train=y, x_test=x, y_test=y, class_names=np.array(["a", "b", "c"]))
        seeds.append(file.getvalue())
    return kept(home / "task.npz", read), seeds


def read_upload(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.serve.uploads import Intake, unpack

    def read(path: Path) -> None:
        target = Path(tempfile.mkdtemp(dir=home))
        try:
            intake = Intake(target)
            unpack(path, intake)
            intake.root()
        finally:
            shutil.rmtree(target)

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", images()[0])
        archive.writestr("b/2.png", images()[0])
    return kept(home / "upload.zip", read), [file.getvalue()]


def read_weights(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars import store
    from scholars.familiarity import Familiarity
    from scholars.weights import load_weights

    def read(path: Path) -> None:
        tensors, _ = store.read_tensors(path)
        load_weights(network, tensors, "solver") if "dreams" not in tensors else Familiarity.from_tensors(
            tensors, 64, "familiarity"
        )

    scholar = small()
    network = scholar.solver
    scholar.save(home / "scholar")
    seeds = [(home / "scholar" / f"{part}.safetensors").read_bytes() for part in ("solver", "familiarity")]
    return kept(home / "weights.safetensors", read), seeds


def read_description(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.scholar import Scholar

    small().save(home / "scholar")
    path = home / "scholar" / "scholar.json"
    seed = path.read_bytes()
    return kept(path, lambda path: Scholar.load(path.parent)), [seed, json.dumps(json.loads(seed)).encode()]


def read_results(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.report.results import read

    run = {"seed": 0, "method": "replay", "accuracy": [[0.5, None], [0.5, 0.9]], "seconds": 1.5}
    document = {"schema": 1, "recipe": "r", "tasks": ["a", "b"], "seeds": [0], "generator": "flow", "runs": [run]}
    document["summary"] = {"replay": {"average_accuracy": {"mean": 0.7, "n": 1}, "gap_closed": None}}
    return kept(home / "results.json", lambda path: read(path.parent)), [json.dumps(document).encode()]


def read_ticks(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.report.illustrate import read_ticks as read

    line = {"seed": 0, "method": "replay", "task": "a", "stage": "solver", "step": 1, "metrics": {"loss": 0.5}}
    return kept(home / "metrics.jsonl", lambda path: read(path.parent)), [(json.dumps(line) + "\n").encode() * 2]


def read_samples(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.keepsakes import keep_samples
    from scholars.keepsakes import read_samples as read
    from scholars.tasks import Images, Task

    some = Images(np.zeros((2, 1, 8, 8), np.uint8), np.arange(2))
    keep_samples(home, [Task("task", ("a", "b"), some, some)])
    path = home / "samples.safetensors"
    return kept(path, lambda path: read(path.parent)), [path.read_bytes()]


def read_checkpoint(home: Path) -> tuple[Reader, list[bytes]]:
    import torch

    from scholars import checkpoints, store

    path = home / "solver.safetensors"
    store.write_tensors(path, checkpoints.packed({"module/weight": torch.randn(32, 16), "step": torch.tensor(3)}))
    return kept(path, lambda path: checkpoints.unpacked(store.read_tensors(path)[0], path)), [path.read_bytes()]


READERS: dict[str, Callable[[Path], tuple[Reader, list[bytes]]]] = {
    "recipe": read_recipe,
    "change": read_change,
    "table": read_table,
    "arrays": read_arrays,
    "image": read_image,
    "upload": read_upload,
    "description": read_description,
    "weights": read_weights,
    "checkpoint": read_checkpoint,
    "results": read_results,
    "ticks": read_ticks,
    "samples": read_samples,
}
WHAT = {
    "recipe": "recipes (YAML)",
    "change": "`--set KEY=VALUE`",
    "table": "tables of pictures (CSV)",
    "arrays": "arrays (`.npz`)",
    "image": "images (PNG, JPEG, WebP, BMP, TIFF, GIF)",
    "upload": "zip files sent to the studio",
    "description": "`scholar.json`, with its weights beside it",
    "weights": "weights of solver and familiarity (safetensors)",
    "checkpoint": "unfinished trainings (safetensors)",
    "results": "`results.json`",
    "ticks": "`metrics.jsonl`",
    "samples": "a run's kept images (safetensors)",
}


def small() -> Any:
    from scholars import learn
    from scholars.config import build
    from scholars.settings import Settings
    from scholars.tasks import Images, Task

    some = Images(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8), np.arange(40) % 2)
    tiny: dict[str, Any] = {"image": {"size": 8, "channels": 1}, "solver": {"width": 4, "steps": 1, "batch": 8}}
    tiny |= {"generator": {"kind": "gan", "gan": {"width": 4, "steps": 1, "batch": 8}}, "familiarity": {"dreams": 30}}
    return learn(Task("task", ("a", "b"), some, some), settings=build(Settings, tiny, {}, where="fuzz"))


def kept(path: Path, read: Callable[[Path], object]) -> Reader:
    """A reader of bytes, from one of files."""

    def written(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return written


def fuzz(name: str, seconds: int, out: Path) -> None:
    """In a process of its own: ends by itself after ``seconds``, its counts in a file."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["scholars", "yaml", "csv", "zipfile", "json"]):
        from scholars.errors import InputError

        home = Path(tempfile.mkdtemp(dir=os.environ.get("FUZZ_HOME")))
        read, seeds = READERS[name](home)
    warnings.simplefilter("ignore")
    corpus, findings = out / "corpus" / name, out / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    counts: dict[str, Any] = {"inputs": 0, "read": 0, "refused": 0, "findings": {}}

    def one(data: bytes) -> None:
        counts["inputs"] += 1
        try:
            read(data)
            counts["read"] += 1
        except InputError:
            counts["refused"] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(where.filename).name}, {where.name}"
            if kind not in counts["findings"]:
                (findings / f"{len(counts['findings'])}.bin").write_bytes(data)
                (findings / f"{len(counts['findings'])}.txt").write_text(traceback.format_exc())
            counts["findings"][kind] = counts["findings"].get(kind, 0) + 1
        if counts["inputs"] % 500 == 0:
            counts["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            (out / f"{name}.json").write_text(json.dumps(counts))

    limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", "-max_len=65536"]
    quiet = ["-verbosity=0", "-print_final_stats=0", f"-artifact_prefix={findings}/"]
    atheris.Setup([sys.argv[0], *limits, *quiet, str(corpus)], one, enable_python_coverage=True)
    atheris.Fuzz()


def written(rows: dict[str, dict[str, Any]], machine: dict[str, Any]) -> str:
    total = sum(row["inputs"] for row in rows.values())
    lines = [
        "# Fuzzing",
        "",
        f"Made by `python benchmarks/fuzz.py` on {datetime.now(UTC):%Y-%m-%d}, on: "
        f"{machine['processor']}, Python {machine['python']}, torch {machine['packages']['torch']}, and atheris,",
        "which changes valid files so that ever more of the code that reads them is reached. An input may be read, or",
        f"refused with a message. Findings are any other exception, more than {SECONDS} seconds, or more than "
        f"{MEGABYTES:,} MB of memory, PyTorch and the fuzzer's own included.",
        "",
        "| reader of | seconds | inputs | read | refused | peak MB | findings |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        found = "; ".join(f"{kind} ({count})" for kind, count in row["findings"].items()) or "none"
        figures = " | ".join(f"{row[key]:,}" for key in ("seconds", "inputs", "read", "refused", "megabytes"))
        lines.append(f"| {WHAT[name]} | {figures} | {found} |")
    return "\n".join([*lines, f"| **all** | | **{total:,}** | | | | |", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    seconds = round(60 * options.minutes / len(options.readers))
    if options.one:
        fuzz(options.one, round(60 * options.minutes), options.out)
        return
    from scholars.environment import environment
    from scholars.settings import Settings

    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.readers:
        kept_counts = options.out / f"{name}.json"
        kept_counts.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as home:
            words = [sys.executable, __file__, "--one", name, "--minutes", str(seconds / 60), "--out", str(options.out)]
            with (options.out / f"{name}.log").open("w") as log:
                ended = subprocess.run(
                    words, check=False, env={**os.environ, "FUZZ_HOME": home}, stdout=log, stderr=log
                )
        row = json.loads(kept_counts.read_text()) | {"seconds": seconds}
        if ended.returncode:
            row["findings"][f"ended with code {ended.returncode}: see {name}.log"] = 1
        kept_counts.write_text(json.dumps(row))
        print(name, json.dumps(row), flush=True)
    found = {name: options.out / f"{name}.json" for name in READERS}
    rows = {name: json.loads(path.read_text()) for name, path in found.items() if path.is_file()}
    (DOCS / "fuzzing.md").write_text(written(rows, environment(Settings().compute)), encoding="utf-8")


if __name__ == "__main__":
    main()
