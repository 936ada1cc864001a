"""Measure scholars that learned privately: accuracy by epsilon, attacks by shadow scholars, and a canary audit.

python benchmarks/private.py --data-dir DIR [--only clothing caltech101 attack canary] [--seeds 0 1 2 3 4]

Noise is drawn from the secure source: seeds are those of heads, and number the runs. Rows are kept in
benchmarks/measured and not measured twice: remove one to measure it anew. Writes the tables of docs/privacy.md; with
`--only` and no name, from kept rows only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from measuring import pages
from scipy.stats import beta, norm
from torch import Tensor

from scholars import Scholar, learn, open_task
from scholars.backbones import Backbone, look, open_backbone
from scholars.evaluation.accuracy import evaluate
from scholars.learning.arguments import LearnArgs
from scholars.learning.private import draw_statistics, learn_statistics
from scholars.privacy.account import drawn_multiplier, noise_multiplier
from scholars.privacy.directions import Directions, find_directions
from scholars.privacy.mechanism import GRID, SHARES, release_statistics, sum_first, sum_second
from scholars.privacy.noise import add_noise
from scholars.settings import BackboneSettings, Settings
from scholars.settings.overrides import build, changed
from scholars.settings.privacy import Privacy
from scholars.tasks.task import Task
from scholars.training.loop import Session

Array = npt.NDArray[np.float64]
EPSILONS, DELTA = (8.0, 3.0, 1.0), 1e-5
# Of the attack: scholars, each of a random half of the photos; and the share of others that may be suspected wrongly.
SHADOWS, ATTACKED, FALSE = 64, (None, 8.0, 3.0, 1.0), 0.001
# Steps of the heads of attacked scholars, a quarter of the usual ones: there are hundreds.
HEAD_STEPS = 150
# Of the canary audit: releases with and without it, half of which choose the threshold.
TRIALS = 4000


@dataclass(frozen=True)
class Seen:
    """A set of photos that a backbone has looked at: the task, and a vector of each training photo."""

    task: Task
    backbone: Backbone
    settings: Settings
    vectors: Tensor
    labels: Tensor
    directions: Directions


@cache
def see(name: str, data_dir: Path) -> Seen:
    """Look at a set once."""
    settings, backbone = build(Settings, {"backbone": {}}, None, "benchmark"), open_backbone(BackboneSettings())
    task = look(open_task(name, data_dir=data_dir, decode=False), backbone, settings.views, settings.image.fit)
    vectors, directions = task.train.feature_tensor.float().mean(1), find_directions(backbone)
    return Seen(task, backbone, settings, vectors, task.train.label_tensor, directions)


def learn_private(seen: Seen, rows: Tensor, epsilon: float, seed: int) -> Scholar:
    """Learn some of the photos privately."""
    privacy = Privacy(epsilon=epsilon, delta=DELTA)
    vectors, labels, classes = seen.vectors[rows], seen.labels[rows], len(seen.task.classes)
    released = draw_statistics(vectors, labels, classes, privacy, seen.directions)
    args = LearnArgs(seen.task.without_photos(), None, "dreams", seen.settings, seed, privacy=privacy)
    return learn_statistics(args, *released, seen.backbone, Session())


def learn_open(seen: Seen, rows: Tensor, seed: int) -> Scholar:
    """Learn some of the photos without a guarantee."""
    part = replace(seen.task, train=seen.task.train[rows.numpy()])
    return learn(part, settings=seen.settings, seed=seed, backbone=seen.backbone)


def measure_accuracy(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the accuracy on the test part without a guarantee, and by epsilon."""
    seen = see(name, options.data_dir)
    every = torch.arange(len(seen.labels))
    private = {
        f"{epsilon:g}": evaluate(learn_private(seen, every, epsilon, seed), seen.task).accuracy for epsilon in EPSILONS
    }
    return {"none": evaluate(learn_open(seen, every, seed), seen.task).accuracy, **private}


