"""Do dreams betray which images a scholar learned from? A nearest-dream attacker, on members and on non-members.

python benchmarks/membership.py --data-dir DIR [--only mnist svhn]

Writes docs/membership.md. The attacker is that of Chen et al. 2020 (GAN-Leaks, CCS; arXiv 1909.03935, full black-box):
it has dreams, nothing else, and takes an image for a member if a dream is near it. Scholars are kept in --out, rows in
benchmarks/measured, and not made twice: remove one to make it anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import auc, roc_curve
from torch import Tensor

from scholars import Scholar, open_task, store
from scholars.environment import environment
from scholars.evaluate.likeness import nearest
from scholars.lifetime import teach
from scholars.settings import Settings
from scholars.tasks import Images, Task
from scholars.tasks.shapes import fit_images

DOCS = Path(__file__).parent.parent / "docs"
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
SVHN photo by photo (the subset of 10,554 digits, a fifth of the photos held out, one digit of each photo asked about):
otherwise an attacker could tell the parts apart, or a digit of the same photo could give an image away."""
HEAD = """| learned | by | area under the curve | advantage | members found at 1 % false alarms |
|---|---|---|---|---|"""
END = """**How to read it.** An area of 0.5 is a coin toss, 1 is certainty. The advantage is the largest difference
between the share of members and the share of non-members that are suspected (Yeom et al. 2018): 0 is a coin toss. It is
never negative, for the threshold is chosen afterwards, in the attacker's favour. The last column is what counts where a
single person could be harmed: how many members are found when one non-member in a hundred is suspected wrongly.

**What it does not say.** This attacker is simple. Anyone with the files has the weights, among them those of a critic
that saw the training images. Attacks that train models of their own do better. None of this is a guarantee such as
differential privacy gives: if it must stay secret whose images were used, do not share the scholar.
"""


@dataclass(frozen=True)
class Draw:
    """A task, and as many of its training images as of its test images that are all independent of one another."""

    task: Task
    members: Images
    others: Images


def mnist(options: argparse.Namespace) -> Draw:
    """Both parts shuffled together: other people wrote the test part, which an attacker could tell."""
    task, rng = open_task("mnist", data_dir=options.data_dir), np.random.default_rng(options.seed)
    everything = both(task)
    order = rng.permutation(len(everything))
    held_out = len(task.test)
    task = replace(task, train=everything[order[held_out:]], test=everything[order[:held_out]])
    return Draw(task, task.train[:held_out], task.test)


