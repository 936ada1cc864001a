"""Coverage-guided fuzzing of everything that reads files and requests, each reader in a process of its own.

pip install atheris
python benchmarks/fuzz.py --minutes 10 [--readers recipe table ...]

An input may be read, or refused by a ScholarsError. Anything else is a finding: another exception, more than 10
seconds, more than 2 GiB. Inputs that did it, and all that led to new code, are kept in --out.
Writes docs/fuzzing.md with the latest counts of every reader.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MEGABYTES, SECONDS = 2048, 10
TINY = {"width": 4, "steps": 1, "batch": 8}
Reader = Callable[[bytes], object]


def image_files() -> list[bytes]:
    found = []
    for form, mode in (("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("BMP", "L"), ("TIFF", "I;16")):
        file = io.BytesIO()
        Image.new(mode, (9, 7)).save(file, form)
        found.append(file.getvalue())
    return found


def image_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.errors import InputError
    from scholars.tasks.decoding import decode_squares

    def read(data: bytes) -> None:
        (found,) = decode_squares(lambda place: data, ["picture"], 16, "crop")
        if isinstance(found, str):
            raise InputError(found)

    return read, image_files()


def recipe_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.experiments.recipe import read_recipe, shipped_recipes

    return file_reader(home / "recipe.yaml", read_recipe), [file.read_bytes() for file in shipped_recipes().values()]


def change_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars import Settings, changed
    from scholars.settings.overrides import parse_changes

    def read(data: bytes) -> None:
        changed(Settings(), parse_changes([data.decode(errors="replace")]))

    return read, [
        b"replay.ratio=0.3",
        b"generator.kind=wgan-gp",
        b"solver.options={a: [1, 2]}",
        b"image.size=28",
    ]


def table_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.tasks.csv_table import read_rows

    return file_reader(home / "table.csv", read_rows), [
        b"path,label\na/b.png,cat\nc.png,dog\n",
        b"label,split,path\n1,test,x\n",
    ]


def arrays_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.tasks.npz import read_npz

    x, y = np.zeros((3, 4, 4), np.uint8), np.arange(3)
    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, x_train=x, y_train=y, x_test=x, y_test=y, class_names=np.array(["a", "b", "c"]))
        seeds.append(file.getvalue())
    return file_reader(home / "task.npz", read_npz), seeds


def archive_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.studio.uploads import check_archive
    from scholars.tasks.open import open_task

    def read(path: Path) -> None:
        check_archive(path)
        open_task(path, size=4)

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", image_files()[0])
        archive.writestr("b/2.png", image_files()[0])
    return file_reader(home / "upload.zip", read), [file.getvalue()]


def weights_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.ood import OODDetector
    from scholars.storage import files
    from scholars.storage.weights import load_weights

    def read(path: Path) -> None:
        tensors, _ = files.read_tensors(path)
        if "dreams" in tensors:
            OODDetector.from_tensors(tensors, scholar.ood.tensors()["dreams"].shape[1], "ood")
        else:
            load_weights(scholar.solver, tensors, "solver")

    scholar = small_scholar()
    scholar.save(home / "scholar")
    seeds = [(home / "scholar" / f"{part}.safetensors").read_bytes() for part in ("solver", "ood")]
    return file_reader(home / "weights.safetensors", read), seeds


def description_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.scholar import Scholar

    small_scholar().save(home / "scholar")
    path = home / "scholar" / "scholar.json"
    seed = path.read_bytes()
    return file_reader(path, lambda path: Scholar.load(path.parent)), [seed, json.dumps(json.loads(seed)).encode()]


def results_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.report.results import read_results

    run = {"seed": 0, "method": "replay", "accuracy": [[0.5, None], [0.5, 0.9]], "seconds": 1.5}
    document = {"schema": 1, "recipe": "r", "tasks": ["a", "b"], "seeds": [0], "generator": "flow", "runs": [run]}
    document["summary"] = {"replay": {"average_accuracy": {"mean": 0.7, "n": 1}, "gap_closed": None}}
    return file_reader(home / "results.json", lambda path: read_results(path.parent)), [json.dumps(document).encode()]


def ticks_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.report.figures import read_ticks

    line = {"seed": 0, "method": "replay", "task": "a", "stage": "solver", "step": 1, "metrics": {"loss": 0.5}}
    return file_reader(home / "metrics.jsonl", lambda path: read_ticks(path.parent)), [
        (json.dumps(line) + "\n").encode() * 2
    ]


def samples_reader(home: Path) -> tuple[Reader, list[bytes]]:
    from scholars.experiments.samples import read_samples, save_samples
    from scholars.tasks.images import Images
    from scholars.tasks.task import Task

    some = Images(np.zeros((2, 1, 8, 8), np.uint8), np.arange(2))
    save_samples(home, [Task("task", ("a", "b"), some, some)], "crop")
    path = home / "samples.safetensors"
    return file_reader(path, lambda path: read_samples(path.parent)), [path.read_bytes()]


def checkpoint_reader(home: Path) -> tuple[Reader, list[bytes]]:
    import torch

    from scholars.training import checkpoints

    path, module = home / "solver.safetensors", torch.nn.Linear(16, 32)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(2, 16)).sum().backward()
    optimizer.step()
    checkpoints.save(path, {"module": module}, {"optimizer": optimizer}, {"position": "solver", "step": "1"})
    return file_reader(path, lambda path: checkpoints.read(path, "solver")), [path.read_bytes()]


# Name -> what makes the reader and its first inputs, and what it reads.
READERS: dict[str, tuple[Callable[[Path], tuple[Reader, list[bytes]]], str]] = {
    "recipe": (recipe_reader, "recipes (YAML)"),
    "change": (change_reader, "`--set KEY=VALUE`"),
    "table": (table_reader, "tables of pictures (CSV)"),
    "arrays": (arrays_reader, "arrays (`.npz`)"),
    "image": (image_reader, "images (PNG, JPEG, WebP, BMP, TIFF, GIF)"),
    "archive": (archive_reader, "zip files, and those sent to the studio"),
    "description": (description_reader, "`scholar.json`, with its weights beside it"),
    "weights": (weights_reader, "weights of solver and out-of-distribution detector (safetensors)"),
    "checkpoint": (checkpoint_reader, "unfinished trainings (safetensors)"),
    "results": (results_reader, "`results.json`"),
    "ticks": (ticks_reader, "`metrics.jsonl`"),
    "samples": (samples_reader, "a run's kept images (safetensors)"),
}


def small_scholar() -> Any:
    from scholars import Images, Settings, Task, changed, learn

    changes = {"image.size": 8, "image.channels": 1, "generator.kind": "gan", "ood.dreams": 30}
    changes |= {f"{part}.{key}": value for part in ("solver", "generator") for key, value in TINY.items()}
    some = Images(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8), np.arange(40) % 2)
    return learn(Task("task", ("a", "b"), some, some), settings=changed(Settings(), changes))


def file_reader(path: Path, read: Callable[[Path], object]) -> Reader:
    """Return a reader of bytes: writes them to ``path``, and reads that."""

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read


def fuzz(name: str, seconds: int, out: Path) -> None:
    """Fuzz one reader until ``seconds`` are over, and this process with them; its counts are in a file."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["scholars", "yaml", "csv", "zipfile", "json"]):
        from scholars.errors import ScholarsError

        home = Path(tempfile.mkdtemp(dir=os.environ.get("FUZZ_HOME")))
        read, seeds = READERS[name][0](home)
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
        except ScholarsError:
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


