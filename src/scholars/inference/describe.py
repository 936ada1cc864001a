"""Describe a scholar: as data for ``scholars inspect --json``, and as a tree for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.tree import Tree
from torch import nn

from scholars.evaluation.accuracy import accuracy
from scholars.scholar import Scholar
from scholars.storage.records import Audit
from scholars.tasks.task import Task


def describe(scholar: Scholar, folder: Path, tests: Sequence[Task] = ()) -> dict[str, Any]:
    """Return what ``scholars inspect --json`` prints of the scholar in ``folder``.

    tests: tasks on whose real test parts its accuracy is measured now

    Raises InputError for a task with a class that it never learned.
    """
    return {
        "generation": scholar.generation,
        "classes": list(scholar.classes),
        "image": scholar.settings.image.model_dump(mode="json"),
        "generator": scholar.settings.generator.kind if scholar.generator else None,
        "parameters": {
            "solver": count_parameters(scholar.solver),
            "generator": count_parameters(scholar.generator) if scholar.generator else 0,
        },
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()},
        "accuracy_now": {task.name: accuracy(scholar, task) for task in tests},
        "lineage": [record.model_dump(mode="json") for record in scholar.lineage],
    }


def count_parameters(module: nn.Module) -> int:
    """Return the number of trained parameters of a module."""
    return sum(value.numel() for value in module.parameters())


def lineage_tree(scholar: Scholar, title: str, description: Mapping[str, Any]) -> Tree:
    """Return the networks and the lineage, oldest task first, as a tree; ``description`` is that of `describe`."""
    now: dict[str, float] = dict(description["accuracy_now"])
    image = scholar.settings.image
    # escape: names may hold brackets, which rich takes for markup.
    tree = Tree(f"[bold]{escape(title)}[/]: generation {scholar.generation}, {_counted(scholar.classes)}")
    tree.add(f"images: {image.size} x {image.size}, {'RGB' if image.channels == 3 else 'grey'}")
    tree.add(f"classes: {escape(', '.join(scholar.classes))}")
    counts, kind = description["parameters"], scholar.settings.generator.kind
    tree.add(f"solver: {scholar.settings.solver.kind}, {counts['solver']:,} parameters")
    tree.add(f"generator: {kind}, {counts['generator']:,} parameters" if scholar.generator else "no generator")
    sizes = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in description["bytes"].items())
    tree.add(f"on disk: {escape(sizes)}")
    lineage = tree.add("lineage")
    for generation, record in enumerate(scholar.lineage, start=1):
        spent = ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in record.seconds.items())
        task = lineage.add(
            f"{generation}  [bold]{escape(record.name)}[/], learned {record.learned_at}, seed {record.seed}"
        )
        task.add(f"{record.train_count:,} training and {record.test_count:,} test images of {_counted(record.classes)}")
        learned = "not tested" if record.accuracy is None else f"{100 * record.accuracy:.1f} % right on its test part"
        later = f", {100 * now.pop(record.name):.1f} % now" if record.name in now else ""
        task.add(f"{learned} when learned{later}")
        task.add(f"cost: {spent}")
        if record.audit:
            _add_audit(task.add("audit of the dreams after it"), record.audit)
    for name, score in now.items():
        tree.add(f"{escape(name)}: {100 * score:.1f} % right now")
    return tree


def _counted(classes: Sequence[str]) -> str:
    return f"{len(classes)} class{'es' * (len(classes) != 1)}"


def _add_audit(tree: Tree, audit: Audit) -> None:
    for entry in audit.tasks:
        tree.add(
            f"{escape(entry.name)}: a solver trained on dreams only is right on {100 * entry.accuracy:.1f} % of its "
            f"test part; recall {entry.recall:.2f}; {100 * entry.copies:.2f} % may be copies of training images"
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