def svhn(options: argparse.Namespace) -> Draw:
    """Both parts drawn anew, a fifth of the photos held out; of a photo's digits the first is asked about."""
    task, rng = open_task("svhn", data_dir=options.data_dir), np.random.default_rng(options.seed)
    with np.load(options.data_dir / "svhn.npz") as file:
        # A number means one photo of the official test part, another one of the official training part.
        official = np.r_[file["official_train"], np.zeros(len(task.test), dtype=bool)]
        photos = np.r_[file["photo_train"], file["photo_test"]].astype(np.int64) * 2 + official
    everything, different = both(task), rng.permutation(np.unique(photos))
    held_out = np.isin(photos, different[: len(different) // 5])
    train, test = everything[~held_out], everything[held_out]
    members, others = (part[firsts(photos[side])] for part, side in ((train, ~held_out), (test, held_out)))
    few = min(len(members), len(others))
    chosen = (part[np.sort(rng.permutation(len(part))[:few])] for part in (members, others))
    return Draw(replace(task, train=train, test=test), *chosen)


def both(task: Task) -> Images:
    parts = (task.train, task.test)
    return Images(*(np.concatenate([getattr(part, what) for part in parts]) for what in ("images", "labels")))


def firsts(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each different value is first."""
    return np.unique(values, return_index=True)[1]


# What is learned, and how the table calls it.
ROWS: dict[str, tuple[Callable[[argparse.Namespace], Draw], str]] = {"mnist": (mnist, "MNIST"), "svhn": (svhn, "SVHN")}
ATTACKS = {
    "pixels": "the nearest dream, by pixels",
    "features": "the nearest dream, by the solver's features",
    "confidence": "no dreams: how sure the solver is of the true class",
}


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    draw = ROWS[name][0](options)
    folder = options.out / name
    scholar = Scholar.load(folder) if folder.is_dir() else teach(folder, draw.task, seed=options.seed)
    shape, count = scholar.settings.image, len(draw.members)
    asked = torch.from_numpy(
        fit_images(np.concatenate([draw.members.images, draw.others.images]), shape.channels, shape.size)
    )
    labels = torch.from_numpy(np.concatenate([draw.members.labels, draw.others.labels]))
    truth = torch.tensor([scholar.classes.index(name) for name in draw.task.classes])[labels]
    dreams = scholar.dream(options.dreams, seed=options.seed)[0]
    features, logits = scholar.seen(asked)
    suspicion = {
        "pixels": -nearest(flat(asked), flat(dreams)),
        "features": -nearest(features, scholar.features(dreams)),
        "confidence": margin(logits, truth),
    }
    rng = np.random.default_rng(options.seed)
    return {
        "conditions": conditions(options),
        "trained": len(draw.task.train),
        "each": count,
        "accuracy": scholar.lineage[-1].accuracy,
        "seconds": round(sum(scholar.lineage[-1].seconds.values())),
        "attacks": {attack: attacked(values.double().numpy(), count, rng) for attack, values in suspicion.items()},
    }


def margin(logits: Tensor, truth: Tensor) -> Tensor:
    """log p / (1 - p), p being the probability of the true class: where that is all but 1, some are still surer."""
    own = logits.gather(1, truth[:, None])[:, 0]
    return own - logits.scatter(1, truth[:, None], -torch.inf).logsumexp(dim=1)


def flat(images: Tensor) -> Tensor:
    """``[N, D]``, such that Euclidean distance is root mean square difference, 0..1."""
    rows = images.flatten(1).float() / 255
    rows /= rows.shape[1] ** 0.5
    return rows


def attacked(suspicion: Array, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """How well the first ``count`` are told from the others, each figure with its 95 % interval.

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
    """The area under the curve, the advantage max(TPR - FPR) (Yeom et al. 2018), and the TPR at an FPR of 1 %."""
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    false, true, _ = roc_curve(truth, np.r_[members, others])
    at = true[np.searchsorted(false, 0.01, side="right") - 1]
    return float(auc(false, true)), float((true - false).max()), float(at)


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What a row was measured with, and when."""
    machine: Any = environment(Settings().compute)
    return {
        "dreams": options.dreams,
        "seed": options.seed,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "torch": machine["packages"]["torch"],
        **{key: machine[key] for key in ("processor", "threads", "precision")},
    }


def written(rows: dict[str, Any]) -> str:
    """The page. Raises SystemExit for rows of several conditions, but for their dates."""
    every = [row["conditions"] for row in rows.values()]
    if len({json.dumps({**one, "date": ""}, sort_keys=True) for one in every}) > 1:
        raise SystemExit("rows of several conditions: remove those of the old ones from benchmarks/measured")
    here, dates = every[0], sorted({one["date"] for one in every})
    made = (
        f"Made by `python benchmarks/membership.py --data-dir DIR --dreams {here['dreams']} --seed {here['seed']}` on "
        f"{' and '.join(dates)}, on: {here['processor']}, {here['threads']} thread{'s'[: here['threads'] > 1]}, "
        f"{here['precision']}, torch {here['torch']}."
    )
    intervals = (
        f"In brackets are 95 % intervals ({RESAMPLES:,} bootstrap samples of the images; of one scholar, so that they "
        "do not speak of other seeds). *Guess* is what attackers who merely guess stay below in 95 % of cases."
    )
    lines = [BEGINNING, "", f"{made} {METHOD} {here['dreams']:,} dreams of each. {intervals}", "", HEAD]
    for name, row in rows.items():
        for attack, found in row["attacks"].items():
            value, low, high = found["auc"]
            cells = [f"{value:.3f} ({low:.3f} to {high:.3f}); guess {found['chance']['auc']:.3f}"]
            for what in ("advantage", "tpr"):
                value, low, high = (100 * number for number in found[what])
                cells.append(f"{value:.1f} % ({low:.1f} to {high:.1f}); guess {100 * found['chance'][what]:.1f} %")
            lines.append(f"| {ROWS[name][1]} | {ATTACKS[attack]} | {' | '.join(cells)} |")
    lines += [
        "",
        "| learned | training images | members and non-members | right on the held-out images |",
        "|---|---|---|---|",
        *(
            f"| {ROWS[name][1]} | {row['trained']:,} | {row['each']:,} of each | {100 * row['accuracy']:.1f} % |"
            for name, row in rows.items()
        ),
        "",
        END,
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--dreams", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/membership"))
    options = parser.parse_args()
    kept = Path(__file__).parent / "measured" / "membership.json"
    rows = store.read_json(kept) if kept.is_file() else {}
    for name in options.only:
        if name not in rows:
            rows[name] = measured(name, options)
            print(name, json.dumps(rows[name]), flush=True)
            store.write_json(kept, rows)
    (DOCS / "membership.md").write_text(written(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