def attack(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Attack scholars by shadow scholars (Carlini et al. 2022, section V, online, one query), each by all others."""
    seen = see("clothing", options.data_dir)
    seen = replace(seen, settings=changed(seen.settings, {"solver.steps": HEAD_STEPS}))
    found = {}
    for epsilon in ATTACKED:
        rng = np.random.default_rng(seed)
        inside, margins = [], []
        for number in range(SHADOWS):
            member = rng.permutation(len(seen.labels)) % 2 == 0
            rows = torch.from_numpy(np.flatnonzero(member))
            scholar = learn_open(seen, rows, number) if epsilon is None else learn_private(seen, rows, epsilon, number)
            plain = seen.task.train.feature_tensor[:, 0].float()
            margins.append(margin(scholar.features_and_logits(plain)[1], seen.labels).numpy())
            inside.append(member)
        scores, members = likelihood_ratios(np.stack(margins), np.stack(inside)), np.stack(inside)
        found["none" if epsilon is None else f"{epsilon:g}"] = summarise(scores, members, rng)
    return {"photos": len(seen.labels), "shadows": SHADOWS, "rates": found}


def margin(logits: Tensor, truth: Tensor) -> Tensor:
    """Return log p / (1 - p) of the true class."""
    own = logits.gather(1, truth[:, None])[:, 0]
    return own - logits.scatter(1, truth[:, None], -torch.inf).logsumexp(dim=1)


def likelihood_ratios(margins: Array, inside: npt.NDArray[np.bool_]) -> Array:
    """Return ``[S, N]`` log p(margin | in) - log p(margin | out), by Gaussians fitted to all other scholars.

    margins: ``[S, N]``, of each photo by each scholar; inside: ``[S, N]``, whether it learned that photo
    """
    scores = np.empty_like(margins)
    for target in range(len(margins)):
        others = np.arange(len(margins)) != target
        log = {}
        for which in (True, False):
            mask = inside[others] == which
            values = np.where(mask, margins[others], np.nan)
            # One variance for all photos: of few scholars, that of one photo is not known (section V.C there).
            log[which] = norm.logpdf(margins[target], np.nanmean(values, 0), np.nanvar(values, 0).mean() ** 0.5)
        scores[target] = log[True] - log[False]
    return scores


def summarise(scores: Array, members: npt.NDArray[np.bool_], rng: np.random.Generator) -> dict[str, float]:
    """Return the rate of members found at `FALSE` false alarms, and its 95 % limits over scholars (bootstrap)."""

    def rate(rows: npt.NDArray[np.int64]) -> float:
        some, inside = scores[rows], members[rows]
        return float((some[inside] > np.quantile(some[~inside], 1 - FALSE)).mean())

    drawn = [rate(rng.integers(0, len(scores), len(scores))) for _ in range(200)]
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return {"rate": rate(np.arange(len(scores))), "low": low, "high": high}


def canary(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the lower bounds of epsilon that an audit with a canary finds, at 95 % (Jagielski et al. 2020)."""
    found = {}
    for epsilon in EPSILONS:
        multiplier = drawn_multiplier(noise_multiplier(Privacy(epsilon=epsilon, delta=DELTA)))
        scores = [np.array(list(suspicions(present, multiplier, TRIALS))) for present in (True, False)]
        found[f"{epsilon:g}"] = lower_bound(scores[0], scores[1], DELTA)
    return {"trials": TRIALS, "bounds": found}


def suspicions(present: bool, multiplier: float, trials: int) -> Iterator[float]:
    """Yield, for each release, the log likelihood ratio of a canary by somebody who knows all other photos.

    The noise is Gaussian: log p(y | with) - log p(y | without) = sum_j (2 y_j - with_j - without_j) d_j / (2 s_j^2).
    """
    depth, q = 32, 8
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(depth, depth, dtype=torch.float64, generator=generator)).Q.T[:q].contiguous()
    directions = Directions(basis, torch.ones(q, dtype=torch.float64), 10.0)
    vectors = torch.randn(20, depth, generator=generator)
    # As long as may be, along the directions: it changes every sum by nearly as much as the bound allows.
    vectors[-1] = 10 * basis[0].float()
    labels = torch.arange(20) % 2
    for _ in range(trials):
        rows = slice(None) if present else slice(0, 19)
        seen = release_statistics(vectors[rows], labels[rows], 2, directions, multiplier, add_noise)
        whole, rest = (
            sum_first(vectors[:count], labels[:count], 2, directions)
            | sum_second(vectors[:count], labels[:count], 2, directions, seen)
            for count in (20, 19)
        )
        yield sum(_evidence(part, getattr(seen, part), whole[part], rest[part], multiplier) for part in whole)


