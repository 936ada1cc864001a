"""What a scholar that learns task after task costs and keeps: every figure by the command line.

python benchmarks/lifetime.py --data-dir DIR [--only split mixed ...]

Each command runs in a process of its own. Writes docs/lifetime.md; with `--only` and no name, from kept rows only.
Rows are kept in benchmarks/measured and not measured twice: remove one to measure it anew.
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
from measuring import pages
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from scholars import Scholar, open_task
from scholars.tasks.task import Task

LETTERS = "ABCDEFGHJKLMNPQRTUVWXY"


def scholars(*words: object) -> tuple[str, float]:
    """Run a command; return what it prints, and its seconds from a cold start."""
    began = time.perf_counter()
    printed = pages.scholars(*words, stdout=subprocess.PIPE, text=True).stdout
    return printed, time.perf_counter() - began


def accuracy(folder: Path, options: argparse.Namespace, source: str, *more: str) -> float:
    printed, _ = scholars("evaluate", folder, source, *data(options), *more, "--json")
    score: float = json.loads(printed)["results"][0]["accuracy"]
    return score


def data(options: argparse.Namespace) -> list[str]:
    return ["--data-dir", str(options.data_dir)] if options.data_dir else []


def split(options: argparse.Namespace) -> dict[str, Any]:
    """Learn MNIST two digits at a time."""
    folder, seconds = options.out / "split", []
    shutil.rmtree(folder, ignore_errors=True)
    for first in range(0, 10, 2):
        pair = f"{first},{first + 1}"
        _, spent = scholars("learn", folder, "mnist", *data(options), "--classes", pair, "--name", pair)
        seconds.append(round(spent))
    return {"accuracy": accuracy(folder, options, "mnist"), "seconds": seconds}


def mixed(options: argparse.Namespace) -> dict[str, Any]:
    """Learn MNIST, then letters from an image folder: new classes."""
    folder, letters = options.out / "mixed", options.out / "letters"
    shutil.rmtree(folder, ignore_errors=True)
    draw_letters(letters)
    scholars("learn", folder, "mnist", *data(options))
    before = accuracy(folder, options, "mnist")
    scholars("learn", folder, letters)
    return {
        "before": before,
        "accuracy": accuracy(folder, options, "mnist"),
        "letters": accuracy(folder, options, str(letters)),
    }


def draw_letters(folder: Path, each: int = 300) -> None:
    """Write pictures of letters, slanted, moved and blurred a little, to a folder for each."""
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
    """Learn ten tasks of equal size, one after the other; return seconds and bytes after each."""
    folder, parts = options.out / "chain", options.out / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    street = open_task("street")
    quick = ["solver.steps=200", "generator.steps=400", "replay.bank=2000", "audit.dreams=500", "audit.steps=50"]
    seconds, sizes = [], []
    for number in range(10):
        path = parts / f"{number}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        keep = slice(number * 2000, (number + 1) * 2000)
        write_npz(path, street, keep)
        _, spent = scholars("learn", folder, path, *(["--set", *quick] if not number else []))
        seconds.append(round(spent, 1))
        sizes.append({file.name: file.stat().st_size for file in sorted(folder.iterdir())})
    return {"seconds": seconds, "bytes": sizes, "ratio": round(seconds[9] / seconds[1], 2)}


def write_npz(path: Path, task: Task, keep: slice) -> None:
    arrays: dict[str, Any] = {}
    for part, images in (("train", task.train[keep]), ("test", task.test[:500])):
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images.images.transpose(0, 2, 3, 1), images.labels
    np.savez(path, allow_pickle=False, **arrays)


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Measure predictions a second over 10,000 files, and seconds from a cold start."""
    folder = learned(options)
    pictures = options.out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    images = open_task("mnist", data_dir=options.data_dir).resized(3, 32).test.images
    for number, image in enumerate(images[:10_000]):
        Image.fromarray(image.transpose(1, 2, 0)).save(pictures / f"{number}.png")
    one = [scholars("predict", folder, pictures / "0.png")[1] for _ in range(5)]
    many = [scholars("predict", folder, pictures, "--csv")[1] for _ in range(3)]
    imports = {
        code: min(run_seconds([sys.executable, "-c", code]) for _ in range(5))
        for code in ("import torch", "import torch, scholars")
    }
    return {
        "images_per_second": round(10_000 / (min(many) - min(one))),
        "cold": round(min(one), 2),
        "help": round(min(run_seconds([sys.executable, "-m", "scholars", "--help"]) for _ in range(5)), 2),
        "import": round(imports["import torch, scholars"] - imports["import torch"], 3),
    }


def run_seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def learned(options: argparse.Namespace) -> Path:
    """Return the folder of a scholar of MNIST, then SVHN, learned with default settings."""
    folder: Path = options.scholar or options.out / "learned"
    if not folder.is_dir():
        for name in ("mnist", "svhn"):
            scholars("learn", folder, name, *data(options))
    return folder


