"""Photo streams: replay beside joint training and what people know, on the same features, with paired intervals.

python benchmarks/photo_streams.py RECIPE ... --data-dir DIR [--seeds 0 1 2] [--set KEY=VALUE ...]

For each recipe and seed: replay (the last scholar of the stream) and joint, both by Scholars; in closed form, on the
real features of the plain views and of all views of all tasks at once, linear discriminant analysis (shrinkage 0.1),
the nearest class mean, and a random projection to 4,000 ReLU units with ridge regression (McDonnell et al. 2023, RanPAC
without its first phase; lambda by a fifth of the training photos). Accuracy is the mean over tasks of the share of
test photos that are right. Differences to replay have a 95 % interval by bootstrap over test photos within each task,
paired and over all seeds.

Rows are kept in benchmarks/measured/photo-streams.json, and replaced by those measured anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from scholars import Recipe, Scholar, Task, learn, read_recipe
from scholars.experiments.environment import describe_environment
from scholars.experiments.stream import open_stream
from scholars.learning.looking import look_at_task, resolve_backbone
from scholars.settings.overrides import parse_changes
from scholars.storage.files import write_json

MEASURED = Path(__file__).parent / "measured" / "photo-streams.json"
SHRINKAGE, PROJECTED, LAMBDAS = 0.1, 4000, [10.0**power for power in range(1, 9)]
DRAWS = 2000
Right = list[npt.NDArray[np.bool_]]


def look_at_stream(recipe: Recipe, data_dir: Path) -> tuple[list[Task], Any, Any]:
    """Return the tasks with their features, the backbone, and the settings."""
    settings, backbone = resolve_backbone(None, recipe.settings())
    if backbone is None:
        raise SystemExit(f"{recipe.name} has no backbone")
    tasks = [look_at_task(task, backbone, settings) for task in open_stream(recipe, 0, data_dir)]
    return tasks, backbone, settings


def of_scholar(scholar: Scholar, tasks: Sequence[Task]) -> Right:
    """Return which test photos of each task a scholar gets right."""
    found = []
    for task in tasks:
        predicted = scholar.probabilities(task.test.feature_tensor[:, 0]).argmax(1)
        names = np.array(scholar.classes)[predicted.numpy()]
        found.append(names == np.array(task.classes)[task.test.labels])
    return found


def stack(tasks: Sequence[Task], names: Sequence[str], part: str, views: bool) -> tuple[Tensor, Tensor]:
    """Return features ``[N, D]`` and labels of all tasks."""
    features, labels = [], []
    for task in tasks:
        images = getattr(task, part)
        seen = images.feature_tensor.float()
        seen = seen if views else seen[:, :1]
        own = torch.tensor([names.index(name) for name in task.classes])[images.label_tensor]
        features.append(seen.flatten(0, 1))
        labels.append(own.repeat_interleave(seen.shape[1]))
    return torch.cat(features), torch.cat(labels)


def class_means(x: Tensor, y: Tensor, count: int) -> Tensor:
    return torch.stack([x[y == label].mean(0) for label in range(count)])


def lda(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    means = class_means(x, y, count)
    centred = x - means[y]
    spread = centred.T @ centred / len(x)
    spread = (1 - SHRINKAGE) * spread + SHRINKAGE * spread.diagonal().mean() * torch.eye(len(spread))
    weight = torch.linalg.solve(spread, means.T).T
    return weight, -0.5 * (weight * means).sum(1)


def ncm(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    means = class_means(x, y, count)
    return means, -0.5 * means.square().sum(1)


def ridge(x: Tensor, y: Tensor, count: int, photos: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the projection ``[D, 4000]``, the weights ``[4000, K]``, and lambda, chosen on a fifth of the photos."""
    torch.manual_seed(0)
    projection = torch.randn(x.shape[1], PROJECTED)
    hidden = ((x - x.mean(0)) @ projection).relu()
    targets = F.one_hot(y, count).float()
    held_out = (torch.rand(int(photos.max()) + 1) < 0.2)[photos]
    gram, cross = hidden[~held_out].T @ hidden[~held_out], hidden[~held_out].T @ targets[~held_out]

    def score(value: float) -> float:
        weights = torch.linalg.solve(gram + value * torch.eye(PROJECTED), cross)
        return float(((hidden[held_out] @ weights).argmax(1) == y[held_out]).float().mean())

    best = max(LAMBDAS, key=score)
    whole = hidden.T @ hidden + best * torch.eye(PROJECTED)
    return projection, torch.linalg.solve(whole, hidden.T @ targets), best


