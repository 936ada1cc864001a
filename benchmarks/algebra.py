"""Merge, forget and distil scholars, and compare them with scholars that learned from data.

python benchmarks/algebra.py --data-dir DIR [--only merge-halves forget-pixels ...] [--seeds 0 1 2] [--out DIR]

Scholars are learned and changed by the command line, with no settings, and kept in --out: what is there is not learned
again. Rows are kept in benchmarks/measured and not measured twice: remove one to measure it anew. Writes the table of
docs/algebra.md; with `--only` and no name, from kept rows only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from measuring import pages
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scholars import Scholar, open_task
from scholars.storage import files

# Photos of each class that a probe is trained on, and with how few a class is relearned.
PROBED, RELEARNED = 500, (5, 20)
FORGOTTEN = "7"


@dataclass(frozen=True)
class Bench:
    """Where scholars are kept, and where the data is."""

    out: Path
    data_dir: Path
    seed: int

    def run(self, *words: object) -> str:
        """Run a command of Scholars; return what it prints."""
        printed = pages.scholars("-q", *words, stdout=subprocess.PIPE, text=True)
        return str(printed.stdout)

    def learn(self, name: str, source: str, *words: object) -> Path:
        """Return a scholar that learned a source alone."""
        folder = self.out / f"{name}-{self.seed}"
        if not (folder / "scholar.json").is_file():
            self.run("learn", folder, source, "--data-dir", self.data_dir, "--seed", self.seed, *words)
        return folder

    def fresh(self, name: str) -> Path:
        """Return where a scholar is to be made, which is not there."""
        folder = self.out / f"{name}-{self.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def accuracy(self, folder: Path, *sources: str) -> list[float]:
        """Return the accuracy of a scholar on the test parts of named sources."""
        printed = self.run("evaluate", folder, *sources, "--data-dir", self.data_dir, "--json")
        return [row["accuracy"] for row in json.loads(printed)["results"]]


def merged(bench: Bench, name: str, scholars: list[Path], sources: list[str]) -> dict[str, Any]:
    """Merge scholars, each of one source or of a part of the only one, and measure the merged one."""
    out, began = bench.fresh(name), time.perf_counter()
    bench.run("merge", *scholars, "--out", out, "--seed", bench.seed)
    seconds = time.perf_counter() - began
    found = bench.accuracy(out, *sources)
    apart = []
    if len(sources) > 1:
        apart = [bench.accuracy(folder, source)[0] for folder, source in zip(scholars, sources, strict=True)]
    return {"accuracy": fmean(found), "each": found, "apart": apart, "seconds": round(seconds, 1)}


def merge_halves(bench: Bench) -> dict[str, Any]:
    """Merge MNIST 0-4 and 5-9."""
    halves = [
        bench.learn("low", "mnist", "--classes", "0,1,2,3,4", "--name", "low"),
        bench.learn("high", "mnist", "--classes", "5,6,7,8,9", "--name", "high"),
    ]
    return merged(bench, "halves", halves, ["mnist"])


def merge_domains(bench: Bench) -> dict[str, Any]:
    """Merge MNIST and SVHN: the same ten classes."""
    sources = ["svhn", "mnist"]
    return merged(bench, "domains", [bench.learn(f"{name}-colour", name, *_COLOUR) for name in sources], sources)


def merge_four(bench: Bench) -> dict[str, Any]:
    """Merge four scholars of one digit set each."""
    sources = ["svhn", "mnist", "usps", "digits"]
    return merged(bench, "four", [bench.learn(f"{name}-colour", name, *_COLOUR) for name in sources], sources)


# The shape of the streams that these are compared with.
_COLOUR = ("--set", "image.size=32", "image.channels=3")


def merge_memories(bench: Bench) -> dict[str, Any]:
    """Merge the two halves of Caltech-101, and compare with one that learned them in turn; then forget a class."""
    names = sorted(path.name for path in (bench.data_dir / "caltech101" / "train").iterdir())
    middle = len(names) // 2
    first, second = ",".join(names[:middle]), ",".join(names[middle:])
    halves = [
        bench.learn("caltech-a", "caltech101", "--classes", first, "--name", "a"),
        bench.learn("caltech-b", "caltech101", "--classes", second, "--name", "b"),
    ]
    turned = bench.fresh("caltech-turn")
    shutil.copytree(halves[0], turned)
    words = ("caltech101", "--data-dir", bench.data_dir, "--seed", bench.seed)
    bench.run("learn", turned, *words, "--classes", second, "--name", "b")
    out, began = bench.fresh("caltech"), time.perf_counter()
    bench.run("merge", *halves, "--out", out, "--seed", bench.seed)
    merging, same, gone = time.perf_counter() - began, weights(turned) == weights(out), names[0]
    without = bench.fresh("caltech-without")
    bench.run("learn", without, *words, "--classes", ",".join(names[1:middle]), "--name", "a")
    bench.run("learn", without, *words, "--classes", second, "--name", "b")
    accuracy, began = bench.accuracy(out, "caltech101")[0], time.perf_counter()
    bench.run("forget", out, gone)
    forgetting = time.perf_counter() - began
    return {
        "classes": len(names),
        "accuracy": accuracy,
        "merged_equal": same,
        "forgotten_equal": weights(out) == weights(without),
        "seconds": round(merging, 1),
        "forgetting_seconds": round(forgetting, 1),
    }


def weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each weight file."""
    found: dict[str, str] = files.read_json(folder / "scholar.json")["sha256"]
    return found


