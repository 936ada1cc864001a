"""What a scholar for life costs and keeps: every figure by the command line, in processes of its own.

python benchmarks/lifetime.py --data-dir DIR [--only split mixed ...]

Writes docs/lifetime.md. Rows are kept in benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from scholars import Scholar, open_task, store
from scholars.environment import environment
from scholars.settings import Settings
from scholars.tasks import Task

DOCS = Path(__file__).parent.parent / "docs"
LETTERS = "ABCDEFGHJKLMNPQRTUVWXY"
# Grey digits in grey; of two digits at a time a solver needs to see less.
SHORT = ["image.size=28", "image.channels=1", "solver.steps=600"]


def scholars(*words: str) -> tuple[str, float]:
    """What the command prints, and its seconds from a cold start."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "scholars", *words], check=True, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    return done.stdout, time.perf_counter() - began


def accuracy(folder: Path, options: argparse.Namespace, source: str, *more: str) -> float:
    printed, _ = scholars("evaluate", str(folder), source, *data(options), *more, "--json")
    score: float = json.loads(printed)["results"][0]["accuracy"]
    return score


def data(options: argparse.Namespace) -> list[str]:
    return ["--data-dir", str(options.data_dir)] if options.data_dir else []


def split(options: argparse.Namespace) -> dict[str, Any]:
    """MNIST two digits at a time."""
    folder, seconds = options.out / "split", []
    shutil.rmtree(folder, ignore_errors=True)
    for first in range(0, 10, 2):
        pair = f"{first},{first + 1}"
        settings = ["--set", *SHORT] if not first else []
        _, spent = scholars("learn", str(folder), "mnist", *data(options), "--classes", pair, "--name", pair, *settings)
        seconds.append(round(spent))
    return {"accuracy": accuracy(folder, options, "mnist"), "seconds": seconds}


def mixed(options: argparse.Namespace) -> dict[str, Any]:
    """MNIST, then letters from an image folder: new classes."""
    folder, letters = options.out / "mixed", options.out / "letters"
    shutil.rmtree(folder, ignore_errors=True)
    draw_letters(letters)
    scholars("learn", str(folder), "mnist", *data(options))
    before = accuracy(folder, options, "mnist")
    scholars("learn", str(folder), str(letters))
    return {
        "before": before,
        "accuracy": accuracy(folder, options, "mnist"),
        "letters": accuracy(folder, options, str(letters)),
    }


def draw_letters(folder: Path, each: int = 300) -> None:
    """Letters in the project's fonts, slanted, moved and blurred a little, as files of a folder for each."""
    rng = np.random.default_rng(0)
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuS*.ttf"))
    fonts = [font for font in fonts if "Display" not in font.stem]
    for letter in LETTERS:
        (folder / letter).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.integers(34, 50)))
            page = Image.new("L", (64, 64))
            ImageDraw.Draw(page).text(tuple(rng.integers(26, 38, 2)), letter, fill=255, font=font, anchor="mm")
            page = page.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR).resize((28, 28))
            page.save(folder / letter / f"{number}.png")


def chain(options: argparse.Namespace) -> dict[str, Any]:
    """Ten tasks of equal size, one after the other: seconds and bytes after each."""
    folder, parts = options.out / "chain", options.out / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    street = open_task("street")
    quick = ["solver.steps=200", "generator.r3gan.steps=400", "replay.bank=2000", "audit.dreams=500", "audit.steps=50"]
    seconds, sizes = [], []
    for number in range(10):
        path = parts / f"{number}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        keep = slice(number * 2000, (number + 1) * 2000)
        write_npz(path, street, keep)
        _, spent = scholars("learn", str(folder), str(path), *(["--set", *quick] if not number else []))
        seconds.append(round(spent, 1))
        sizes.append({file.name: file.stat().st_size for file in sorted(folder.iterdir())})
    return {"seconds": seconds, "bytes": sizes, "ratio": round(seconds[9] / seconds[1], 2)}


