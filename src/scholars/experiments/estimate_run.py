"""Estimate how long a whole experiment takes on this machine, from a few measured steps."""

from collections.abc import Sequence
from dataclasses import replace

from scholars.experiments.methods import METHODS
from scholars.experiments.recipe import Recipe
from scholars.learning.arguments import LearnArgs
from scholars.learning.estimate import Estimate, estimate_audit, estimate_learning, estimate_looking, measure_pace
from scholars.learning.looking import resolve_backbone
from scholars.tasks.task import Task


def estimate_run(recipe: Recipe, tasks: Sequence[Task]) -> Estimate:
    """Return about how long all methods and seeds of ``recipe`` take; its stream is ``tasks``.

    Of a scholar of pixels, the methods without dreams learn the first task once. Of one with a backbone, looking counts
    once.
    """
    settings, backbone = resolve_backbone(None, recipe.settings())
    lessons = [LearnArgs(task, None, "dreams", settings, recipe.seeds[0]) for task in tasks]
    every_class = replace(tasks[0], classes=tuple({name: None for task in tasks for name in task.classes}))
    pace = measure_pace(replace(lessons[0], new=every_class), backbone)
    total, is_first_known = Estimate(0.0, 0.0), False
    for name in recipe.methods:
        dreams, joint = name == "replay", METHODS[name].joint
        for index, args in enumerate(lessons):
            if index or dreams or joint or backbone or not is_first_known:
                total += estimate_learning(args, pace, dreams)
            if dreams and not backbone:
                total += estimate_audit(args, pace)
        is_first_known = is_first_known or not joint
    total = total.times(len(recipe.seeds))
    if backbone:
        for args in lessons:
            total += estimate_looking(args, backbone)
    return total
