"""Estimate how long a whole experiment takes on this machine, from a few measured steps."""

from collections.abc import Sequence
from dataclasses import replace

from scholars.experiments.methods import METHODS
from scholars.experiments.recipe import Recipe
from scholars.learning.arguments import LearnArgs
from scholars.learning.estimate import Estimate, estimate, estimate_audit, estimate_learning, measure_pace
from scholars.learning.looking import resolve_backbone
from scholars.tasks.task import Task


def estimate_run(recipe: Recipe, tasks: Sequence[Task]) -> Estimate:
    """Return about how long all methods and seeds of ``recipe`` take; its stream is ``tasks``.

    Of a scholar of pixels, the first task is learned once for all methods. Of one with a backbone, looking counts once.
    """
    settings, backbone = resolve_backbone(None, recipe.settings())
    lessons = [LearnArgs(task, None, "dreams", settings, recipe.seeds[0]) for task in tasks]
    total = Estimate(0.0, 0.0)
    if backbone:
        for args in lessons:
            total += estimate(args, backbone)
        return total
    every_class = replace(tasks[0], classes=tuple({name: None for task in tasks for name in task.classes}))
    pace = measure_pace(replace(lessons[0], task=every_class), None)
    for name in recipe.methods:
        for index, args in enumerate(lessons):
            dreams = name == "replay"
            if index or dreams or METHODS[name].joint or "replay" not in recipe.methods:
                total += estimate_learning(args, pace, dreams)
            if dreams:
                total += estimate_audit(args, pace)
    return total.times(len(recipe.seeds))
