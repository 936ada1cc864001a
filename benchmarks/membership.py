"""Membership inference: do dreams betray which images a scholar learned from?

python benchmarks/membership.py --data-dir DIR [--only mnist svhn]

Writes docs/membership.md; with `--only` and no name, from kept rows only. The attacker is that of Chen et al. 2020
(GAN-Leaks, CCS; arXiv 1909.03935, full black-box): it has dreams, nothing else, and takes an image for a member if a
dream is near it. Scholars are kept in --out, rows in benchmarks/measured, and not made twice: remove one to make it
anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from measuring import pages
from sklearn.metrics import auc, roc_curve
from torch import Tensor

from scholars import Scholar, open_task
from scholars.evaluation.feature_metrics import nearest_distances
from scholars.learning.lifelong import teach
from scholars.tasks.images import Images
from scholars.tasks.resize import resize_images
from scholars.tasks.task import Task

Array = npt.NDArray[np.float64]
RESAMPLES = 1000

BEGINNING = """# Who was in the training data?

Somebody has a scholar, or its dreams, and an image. Can they find out whether the scholar learned from that very image?
An attack of this kind is called *membership inference*. Measured here is a simple one, by the nearest dream
([Chen et al. 2020](https://arxiv.org/abs/1909.03935), GAN-Leaks, the full black-box attack): many dreams are drawn, and
the nearer the nearest of them is, the more the image is suspected. Members are images that the scholar was trained on,
non-members as many of the same distribution that it never saw."""
METHOD = """Default settings; one scholar per row.
Members and non-members were drawn anew at random from both parts of MNIST (other people wrote its test part), and of
SVHN photo by photo (the subset of 10,554 digits, a fifth of the photos held out, one digit of each photo attacked):
otherwise an attacker could tell the parts apart, or a digit of the same photo could give an image away."""
END = """**How to read it.** An area of 0.5 is a coin toss, 1 is certainty. The advantage is the largest difference
between the share of members and the share of non-members that are suspected (Yeom et al. 2018): 0 is a coin toss. It is
never negative, for the threshold is chosen afterwards, in the attacker's favour. The last column is what counts where a
single person could be harmed: how many members are found when one non-member in a hundred is suspected wrongly.

**What it does not say.** This attacker is simple. Anyone with the files has the weights, among them those of a critic
that saw the training images. Attacks that train models of their own do better. None of this is a guarantee. If it
must stay secret whose images were used, learn photographs with [differential privacy](privacy.md), or do not share the
scholar.
"""


@dataclass(frozen=True)
class Draw:
    """A task, and as many of its training images as of its test images that are all independent of one another."""

    task: Task
    members: Images
    others: Images


def mnist(options: argparse.Namespace) -> Draw:
    """Shuffle both parts together: other people wrote the test part, which an attacker could notice."""
    task, rng = open_task("mnist", data_dir=options.data_dir), np.random.default_rng(options.seed)
    everything = concat_parts(task)
    order = rng.permutation(len(everything))
    held_out = len(task.test)
    task = replace(task, train=everything[order[held_out:]], test=everything[order[:held_out]])
    return Draw(task, task.train[:held_out], task.test)


def svhn(options: argparse.Namespace) -> Draw:
    """Draw both parts anew, a fifth of the photos held out; of a photo's digits the first is attacked."""
    task, rng = open_task("svhn", data_dir=options.data_dir), np.random.default_rng(options.seed)
    with np.load(options.data_dir / "svhn.npz") as file:
        # A number means one photo of the official test part, another one of the official training part.
        official = np.r_[file["official_train"], np.zeros(len(task.test), dtype=bool)]
        photos = np.r_[file["photo_train"], file["photo_test"]].astype(np.int64) * 2 + official
    everything, different = concat_parts(task), rng.permutation(np.unique(photos))
    held_out = np.isin(photos, different[: len(different) // 5])
    train, test = everything[~held_out], everything[held_out]
    members, others = (part[first_places(photos[side])] for part, side in ((train, ~held_out), (test, held_out)))
    few = min(len(members), len(others))
    chosen = (part[np.sort(rng.permutation(len(part))[:few])] for part in (members, others))
    return Draw(replace(task, train=train, test=test), *chosen)


def concat_parts(task: Task) -> Images:
    parts = (task.train, task.test)
    return Images(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def first_places(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where each different value is first."""
    return np.unique(values, return_index=True)[1]


# Name -> what draws it, and its name in the table.
ROWS: dict[str, tuple[Callable[[argparse.Namespace], Draw], str]] = {"mnist": (mnist, "MNIST"), "svhn": (svhn, "SVHN")}
ATTACKS = {
    "pixels": "the nearest dream, by pixels",
    "features": "the nearest dream, by the solver's features",
    "confidence": "no dreams: how sure the solver is of the true class",
}


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    draw = ROWS[name][0](options)
    folder = options.out / name
    scholar = Scholar.load(folder) if folder.is_dir() else teach(folder, draw.task, seed=options.seed)
    shape, count = scholar.settings.image, len(draw.members)
    images = np.concatenate([draw.members.images, draw.others.images])
    attacked = torch.from_numpy(resize_images(images, shape.channels, shape.size))
    labels = torch.from_numpy(np.concatenate([draw.members.labels, draw.others.labels]))
    truth = torch.tensor([scholar.classes.index(name) for name in draw.task.classes])[labels]
    dreams = scholar.dream(options.dreams, seed=options.seed)[0]
    features, logits = scholar.features_and_logits(attacked)
    suspicion = {
        "pixels": -nearest_distances(flatten(attacked), flatten(dreams)),
        "features": -nearest_distances(features, scholar.features_and_logits(dreams)[0]),
        "confidence": margin(logits, truth),
    }
    rng = np.random.default_rng(options.seed)
    return {
        "trained": len(draw.task.train),
        "each": count,
        "accuracy": scholar.lineage[-1].accuracy,
        "seconds": round(sum(scholar.lineage[-1].seconds.values())),
        "attacks": {
            attack: evaluate_attack(values.double().numpy(), count, rng) for attack, values in suspicion.items()
        },
    }


def margin(logits: Tensor, truth: Tensor) -> Tensor:
    """Return log p / (1 - p), p being the probability of the true class: it still differs where p is all but 1."""
    own = logits.gather(1, truth[:, None])[:, 0]
    return own - logits.scatter(1, truth[:, None], -torch.inf).logsumexp(dim=1)


def flatten(images: Tensor) -> Tensor:
    """Return ``[N, D]``, such that Euclidean distance is root mean square difference, 0..1."""
    rows = images.flatten(1).float() / 255
    rows /= rows.shape[1] ** 0.5
    return rows


def evaluate_attack(suspicion: Array, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return how well the first ``count`` are distinguished from the others, each figure with its 95 % interval.

    chance: what 95 % of attackers stay below who guess, and choose their threshold as well as one can afterwards
    """
    members, others = suspicion[:count], suspicion[count:]
    resampled = np.array([figures(rng.choice(members, count), rng.choice(others, count)) for _ in range(RESAMPLES)])
    guesses = (rng.permutation(suspicion) for _ in range(RESAMPLES))
    guessed = np.array([figures(guess[:count], guess[count:]) for guess in guesses])
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    names = ("auc", "advantage", "tpr")
    return {
        "chance": dict(zip(names, np.quantile(guessed, 0.95, axis=0).tolist(), strict=True)),
        **{
            name: [value, float(low[place]), float(high[place])]
            for place, (name, value) in enumerate(zip(names, figures(members, others), strict=True))
        },
    }


def figures(members: Array, others: Array) -> tuple[float, float, float]:
    """Return area under the curve, advantage max(TPR - FPR) (Yeom et al. 2018), and the TPR at an FPR of 1 %."""
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    false, true, _ = roc_curve(truth, np.r_[members, others])
    at = true[np.searchsorted(false, 0.01, side="right") - 1]
    return float(auc(false, true)), float((true - false).max()), float(at)


def format_page(document: dict[str, Any]) -> list[str]:
    rows, dreams = document["rows"], document["dreams"]
    made = (
        f"Made by `python benchmarks/membership.py --data-dir DIR --dreams {dreams} --seed {document['seed']}` on "
        f"{document['date']}, on: {pages.describe_machine(document, 'threads', 'precision')}."
    )
    intervals = (
        f"In brackets are 95 % intervals ({RESAMPLES:,} bootstrap samples of the images; of one scholar, so that they "
        "do not speak of other seeds). *Guess* is what attackers who merely guess stay below in 95 % of cases."
    )
    return [
        BEGINNING,
        "",
        f"{made} {METHOD} {dreams:,} dreams of each. {intervals}",
        "",
        *pages.table(
            "learned | by | area under the curve | advantage | members found at 1 % false alarms",
            (
                (ROWS[name][1], ATTACKS[attack], *figure_cells(found))
                for name, row in rows.items()
                for attack, found in row["attacks"].items()
            ),
        ),
        *pages.table(
            "learned | training images | members and non-members | right on the held-out images",
            (
                (ROWS[name][1], f"{row['trained']:,}", f"{row['each']:,} of each", f"{100 * row['accuracy']:.1f} %")
                for name, row in rows.items()
            ),
        ),
        END,
    ]


def figure_cells(found: dict[str, Any]) -> list[str]:
    value, low, high = found["auc"]
    cells = [f"{value:.3f} ({low:.3f} to {high:.3f}); guess {found['chance']['auc']:.3f}"]
    for what in ("advantage", "tpr"):
        value, low, high = (100 * number for number in found[what])
        cells.append(f"{value:.1f} % ({low:.1f} to {high:.1f}); guess {100 * found['chance'][what]:.1f} %")
    return cells


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--dreams", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/membership"))
    options = parser.parse_args()
    document = pages.read_kept("membership", dreams=options.dreams, seed=options.seed, rows={})
    if (document["dreams"], document["seed"]) != (options.dreams, options.seed):
        raise SystemExit("membership.json has rows of other --dreams or --seed: remove it, or give the same")
    for name in options.only:
        if name not in document["rows"]:
            pages.check_machine("membership", document, "threads")
            document["rows"][name] = measure(name, options)
            print(name, json.dumps(document["rows"][name]), flush=True)
            pages.write_kept("membership", document)
    pages.write_page("membership", format_page(document))


if __name__ == "__main__":
    main()