def write_npz(path: Path, task: Task, keep: slice) -> None:
    arrays: dict[str, Any] = {}
    for part, images in (("train", task.train[keep]), ("test", task.test[:500])):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images.images.transpose(0, 2, 3, 1), images.labels
    np.savez(path, allow_pickle=False, **arrays)


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Predictions a second over 10,000 files, and from a cold start."""
    folder = known(options)
    pictures = options.out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    images = open_task("mnist", data_dir=options.data_dir).resized(3, 32).test.images
    for number, image in enumerate(images[:10_000]):
        Image.fromarray(image.transpose(1, 2, 0)).save(pictures / f"{number}.png")
    one = [scholars("predict", str(folder), str(pictures / "0.png"))[1] for _ in range(5)]
    many = [scholars("predict", str(folder), str(pictures), "--csv")[1] for _ in range(3)]
    imports = {
        code: min(timed([sys.executable, "-c", code]) for _ in range(5))
        for code in ("import torch", "import torch, scholars")
    }
    return {
        "images_per_second": round(10_000 / (min(many) - min(one))),
        "cold": round(min(one), 2),
        "help": round(min(timed([sys.executable, "-m", "scholars", "--help"]) for _ in range(5)), 2),
        "import": round(imports["import torch, scholars"] - imports["import torch"], 3),
    }


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def known(options: argparse.Namespace) -> Path:
    """A scholar of MNIST, then SVHN, learned with default settings."""
    folder: Path = options.scholar or options.out / "known"
    if not folder.is_dir():
        for name in ("mnist", "svhn"):
            scholars("learn", str(folder), name, *data(options))
    return folder


def unfamiliar(options: argparse.Namespace) -> dict[str, Any]:
    """How well images of what was never learned are told from real test images."""
    scholar = Scholar.load(known(options))
    assert scholar.familiarity is not None
    draw_letters(options.out / "letters")
    sources = {
        "letters": open_task(options.out / "letters", size=32, channels=3).train.images,
        "photographs": photographs(),
        "noise": np.random.default_rng(0).integers(0, 256, (2000, 3, 32, 32), dtype=np.uint8),
    }
    real = {
        name: open_task(name, data_dir=options.data_dir).resized(3, 32).test.images[:2000]
        for name in dict.fromkeys(record.name for record in scholar.lineage)
    }
    strange = {
        name: scholar.familiarity.strangeness(*scholar.seen(torch.from_numpy(images[:2000]))).numpy()
        for name, images in {**real, **sources}.items()
    }
    threshold = float(scholar.familiarity.threshold)
    learned = np.concatenate([strange[name] for name in real])
    return {
        "flagged": {name: round(float((values > threshold).mean()), 3) for name, values in strange.items()},
        "auroc": {name: round(auroc(learned, strange[name]), 3) for name in sources},
    }


def auroc(learned: Any, other: Any) -> float:
    truth = np.r_[np.zeros(len(learned)), np.ones(len(other))]
    return float(roc_auc_score(truth, np.r_[learned, other]))


def photographs() -> Any:
    """Pieces of scikit-learn's two photographs."""
    rng, photos, pieces = np.random.default_rng(0), load_sample_images().images, []
    for number in range(2000):
        photo = photos[number % 2]
        side = int(rng.integers(40, 200))
        top, left = (int(rng.integers(0, length - side)) for length in photo.shape[:2])
        piece = Image.fromarray(photo[top : top + side, left : left + side]).resize((32, 32))
        pieces.append(np.asarray(piece).transpose(2, 0, 1))
    return np.stack(pieces)


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "split": split,
    "mixed": mixed,
    "chain": chain,
    "speed": speed,
    "unfamiliar": unfamiliar,
}


def written(rows: dict[str, Any], machine: dict[str, Any]) -> str:
    lines = [
        "# A long life, measured",
        "",
        "Made by `python benchmarks/lifetime.py --data-dir DIR`, seed 0, on: "
        f"{machine['processor']}, {machine['precision']}, torch {machine['packages']['torch']}; in "
        + ", ".join(f"{row['threads']} thread{'s'[: row['threads'] > 1]} ({name})" for name, row in rows.items())
        + ". Accuracies are on real test parts.",
        "",
        "| what | measured | target |",
        "|---|---|---|",
    ]
    if "split" in rows:
        row = rows["split"]
        spent = " + ".join(map(str, row["seconds"]))
        lines.append(
            f"| `learn` MNIST two digits at a time, five processes ({' '.join(SHORT)}; {spent} s): all ten digits at "
            f"the end | {100 * row['accuracy']:.2f} % | 97 % |"
        )
    if "mixed" in rows:
        row = rows["mixed"]
        lines.append(
            f"| MNIST, then {len(LETTERS)} letters from an image folder: digits, among digits and letters | "
            f"{100 * row['before']:.2f} % before, {100 * row['accuracy']:.2f} % after; letters "
            f"{100 * row['letters']:.2f} % | 97 % |"
        )
    if "chain" in rows:
        row = rows["chain"]
        first, last = (sum(row["bytes"][place].values()) for place in (0, -1))
        lines += [
            f"| ten tasks of equal size and classes: seconds of the tenth over the second | {row['ratio']} | 1.3 |",
            f"| the same: bytes of the folder after the first and the tenth | {first:,} and {last:,} | about equal |",
        ]
    if "speed" in rows:
        row = rows["speed"]
        lines += [
            f"| `predict` 10,000 PNG files of 32 x 32, after loading | {row['images_per_second']:,} a second | 2,000 |",
            f"| `predict` one image from a cold start | {row['cold']} s | 3 s |",
            f"| `scholars --help` | {row['help']} s | 0.5 s |",
            f"| `import scholars` beyond `import torch` | {row['import']} s | 0.3 s |",
        ]
    if "unfamiliar" in rows:
        row = rows["unfamiliar"]
        for name, score in row["auroc"].items():
            lines.append(
                f"| MNIST and SVHN learned: {name} told from their test images, AUROC (flagged) | {score:.3f} "
                f"({100 * row['flagged'][name]:.0f} %) | |"
            )
        false = ", ".join(
            f"{name} {100 * row['flagged'][name]:.1f} %" for name in row["flagged"] if name not in row["auroc"]
        )
        lines.append(f"| the same: real test images flagged wrongly | {false} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--scholar", type=Path, help="of MNIST and SVHN; learned if not given")
    parser.add_argument("--out", type=Path, default=Path("runs/lifetime"))
    options = parser.parse_args()
    kept = Path(__file__).parent / "measured" / "lifetime.json"
    rows = store.read_json(kept) if kept.is_file() else {}
    for name in options.only:
        if name not in rows:
            rows[name] = PARTS[name](options) | {"threads": torch.get_num_threads()}
            print(name, json.dumps(rows[name]), flush=True)
            store.write_json(kept, rows)
    (DOCS / "lifetime.md").write_text(written(rows, environment(Settings().compute)), encoding="utf-8")


if __name__ == "__main__":
    main()