def format_page(rows: dict[str, dict[str, Any]]) -> list[str]:
    from measuring import pages

    machine = pages.this_machine()
    total = sum(row["inputs"] for row in rows.values())
    figures = ("seconds", "inputs", "read", "refused", "megabytes")

    def findings(row: dict[str, Any]) -> str:
        return "; ".join(f"{kind} ({count})" for kind, count in row["findings"].items()) or "none"

    return [
        "# Fuzzing",
        "",
        f"Made by `python benchmarks/fuzz.py` on {pages.today()}, on: "
        f"{machine['processor']}, Python {machine['python']}, torch {machine['packages']['torch']}, and atheris,",
        "which changes valid files so that ever more of the code that reads them is reached. An input may be read, or",
        f"refused with a message. Findings are any other exception, more than {SECONDS} seconds, or more than "
        f"{MEGABYTES:,} MB of memory, PyTorch and the fuzzer's own included.",
        "",
        *pages.table(
            "reader of | seconds | inputs | read | refused | peak MB | findings",
            [
                *(
                    (READERS[name][1], *(f"{row[key]:,}" for key in figures), findings(row))
                    for name, row in rows.items()
                ),
                ("**all**", "", f"**{total:,}**", "", "", "", ""),
            ],
        ),
    ]


def main() -> None:
    # `measuring` imports scholars, which atheris is to import itself: not at the top.
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        fuzz(options.one, round(60 * options.minutes), options.out)
        return
    seconds = round(60 * options.minutes / len(options.readers))
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.readers:
        counts = options.out / f"{name}.json"
        counts.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as home:
            words = [sys.executable, __file__, "--one", name, "--minutes", str(seconds / 60), "--out", str(options.out)]
            env = {**os.environ, "FUZZ_HOME": home}
            with (options.out / f"{name}.log").open("w") as log:
                ended = subprocess.run(words, check=False, env=env, stdout=log, stderr=log)
        row = json.loads(counts.read_text()) | {"seconds": seconds}
        if ended.returncode:
            row["findings"][f"ended with code {ended.returncode}: see {name}.log"] = 1
        counts.write_text(json.dumps(row))
        print(name, json.dumps(row), flush=True)
    from measuring import pages

    paths = {name: options.out / f"{name}.json" for name in READERS}
    pages.write_page(
        "fuzzing", format_page({name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()})
    )


if __name__ == "__main__":
    main()
