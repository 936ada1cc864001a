"""The page about one scholar: what it learned, its dreams, its training and settings."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from scholars.evaluation.accuracy import concat, evaluate
from scholars.experiments.samples import select_samples
from scholars.inference.describe import describe
from scholars.report.audits import build_class_table
from scholars.report.confusions import summarise_confusions
from scholars.report.dream_grid import build_dream_grid
from scholars.report.formatting import PERCENT, megabytes, number, percent
from scholars.report.html import write_page
from scholars.scholar import Scholar
from scholars.tasks.task import Task


def write_scholar_page(folder: Path, out: Path, tests: Sequence[Task] = ()) -> Path:
    """Write the page of the scholar in ``folder`` and return its path.

    tests: tasks on whose real test parts it is evaluated now, and whose images stand beside its dreams; without them
        the page has the figures of the lineage

    Raises InputError for a folder that holds no scholar, and for a task with a class that it never learned.
    """
    scholar = Scholar.load(folder)
    description = describe(scholar, folder)
    evaluations = {task.name: evaluate(scholar, task) for task in tests}
    now = {name: percent(evaluation.accuracy) for name, evaluation in evaluations.items()}
    lineage = [
        {
            "name": record.name,
            "when": record.learned_at[:10],
            "classes": ", ".join(record.classes),
            "images": number(record.train_count),
            "accuracy": percent(record.accuracy),
            "now": now.get(record.name, ""),
            "seconds": number(sum(record.seconds.values())),
            "dreamt": number(record.dreamt),
        }
        for record in scholar.lineage
    ]
    shape = scholar.settings.image
    facts = {
        "images": f"{shape.size} x {shape.size}, {'colour' if shape.channels == 3 else 'grey'}",
        "classes": list(scholar.classes),
        "generator": description["generator"],
        "parameters": {name: number(count) for name, count in description["parameters"].items()},
        "on disk, MB": {name: megabytes(size) for name, size in description["bytes"].items()},
    }
    write_page(
        out,
        "scholar.html",
        title=folder.resolve().name,
        headline=_headline(scholar, now),
        generation=scholar.generation,
        lineage=lineage,
        is_evaluated=bool(now),
        elsewhere={name: value for name, value in now.items() if name not in {r.name for r in scholar.lineage}},
        dreams=build_dream_grid([scholar], {task.name: select_samples(task) for task in tests}),
        audits=scholar.lineage,
        classes=build_class_table(scholar.lineage),
        training=_training(scholar),
        confusions=summarise_confusions(concat(list(evaluations.values())), scholar.classes) if evaluations else None,
        facts=facts,
        config=yaml.safe_dump(scholar.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    )
    return out


def _training(scholar: Scholar) -> list[tuple[str, str, str]]:
    """Return (task, stage, what its training last reported) for every stage of every task."""
    return [
        (record.name, stage, ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items()))
        for record in scholar.lineage
        for stage, metrics in record.metrics.items()
    ]


def _headline(scholar: Scholar, now: dict[str, str]) -> str:
    tasks = [record.name for record in scholar.lineage]
    learned = ", then ".join(tasks) if len(tasks) <= 5 else f"{len(tasks)} tasks one after another"
    words = f"A scholar that learned {learned}, and knows {len(scholar.classes)} classes"
    if now:
        words += "; right now on " + ", ".join(
            f"{value}{PERCENT} of the test images of {name}" for name, value in now.items()
        )
    return words + "."
