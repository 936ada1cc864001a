"""What can be said of a scholar: as data, and as a tree for people."""

from __future__ import annotations

from typing import Any

from rich.tree import Tree
from torch import nn

from scholars.scholar import Scholar


def description(scholar: Scholar) -> dict[str, Any]:
    """Everything ``scholars inspect --json`` prints."""
    return {
        "generation": scholar.generation,
        "classes": list(scholar.classes),
        "image": scholar.settings.image.model_dump(mode="json"),
        "generator": scholar.settings.generator.kind if scholar.generator else None,
        "parameters": {
            "solver": parameters(scholar.solver),
            "generator": parameters(scholar.generator) if scholar.generator else 0,
        },
        "lineage": [record.model_dump(mode="json") for record in scholar.lineage],
    }


def parameters(module: nn.Module) -> int:
    """How many numbers a module has learned."""
    return sum(value.numel() for value in module.parameters())


def lineage_tree(scholar: Scholar, title: str) -> Tree:
    """The lineage, oldest task first, with what the networks are."""
    image = scholar.settings.image
    tree = Tree(f"[bold]{title}[/]: generation {scholar.generation}, {len(scholar.classes)} classes")
    tree.add(f"images: {image.size} x {image.size}, {'RGB' if image.channels == 3 else 'grey'}")
    tree.add(f"classes: {', '.join(scholar.classes)}")
    tree.add(f"solver: CNN, {parameters(scholar.solver):,} parameters")
    kind = scholar.settings.generator.kind
    tree.add(
        f"generator: {kind}, {parameters(scholar.generator):,} parameters" if scholar.generator else "no generator"
    )
    lineage = tree.add("lineage")
    for generation, record in enumerate(scholar.lineage, start=1):
        spent = ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in record.seconds.items())
        task = lineage.add(f"{generation}  [bold]{record.name}[/], learned {record.learned_at}, seed {record.seed}")
        task.add(
            f"{record.train_count:,} training and {record.test_count:,} test images of {len(record.classes)} classes"
        )
        task.add(f"{100 * record.accuracy:.1f} % right on its test part when learned")
        task.add(f"cost: {spent}")
    return tree
