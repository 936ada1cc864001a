"""The page about one scholar: what it knows, what it dreams, how it came to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from scholars.evaluate import judge, together
from scholars.inspecting import described
from scholars.keepsakes import samples_of
from scholars.report.audits import by_class
from scholars.report.confusions import confusions
from scholars.report.html import write_page
from scholars.report.memory import remembered
from scholars.report.words import PERCENT, megabytes, number, percent
from scholars.scholar import Scholar
from scholars.tasks.task import Task


def write_portrait(folder: Path, out: Path, tests: Sequence[Task] = ()) -> Path:
    """Write the page of the scholar in ``folder`` and return its path.

    tests: tasks on whose real test parts it is judged now, and whose images stand beside its dreams; without them the
        page has the figures of the lineage

    Raises InputError for a folder that holds no scholar, and for a task with a class that it never learned.
    """
    scholar = Scholar.load(folder)
    found = described(scholar, folder)
    judged = {task.name: judge(scholar, task) for task in tests}
    now = {name: percent(one.accuracy) for name, one in judged.items()}
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
    facts = {
        "images": f"{scholar.settings.image.size} x {scholar.settings.image.size}, "
        f"{'colour' if scholar.settings.image.channels == 3 else 'grey'}",
        "classes": list(scholar.classes),
        "generator": found["generator"],
        "parameters": {name: number(count) for name, count in found["parameters"].items()},
        "on disk, MB": {name: megabytes(size) for name, size in found["bytes"].items()},
    }
    write_page(
        out,
        "scholar.html",
        title=folder.resolve().name,
        headline=_headline(scholar, now),
        generation=scholar.generation,
        lineage=lineage,
        is_judged=bool(now),
        elsewhere={name: value for name, value in now.items() if name not in {r.name for r in scholar.lineage}},
        memory=remembered([scholar], {task.name: samples_of(task) for task in tests}),
        audits=scholar.lineage,
        classes=by_class(scholar.lineage),
        training=_training(scholar),
        confusions=confusions(together(list(judged.values())), scholar.classes) if judged else None,
        facts=facts,
        config=yaml.safe_dump(scholar.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    )
    return out


def _training(scholar: Scholar) -> list[tuple[str, str, str]]:
    """(task, stage, what its training last reported) for every stage of every task."""
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
