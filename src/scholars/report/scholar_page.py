"""The page about one scholar: what it learned, its dreams, its training and settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scholars.evaluation.accuracy import concat, evaluate
from scholars.experiments.samples import select_samples
from scholars.inference.describe import describe, describe_training, gaussians, span
from scholars.privacy.describe import describe_privacy
from scholars.report.audits import build_class_table
from scholars.report.confusions import summarise_confusions
from scholars.report.dream_grid import build_dream_grid
from scholars.report.formatting import PERCENT, megabytes, number, percent
from scholars.report.html import write_page
from scholars.report.lineage_graph import draw_lineage
from scholars.scholar import Scholar
from scholars.storage.records import LineageRecord, generations
from scholars.tasks.task import Task

# Class names in a row of the lineage; a task may have a thousand.
_MAX_NAMES = 10


def write_scholar_page(folder: Path, out: Path, tests: Sequence[Task] = ()) -> Path:
    """Write the page of the scholar in ``folder`` and return its path.

    tests: tasks on whose real test parts it is evaluated now, and whose images stand beside its dreams; without them
        the page has the figures of the lineage

    Raises InputError for a folder that holds no scholar, and for a task with a class that it never learned.
    """
    scholar = Scholar.load(folder)
    description, fit = describe(scholar, folder), scholar.settings.image.fit
    evaluations = {task.name: evaluate(scholar, task) for task in tests}
    now = {name: percent(evaluation.accuracy) for name, evaluation in evaluations.items()}
    means = {name: percent(found.mean_class_accuracy) for name, found in evaluations.items() if found.is_uneven}
    numbers = generations(scholar.lineage)
    lineage = [
        {
            "generation": generation,
            "name": record.name,
            "when": record.learned_at[:10],
            "classes": _some(record.classes),
            "images": _images(record),
            "accuracy": percent(record.accuracy),
            "class_mean": percent(record.mean_class_accuracy) if record.is_uneven else "",
            "now": now.get(record.name, ""),
            "class_mean_now": means.get(record.name, ""),
            "seconds": number(sum(record.seconds.values())) if record.seconds else "",
            "dreamt": number(record.dreamt) if record.seconds else "",
            "budget": describe_training(record),
        }
        for generation, record in zip(numbers, scholar.lineage, strict=True)
    ]
    write_page(
        out,
        "scholar.html",
        title=folder.resolve().name,
        headline=_headline(scholar, now),
        generation=scholar.generation,
        lineage=lineage,
        graph=draw_lineage(scholar.lineage),
        privacy=describe_privacy(scholar.privacy, scholar.lineage),
        is_evaluated=bool(now),
        is_uneven=bool(means) or any(record.is_uneven for record in scholar.lineage),
        elsewhere={
            name: (value, means.get(name, ""))
            for name, value in now.items()
            if name not in {record.name for record in scholar.tasks}
        },
        dreams=build_dream_grid([scholar], {task.name: select_samples(task, fit) for task in tests}),
        audits=scholar.lineage,
        classes=build_class_table(scholar.lineage),
        training=_training(scholar),
        confusions=summarise_confusions(concat(list(evaluations.values())), scholar.classes) if evaluations else None,
        facts=_facts(scholar, description, tests),
        memories=description["memories"],
        config=yaml.safe_dump(scholar.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    )
    return out


def _images(record: LineageRecord) -> str:
    """Return how many images a task had; of a private one by a count with noise."""
    if record.kind != "learn":
        return ""
    return f"{'about ' if record.private else ''}{number(record.train_count)}"


def _facts(scholar: Scholar, description: Mapping[str, Any], tests: Sequence[Task]) -> dict[str, Any]:
    shape, memories = scholar.settings.image, description["memories"]
    counts = {name: number(count) for name, count in description["parameters"].items()}
    facts: dict[str, Any] = {
        "images": f"{shape.size} x {shape.size}, {'colour' if shape.channels == 3 else 'grey'}, fit: {shape.fit}",
        "classes": list(scholar.classes),
    }
    if backbone := description["backbone"]:
        facts["backbone"] = {
            "name": backbone["name"],
            "licence": backbone["licence"],
            "looks at": f"{backbone['size']} x {backbone['size']} pixels",
            "length of a feature vector": number(backbone["features"]),
            "engine": backbone["engine"],
        }
    facts["solver"] = scholar.settings.solver.kind
    facts["generator"] = description["generator"]
    if memories:
        facts["memories"] = _describe_memories(memories, _photo_bytes(scholar, tests))
        del counts["generator"]  # it is fitted, and has memories
    facts["parameters"] = counts
    facts["on disk, MB"] = {name: megabytes(size) for name, size in description["bytes"].items()}
    return facts


def _describe_memories(memories: Mapping[str, Any], photo_bytes: int | None) -> str:
    """Say how many memories there are and what they take, beside what is not kept."""
    kilobytes = span([round(one["bytes"] / 1000) for one in memories["classes"]])
    photos = number(memories["photos"])
    files = "" if photo_bytes is None else f", and the photos themselves {megabytes(photo_bytes)} MB"
    return (
        f"{number(memories['count'])}, one for each class of each task, of {gaussians(memories)}; "
        f"{megabytes(memories['bytes'])} MB in all, {kilobytes} KB each. The features of all {photos} photos, in all "
        f"their views, would take {megabytes(memories['feature_bytes'])} MB in fp16{files}"
    )


def _photo_bytes(scholar: Scholar, tasks: Sequence[Task]) -> int | None:
    """Return the bytes of all photos that it learned; None unless ``tasks`` are those of its lineage."""
    train = {task.name: task.train for task in tasks}
    if any(len(train.get(record.name, ())) != record.train_count for record in scholar.tasks):
        return None
    return sum(train[record.name].nbytes for record in scholar.tasks)


def _some(names: Sequence[str]) -> str:
    """Return the first names of many, and how many more there are: all are among the facts."""
    rest = [f"and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return ", ".join([*names[:_MAX_NAMES], *rest])


def _training(scholar: Scholar) -> list[tuple[str, str, str, str]]:
    """Return (task, stage, seconds, what its training last reported) for every stage of every task."""
    return [
        (
            record.name,
            stage,
            number(record.seconds.get(stage), 1),
            ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in record.metrics.get(stage, {}).items()),
        )
        for record in scholar.lineage
        for stage in record.seconds | record.metrics
    ]


def _headline(scholar: Scholar, now: dict[str, str]) -> str:
    tasks = [record.name for record in scholar.tasks]
    in_turn = all(len(record.parents) < 2 for record in scholar.lineage)
    learned = f"{len(tasks)} tasks{' one after another' if in_turn else ''}"
    if len(tasks) <= 5:
        learned = (", then " if in_turn else ", ").join(tasks)
    words = f"A scholar that learned {learned}, and knows {len(scholar.classes)} classes"
    if now:
        words += "; right now on " + ", ".join(
            f"{value}{PERCENT} of the test images of {name}" for name, value in now.items()
        )
    return words + "."
