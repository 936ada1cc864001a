"""Describe a scholar: as data for ``scholars inspect --json``, and as a tree for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.tree import Tree
from torch import nn

from scholars.evaluation.accuracy import evaluate
from scholars.generators import Mixture
from scholars.privacy.describe import describe_privacy, privacy_facts
from scholars.scholar import Scholar
from scholars.storage.records import LineageRecord, generations
from scholars.tasks.task import Task


def describe(scholar: Scholar, folder: Path, tests: Sequence[Task] = ()) -> dict[str, Any]:
    """Return what ``scholars inspect --json`` prints of the scholar in ``folder``.

    tests: tasks on whose real test parts its accuracy is measured now

    Raises InputError for a task with a class that it never learned.
    """
    evaluations = {task.name: evaluate(scholar, task) for task in tests}
    return {
        "generation": scholar.generation,
        "classes": list(scholar.classes),
        "image": scholar.settings.image.model_dump(mode="json"),
        "backbone": _describe_backbone(scholar),
        "privacy": privacy_facts(scholar.privacy, scholar.lineage),
        "generator": scholar.settings.generator.kind if scholar.generator else None,
        "memories": _describe_memories(scholar),
        "parameters": {
            "solver": count_parameters(scholar.solver),
            "generator": count_parameters(scholar.generator) if scholar.generator else 0,
        },
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()},
        "accuracy_now": {name: found.accuracy for name, found in evaluations.items()},
        "mean_class_accuracy_now": {name: found.mean_class_accuracy for name, found in evaluations.items()},
        "lineage": [record.model_dump(mode="json", exclude={"trained"}) for record in scholar.lineage],
    }


def _describe_backbone(scholar: Scholar) -> dict[str, Any] | None:
    """Return what the backbone is, and what ran it in the last training; None for a scholar of pixels."""
    if scholar.backbone is None:
        return None
    return {**scholar.backbone.record.model_dump(mode="json"), "engine": scholar.lineage[-1].engine}


def _describe_memories(scholar: Scholar) -> dict[str, Any] | None:
    """Return how many memories there are and what they take, in all and for each class of each task; None without any.

    feature_bytes: what the features of all photos, in all views, would take in half precision
    """
    if not isinstance(scholar.generator, Mixture):
        return None
    known = list(zip(scholar.conditions, scholar.generator.memories, strict=True))
    views = [1 + (record.settings.views if record.settings.backbone else 0) for record in scholar.lineage]
    return {
        "count": len(known),
        "photos": sum(int(memory.photos) for _, memory in known),
        "bytes": sum(memory.nbytes for _, memory in known),
        "feature_bytes": sum(2 * int(memory.photos) * views[task] * len(memory.mean) for (task, _), memory in known),
        "classes": [
            {
                "task": scholar.lineage[task].name,
                "class": scholar.classes[output],
                "photos": int(memory.photos),
                "components": len(memory.weights),
                "bytes": memory.nbytes,
            }
            for (task, output), memory in known
        ],
    }


def count_parameters(module: nn.Module) -> int:
    """Return the number of trained parameters of a module."""
    return sum(value.numel() for value in module.parameters())


def lineage_tree(scholar: Scholar, title: str, description: Mapping[str, Any]) -> Tree:
    """Return the networks and the lineage, oldest task first, as a tree; ``description`` is that of `describe`."""
    means: Mapping[str, float] = description["mean_class_accuracy_now"]
    now = {name: _right(share, means[name]) for name, share in description["accuracy_now"].items()}
    image = scholar.settings.image
    # escape: names may hold brackets, which rich takes for markup.
    tree = Tree(f"[bold]{escape(title)}[/]: generation {scholar.generation}, {_counted(scholar.classes)}")
    tree.add(f"images: {image.size} x {image.size}, {'RGB' if image.channels == 3 else 'grey'}, fit: {image.fit}")
    if backbone := description["backbone"]:
        about = f"{backbone['name']} (licence: {backbone['licence']})"
        seen = f"{backbone['features']:,} features of {image.size} x {image.size} pixels"
        tree.add(f"backbone: {escape(about)}, {seen}, run by {backbone['engine']}")
    tree.add(f"classes: {escape(', '.join(scholar.classes))}")
    counts, kind = description["parameters"], scholar.settings.generator.kind
    tree.add(f"solver: {scholar.settings.solver.kind}, {counts['solver']:,} parameters")
    if memories := description["memories"]:
        tree.add(
            f"memories: {memories['count']:,} of {memories['photos']:,} photos, {gaussians(memories)} each: "
            f"{_mib(memories['bytes'])}, where all features would take {_mib(memories['feature_bytes'])}"
        )
    else:
        tree.add(f"generator: {kind}, {counts['generator']:,} parameters" if scholar.generator else "no generator")
    if privacy := describe_privacy(scholar.privacy, scholar.lineage):
        tree.add(f"privacy: {escape(privacy)}")
    sizes = ", ".join(f"{name} {_mib(size)}" for name, size in description["bytes"].items())
    tree.add(f"on disk: {escape(sizes)}")
    _add_past(tree.add("lineage"), scholar.lineage, len(scholar.lineage) - 1, now, set())
    for name, share in now.items():
        if name not in {record.name for record in scholar.tasks}:
            tree.add(f"{escape(name)}: {share} right now")
    return tree


def _add_past(tree: Tree, lineage: Sequence[LineageRecord], head: int, now: Mapping[str, str], shown: set[int]) -> None:
    """Add the record ``head`` and what came before it, oldest first; where it came from several, each in a branch.

    shown: the records that were added, of which each is once
    """
    path = [head]
    while len(parents := lineage[path[-1]].parents) == 1 and path[-1] not in shown:
        path.append(parents[0])
    if path[-1] not in shown:
        for place, parent in enumerate(parents, start=1):
            _add_past(tree.add(f"scholar {place} of {len(parents)}"), lineage, parent, now, shown)
    depths = generations(lineage)
    for index in reversed(path):
        record, title = lineage[index], f"{depths[index]}  [bold]{escape(lineage[index].name)}[/]"
        if index in shown:
            tree.add(f"{title}, as above")
        else:
            _add_record(tree.add(f"{title}, {_when(record)}, seed {record.seed}"), record, now)
        shown.add(index)


def _when(record: LineageRecord) -> str:
    return f"{'learned ' if record.kind == 'learn' else ''}{record.learned_at}"


def _add_record(entry: Tree, record: LineageRecord, now: Mapping[str, str]) -> None:
    if record.kind == "learn":
        about = "about " if record.private else ""
        images = f"{about}{record.train_count:,} training and {record.test_count:,} test images"
        entry.add(f"{images} of {_counted(record.classes)}")
        learned = "not tested"
        if record.accuracy is not None:
            learned = f"{_right(record.accuracy, record.mean_class_accuracy)} right on its test part"
        later = f", {now[record.name]} now" if record.name in now else ""
        since = ", and has learned these images since" if record.refit else ""
        entry.add(f"{learned} when learned{since}{later}")
    if record.seconds:
        entry.add("cost: " + ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in record.seconds.items()))
    entry.add(f"budget: {describe_training(record)}")
    if record.audit:
        _add_audit(entry.add("audit of the dreams after it"), record)


def span(counts: Sequence[int]) -> str:
    """Return the least and the largest of some counts, ``1 to 8``; one number where they are equal."""
    return f"{min(counts):,} to {max(counts):,}" if min(counts) < max(counts) else f"{counts[0]:,}"


def gaussians(memories: Mapping[str, Any]) -> str:
    """Return how many Gaussians each memory has, ``1 to 8 Gaussians``; ``memories`` as in `describe`."""
    counts = [one["components"] for one in memories["classes"]]
    return f"{span(counts)} Gaussian{'s' * (max(counts) > 1)}"


def describe_training(record: LineageRecord) -> str:
    """Return the budget that a task was learned with, and what followed from its data: ``normal; solver.steps 600``."""
    plan = [f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in record.plan.items()]
    return "; ".join([record.settings.described_budget, *([", ".join(plan)] if plan else [])])


def _right(accuracy: float, class_mean: float | None) -> str:
    """Return an accuracy in percent, with the mean over classes where that is another figure."""
    share, mean = (None if value is None else f"{100 * value:.1f} %" for value in (accuracy, class_mean))
    return f"{share} (mean over classes {mean})" if mean not in (None, share) else f"{share}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _counted(classes: Sequence[str]) -> str:
    return f"{len(classes)} class{'es' * (len(classes) != 1)}"


def _add_audit(tree: Tree, record: LineageRecord) -> None:
    audit = record.audit
    assert audit
    probe, copies = "a solver trained on dreams only is", "may be copies of training images"
    if record.settings.backbone:
        probe, copies = "its solver, trained on dreams only, is", "may be copies of features of training images"
    for entry in audit.tasks:
        tree.add(
            f"{escape(entry.name)}: {probe} right on {100 * entry.accuracy:.1f} % of its "
            f"test part; recall {entry.recall:.2f}; {100 * entry.copies:.2f} % {copies}"
        )
    if audit.frechet_distance is not None and audit.precision is not None:
        tree.add(f"Frechet distance {audit.frechet_distance:.1f}, precision {audit.precision:.2f}")
    shares = ", ".join(
        f"{entry.name} {100 * entry.share:.0f} %" + (f" ({entry.confidence:.2f})" if entry.confidence else "")
        for entry in audit.classes
    )
    tree.add(f"classes of {audit.dreams:,} dreams, and the solver's confidence: {escape(shares)}")
    for warning in audit.warnings:
        tree.add(f"[bold yellow]warning[/]: {escape(warning)}")