def closed_forms(tasks: Sequence[Task], views: bool) -> dict[str, Right]:
    """Return which test photos the closed forms get right, on the plain view or on all views."""
    names = sorted({name for task in tasks for name in task.classes})
    x, y = stack(tasks, names, "train", views)
    per_photo = tasks[0].train.feature_tensor.shape[1] if views else 1
    photos = torch.arange(len(x)) // per_photo
    tests = [stack([task], names, "test", False) for task in tasks]
    found: dict[str, Right] = {}
    for name, (weight, bias) in {"lda": lda(x, y, len(names)), "ncm": ncm(x, y, len(names))}.items():
        found[name] = [((t @ weight.T + bias).argmax(1) == own).numpy() for t, own in tests]
    projection, weights, _ = ridge(x, y, len(names), photos)
    mean = x.mean(0)
    found["ridge"] = [((((t - mean) @ projection).relu() @ weights).argmax(1) == own).numpy() for t, own in tests]
    return {f"{name}, {'all views' if views else 'plain view'}": right for name, right in found.items()}


def average(right: Right) -> float:
    return float(np.mean([task.mean() for task in right]))


def interval(replay: Sequence[Right], other: Sequence[Right]) -> tuple[float, float, float]:
    """Return replay's mean lead over another method, and its 95 % interval: over test photos, and all seeds."""
    rng = np.random.default_rng(0)
    pairs = list(zip(replay, other, strict=True))
    # Per task the mean over seeds of the difference at each photo.
    tasks = [np.mean([a[task].astype(float) - b[task] for a, b in pairs], axis=0) for task in range(len(replay[0]))]
    drawn = [np.mean([own[rng.integers(0, len(own), len(own))].mean() for own in tasks]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(np.mean([own.mean() for own in tasks])), float(low), float(high)


def measure(recipe: Recipe, data_dir: Path, seeds: Sequence[int]) -> dict[str, Any]:
    tasks, backbone, settings = look_at_stream(recipe, data_dir)
    quiet = {"audit": settings.audit.model_copy(update={"dreams": 0})}
    settings = settings.model_copy(update=quiet)
    right: dict[str, list[Right]] = {"replay": [], "joint": []}
    seconds: list[list[float]] = []
    scholar: Scholar | None = None
    for seed in seeds:
        scholar, spent = None, []
        for task in tasks:
            start = time.perf_counter()
            scholar = learn(task, scholar, settings=settings, seed=seed, backbone=backbone)
            spent.append(round(time.perf_counter() - start, 2))
        assert scholar
        seconds.append(spent)
        right["replay"].append(of_scholar(scholar, tasks))
        joint = learn(tasks[-1], settings=settings, seed=seed, past=tasks[:-1], backbone=backbone)
        right["joint"].append(of_scholar(joint, tasks))
        print(recipe.name, seed, {name: round(100 * average(each[-1]), 2) for name, each in right.items()}, flush=True)
    for views in (False, True):
        right |= {name: [found] * len(seeds) for name, found in closed_forms(tasks, views).items()}
    assert scholar
    generator: Any = scholar.generator
    photos = sum(len(task.train) for task in tasks)
    row = {
        "recipe": recipe.name,
        "validation": recipe.validation,
        "seeds": list(seeds),
        "settings": settings.model_dump(mode="json"),
        "accuracy": {name: [round(average(each), 4) for each in found] for name, found in right.items()},
        "lead": {name: interval(right["replay"], found) for name, found in right.items() if name != "replay"},
        "seconds_per_task": seconds,
        "look_seconds": [round(task.look_seconds, 2) for task in tasks],
        "photos": photos,
        "test_photos": sum(len(task.test) for task in tasks),
        "bytes": {
            "memories": sum(memory.nbytes for memory in generator.memories),
            "largest_memory": max(memory.nbytes for memory in generator.memories),
            "memories_count": len(generator.memories),
            "features_fp16": sum(task.train.feature_tensor.nbytes for task in tasks),
            "photos": sum(task.train.nbytes for task in tasks),
        },
        "environment": describe_environment(settings.compute),
    }
    for name in right:
        lead = row["lead"].get(name)
        words = "" if lead is None else "  replay leads by {:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * x for x in lead))
        print(f"{recipe.name}: {name}: {100 * np.mean(row['accuracy'][name]):.2f}{words}", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--out", type=Path, default=MEASURED)
    arguments = parser.parse_args()
    changes: Mapping[str, Any] = parse_changes(arguments.changes)
    kept = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    for name in arguments.recipes:
        row = measure(read_recipe(name, changes), arguments.data_dir, arguments.seeds)
        key = name if row["validation"] is None else f"{name}, validation"
        kept[key] = row
        write_json(arguments.out, kept)


if __name__ == "__main__":
    main()