def forget_pixels(bench: Bench) -> dict[str, Any]:
    """Forget one of ten digits, and probe what is left, beside a scholar that never saw it."""
    knew = bench.learn("mnist", "mnist")
    others = ",".join(str(digit) for digit in range(10) if str(digit) != FORGOTTEN)
    never = bench.learn("never", "mnist", "--classes", others, "--name", "mnist")
    out = bench.fresh("forgot")
    shutil.copytree(knew, out)
    began = time.perf_counter()
    bench.run("forget", out, FORGOTTEN)
    row: dict[str, Any] = {"seconds": round(time.perf_counter() - began, 1)}
    for name, folder in (("knew", knew), ("forgot", out), ("never", never)):
        row[name] = probe(Scholar.load(folder), bench.data_dir, bench.seed)
    return row


def probe(scholar: Scholar, data_dir: Path, seed: int) -> dict[str, float]:
    """Return what the solver's features tell of the forgotten digit, and its accuracy on the other digits.

    probe: of test images of that digit, the share that a linear classifier of the features of real training images, of
        all digits, is right about; from_5, from_20: of a classifier that is trained on so few images of each digit
    """
    task = open_task("mnist", data_dir=data_dir).resized(scholar.settings.image.channels, scholar.settings.image.size)
    generator, found = np.random.default_rng(seed), dict[str, float]()
    rows = np.concatenate(
        [generator.permutation((task.train.labels == label).nonzero()[0])[:PROBED] for label in range(10)]
    )
    train = scholar.features_and_logits(task.train[rows].tensor)[0].numpy()
    test = scholar.features_and_logits(task.test.tensor)[0].numpy()
    labels, mine = task.train.labels[rows], task.test.labels == task.classes.index(FORGOTTEN)
    for name, few in (("probe", PROBED), *((f"from_{few}", few) for few in RELEARNED)):
        chosen = np.concatenate([(labels == label).nonzero()[0][:few] for label in range(10)])
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        classifier.fit(train[chosen], labels[chosen])
        found[name] = float((classifier.predict(test)[mine] == task.classes.index(FORGOTTEN)).mean())
    names = np.array(scholar.classes)[scholar.probabilities(task.test.tensor).argmax(1).numpy()]
    found["others"] = float((names == np.array(task.classes)[task.test.labels])[~mine].mean())
    return found