def unfamiliar(options: argparse.Namespace) -> dict[str, Any]:
    """Measure how well images of classes that were never learned are distinguished from real test images."""
    scholar = Scholar.load(learned(options))
    assert scholar.ood is not None
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
    scores = {
        name: scholar.ood.score(*scholar.features_and_logits(torch.from_numpy(images[:2000]))).numpy()
        for name, images in {**real, **sources}.items()
    }
    threshold = float(scholar.ood.threshold)
    known = np.concatenate([scores[name] for name in real])
    return {
        "flagged": {name: round(float((values > threshold).mean()), 3) for name, values in scores.items()},
        "auroc": {name: round(auroc(known, scores[name]), 3) for name in sources},
    }


def auroc(known: Any, other: Any) -> float:
    truth = np.r_[np.zeros(len(known)), np.ones(len(other))]
    return float(roc_auc_score(truth, np.r_[known, other]))


def photographs() -> Any:
    """Cut pieces of scikit-learn's two photographs, ``[2000, 3, 32, 32]`` uint8."""
    rng, photos, pieces = np.random.default_rng(0), load_sample_images().images, []
    for number in range(2000):
        photo = photos[number % 2]
        side = int(rng.integers(40, 200))
        top, left = (int(rng.integers(0, length - side)) for length in photo.shape[:2])
        piece = Image.fromarray(photo[top : top + side, left : left + side]).resize((32, 32))
        pieces.append(np.asarray(piece).transpose(2, 0, 1))
    return np.stack(pieces)


def format_page(document: dict[str, Any]) -> list[str]:
    rows: dict[str, Any] = document["rows"]
    threads = ", ".join(f"{pages.count(row['threads'], 'thread')} ({name})" for name, row in rows.items())
    return [
        "# A long life, measured",
        "",
        "Made by `python benchmarks/lifetime.py --data-dir DIR`, seed 0, on: "
        f"{pages.describe_machine(document, 'precision')}; in {threads}. Accuracies are on real test parts.",
        "",
        *pages.table(
            "what | measured | target",
            (line for name, (_, lines) in PARTS.items() if name in rows for line in lines(rows[name])),
        ),
    ]


Lines = list[tuple[str, object, object]]


def split_lines(row: dict[str, Any]) -> Lines:
    what = (
        f"`learn` MNIST two digits at a time, five processes ({row.get('settings', 'no settings')}; "
        f"{' + '.join(map(str, row['seconds']))} s): all ten digits at the end"
    )
    return [(what, f"{100 * row['accuracy']:.2f} %", "97 %")]


def mixed_lines(row: dict[str, Any]) -> Lines:
    what = f"MNIST, then {len(LETTERS)} letters from an image folder: digits, among digits and letters"
    before, after, letters = (f"{100 * row[key]:.2f} %" for key in ("before", "accuracy", "letters"))
    return [(what, f"{before} before, {after} after; letters {letters}", "97 %")]


def chain_lines(row: dict[str, Any]) -> Lines:
    first, last = (f"{sum(row['bytes'][place].values()):,}" for place in (0, -1))
    return [
        ("ten tasks of equal size and classes: seconds of the tenth over the second", row["ratio"], 1.3),
        ("the same: bytes of the folder after the first and the tenth", f"{first} and {last}", "about equal"),
    ]


def speed_lines(row: dict[str, Any]) -> Lines:
    files = "`predict` 10,000 PNG files of 32 x 32, after loading"
    return [
        (files, f"{row['images_per_second']:,} a second", "2,000"),
        ("`predict` one image from a cold start", f"{row['cold']} s", "3 s"),
        ("`scholars --help`", f"{row['help']} s", "0.5 s"),
        ("`import scholars` beyond `import torch`", f"{row['import']} s", "0.3 s"),
    ]


def unfamiliar_lines(row: dict[str, Any]) -> Lines:
    flagged = {name: 100 * share for name, share in row["flagged"].items()}
    wrongly = ", ".join(f"{name} {share:.1f} %" for name, share in flagged.items() if name not in row["auroc"])
    what = "MNIST and SVHN learned: {} told from their test images, AUROC (flagged)"
    return [
        *((what.format(name), f"{auc:.3f} ({flagged[name]:.0f} %)", "") for name, auc in row["auroc"].items()),
        ("the same: real test images flagged wrongly", wrongly, ""),
    ]


# Name -> what measures it, and what writes it.
Measure = Callable[[argparse.Namespace], dict[str, Any]]
Describe = Callable[[dict[str, Any]], Lines]
PARTS: dict[str, tuple[Measure, Describe]] = {
    "split": (split, split_lines),
    "mixed": (mixed, mixed_lines),
    "chain": (chain, chain_lines),
    "speed": (speed, speed_lines),
    "unfamiliar": (unfamiliar, unfamiliar_lines),
}


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--scholar", type=Path, help="of MNIST and SVHN; learned if not given")
    parser.add_argument("--out", type=Path, default=Path("runs/lifetime"))
    options = parser.parse_args()
    document = pages.read_kept("lifetime", rows={})
    for name in options.only:
        if name not in document["rows"]:
            pages.check_machine("lifetime", document)
            document["rows"][name] = PARTS[name][0](options) | {"threads": torch.get_num_threads()}
            print(name, json.dumps(document["rows"][name]), flush=True)
            pages.write_kept("lifetime", document)
    pages.write_page("lifetime", format_page(document))


if __name__ == "__main__":
    main()