def _evidence(name: str, seen: Tensor, whole: Tensor, rest: Tensor, multiplier: float) -> float:
    deviation = torch.tensor(multiplier / SHARES[name] ** 0.5, dtype=torch.float64)
    unit = GRID
    if name == "moment":
        rows, columns = torch.triu_indices(*whole.shape)
        whole, rest, unit = whole[rows, columns], rest[rows, columns], GRID**2
        deviation = deviation / torch.where(rows == columns, 1.0, 2.0).double().sqrt()
    observed, one, other = (value.double() / unit for value in (seen, whole, rest))
    return float(((2 * observed - one - other) * (one - other) / (2 * deviation**2)).sum())


def lower_bound(inside: Array, outside: Array, delta: float) -> float:
    """Return the largest epsilon that is refuted at 95 %: log((TPR - delta) / FPR), by Clopper-Pearson limits.

    Both halves of the evidence count: thresholds above which the canary is suspected, and below which it is not. The
    threshold is chosen on the first half of the releases, and judged on the other half.
    """
    half = len(inside) // 2
    best = 0.0
    for sign in (1, -1):
        one, other = (inside, outside) if sign == 1 else (-outside, -inside)
        thresholds = np.quantile(np.r_[one[:half], other[:half]], np.linspace(0.02, 0.98, 97))

        def bound(threshold: float, a: Array, b: Array, level: float) -> float:
            hits, alarms = int((a > threshold).sum()), int((b > threshold).sum())
            low = beta.ppf(level, hits, len(a) - hits + 1) if hits else 0.0
            high = beta.ppf(1 - level, alarms + 1, len(b) - alarms) if alarms < len(b) else 1.0
            return float(np.log(max((low - delta) / high, 1e-9)))

        chosen = max(thresholds, key=lambda value: bound(value, one[:half], other[:half], 0.025))
        # Two limits, in two directions: 95 % together.
        best = max(best, bound(float(chosen), one[half:], other[half:], 0.0125))
    return best


PARTS: dict[str, Callable[[str, int, argparse.Namespace], dict[str, Any]]] = {
    "clothing": measure_accuracy,
    "caltech101": measure_accuracy,
    "attack": attack,
    "canary": canary,
}


def format_tables(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the tables of accuracy, of the attack, and of the canary audit."""
    accuracy, attacks, canaries = [], [], []
    for name in ("clothing", "caltech101"):
        found = [row for key, row in rows.items() if key.startswith(f"{name} ")]
        if found:
            cells = []
            for key in ("none", *(f"{epsilon:g}" for epsilon in EPSILONS)):
                values = [100 * row[key] for row in found]
                cells.append(f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else ""))
            accuracy.append((f"`{name}`", len(found), *cells))
    for key, row in rows.items():
        if key.startswith("attack "):
            for epsilon, rate in row["rates"].items():
                share, low, high = (f"{100 * rate[part]:.2f}" for part in ("rate", "low", "high"))
                attacks.append((epsilon, f"{share} % ({low} to {high})"))
        elif key.startswith("canary "):
            canaries += [(epsilon, f"{bound:.2f}") for epsilon, bound in row["bounds"].items()]
    heads = "photos of | runs | no guarantee | epsilon 8 | epsilon 3 | epsilon 1"
    return [
        *pages.table(heads, accuracy),
        *(pages.table("epsilon | members found at 0.1 % false alarms", attacks) if attacks else []),
        *(pages.table("epsilon by the account | lower bound by the canary", canaries) if canaries else []),
    ]


def main() -> None:
    options = pages.parse_parts(__doc__, PARTS, "runs/private")
    rows = pages.measure_parts("private", options, lambda name, seed: PARTS[name](name, seed, options))
    pages.write_section(pages.DOCS / "privacy.md", "private.py", format_tables(rows))


if __name__ == "__main__":
    main()