def distil_half(bench: Bench) -> dict[str, Any]:
    """Distil a scholar of MNIST, then SVHN, to half the width."""
    return distilled(bench, "half", "solver.width=12")


def distil_28(bench: Bench) -> dict[str, Any]:
    """Distil a scholar of MNIST, then SVHN, from 32 to 28 pixels."""
    return distilled(bench, "small", "image.size=28")


def distilled(bench: Bench, name: str, change: str) -> dict[str, Any]:
    """Distil with one change, and measure before and after."""
    knew = bench.out / f"turned-{bench.seed}"
    if not (knew / "scholar.json").is_file():
        shutil.copytree(bench.learn("mnist-colour", "mnist", *_COLOUR), knew)
        bench.run("learn", knew, "svhn", "--data-dir", bench.data_dir, "--seed", bench.seed)
    out, began = bench.fresh(name), time.perf_counter()
    bench.run("distil", knew, "--out", out, "--seed", bench.seed, "--set", change)
    seconds = time.perf_counter() - began
    before, after = (bench.accuracy(folder, "mnist", "svhn") for folder in (knew, out))
    return {"accuracy": fmean(after), "each": after, "apart": before, "seconds": round(seconds, 1)}


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "merge-halves": merge_halves,
    "merge-domains": merge_domains,
    "merge-four": merge_four,
    "merge-memories": merge_memories,
    "forget-pixels": forget_pixels,
    "distil-half": distil_half,
    "distil-28": distil_28,
}
TITLES = {
    "merge-halves": "MNIST 0-4 and 5-9, merged: all ten digits",
    "merge-domains": "MNIST and SVHN, merged: mean of both",
    "merge-four": "SVHN, MNIST, USPS and Digits, merged: mean of the four",
    "distil-half": "MNIST then SVHN, distilled to half the width",
    "distil-28": "MNIST then SVHN, distilled from 32 to 28 pixels",
}


def format_tables(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the tables of what is measured in accuracy, of what is exact, and of what a probe finds."""
    accuracies, exact, probes = [], [], []
    for key, row in rows.items():
        (name, seed), on = key.split(" "), f"s ({pages.describe_row(row)})"
        if name in TITLES:
            each, apart = (", ".join(f"{100 * share:.2f}" for share in row[part]) for part in ("each", "apart"))
            accuracies.append(
                (TITLES[name], seed, f"{100 * row['accuracy']:.2f}", each, apart, f"{row['seconds']} {on}")
            )
        elif name == "merge-memories":
            same = {True: "equal, bit for bit", False: "different"}
            what = f"Caltech-101, {row['classes']} classes"
            exact += [
                (
                    f"{what}: two halves merged, and both learned in turn",
                    same[row["merged_equal"]],
                    f"{row['seconds']} {on}",
                ),
                (
                    f"{what}: one forgotten, and never learned",
                    same[row["forgotten_equal"]],
                    f"{row['forgetting_seconds']} {on}",
                ),
            ]
        else:
            for part, title in (("knew", "knows it"), ("forgot", "forgot it"), ("never", "never saw it")):
                found = [f"{100 * row[part][figure]:.1f}" for figure in ("others", "probe", "from_5", "from_20")]
                probes.append((title, seed, *found))
    return [
        *pages.table("what | seed | accuracy, % | each, % | the scholars before, each, % | time", accuracies),
        *(pages.table("what | weights | time", exact) if exact else []),
        *(
            pages.table(
                f"MNIST, digit {FORGOTTEN}: a scholar that | seed | other digits, % | probe, % | from 5 | from 20",
                probes,
            )
            if probes
            else []
        ),
    ]


def main() -> None:
    options = pages.parse_parts(__doc__, PARTS, "runs/algebra")
    rows = pages.measure_parts(
        "algebra", options, lambda name, seed: PARTS[name](Bench(options.out, options.data_dir, seed))
    )
    pages.write_section(pages.DOCS / "algebra.md", "algebra.py", format_tables(rows))


if __name__ == "__main__":
    main()
