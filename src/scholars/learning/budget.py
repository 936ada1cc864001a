"""The rule by which everything that a user leaves open about the training of pixels follows from the data.

docs/defaults.md explains it, and says what it was fitted on: held-out training images of several streams. With n
training images of p numbers each (784 at least), and a scale s that is 1 for the normal budget:

    solver      s * min(1.2 n, 9 n^(1/2) f, 1150 f) steps, f = (p / 784)^(1/2)
    generator   s * c * min(2.5 n, 1500 f) steps, c by its kind
    bank        a quarter of what solver and generator will draw from it: each dream is drawn four times on average

A task that brings new classes to known ones is learned at another rate, and with noise: there, a solver could take all
that is real for new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scholars.learning.arguments import LearnArgs
from scholars.learning.mixture import generator_share
from scholars.learning.negatives import shows_negatives
from scholars.scholar import Scholar
from scholars.settings import GeneratorSettings, ImageSettings, Settings, SolverSettings
from scholars.settings.base import PLANNED_PARTS, planned
from scholars.training.batches import new_data_ratio

# The steps of each kind, in times of those of r3gan: a step of flow takes five times as long, and teaches more.
_STEPS_OF_KIND: Mapping[str, float] = {"flow": 0.4, "wgan-gp": 1.2, "wgan": 1.4, "gan": 1.4, "vae": 1.2}
# Those of features are small networks, whose steps cost the same whatever the data.
_STEPS_OF_FEATURES: Mapping[str, int] = {"flow": 1800, "r3gan": 2500, "vae": 3000}
_OTHER_STEPS_OF_FEATURES = 4000
# So many images need the most steps: they stand for those of a task whose number was not kept.
_MANY_IMAGES = 60_000


@dataclass(frozen=True)
class Facts:
    """The facts of a task that is about to be learned, by which the rule decides.

    images: training images, those of all tasks where there is no new one
    conditions: (task, class) pairs that the previous scholar knows, 0 for a first task
    ratio, generator_ratio: the share of new data in the batches of solver and generator
    brings_classes: whether it has classes that the previous scholar does not know
    tasks: how many will have been learned then
    negatives: whether its images are as often negatives as not
    continues_on_dreams: whether a solver is trained further by dreams alone
    """

    images: int
    conditions: int = 0
    ratio: float = 1.0
    generator_ratio: float = 1.0
    brings_classes: bool = False
    tasks: int = 1
    negatives: bool = False
    continues_on_dreams: bool = False


def plan_settings(settings: Settings, facts: Facts) -> Settings:
    """Return the settings with everything filled in that was left open; what was set stays.

    With a backbone only a trained generator has anything to fill in: a head's steps are for `heads.head_steps`.
    """
    filled: dict[str, Any] = {}
    generator = settings.generator
    if isinstance(generator, GeneratorSettings) and generator.steps is None:
        filled["generator.steps"] = _generator_steps(settings, facts)
    if isinstance(settings.solver, SolverSettings):
        filled |= _plan_solver(settings.solver, settings, facts)
    plan = _fill(settings, filled)
    if plan.replay.bank is None and isinstance(plan.generator, GeneratorSettings):
        plan = _fill(plan, {"replay.bank": _bank(plan, facts)})
    return plan


def _generator_steps(settings: Settings, facts: Facts) -> int:
    kind = settings.generator.kind
    if settings.backbone:
        return _times(settings.scale, _STEPS_OF_FEATURES.get(kind, _OTHER_STEPS_OF_FEATURES))
    steps = min(2.5 * facts.images, 1500 * _size_factor(settings.image))
    return _times(settings.scale * _STEPS_OF_KIND.get(kind, 1.0), steps)


def _size_factor(image: ImageSettings) -> float:
    """Return how much longer images of this size are learned than those of MNIST, of 784 numbers, or smaller ones."""
    return float(max(1.0, image.channels * image.size**2 / 784) ** 0.5)


def _plan_solver(solver: SolverSettings, settings: Settings, facts: Facts) -> dict[str, Any]:
    """Return what is open of a solver of images, by dotted path."""
    unrelated_pixels, factor = solver.kind == "mlp", _size_factor(settings.image)
    steps = min(1.2 * facts.images, 9 * facts.images**0.5 * factor, 1150 * factor)
    rule = {
        "steps": _times(settings.scale, steps),
        "shift": 0 if unrelated_pixels else 2,
        "warp": 0.0 if unrelated_pixels else 0.15,
        "invert": facts.negatives,
        "noise": 80.0 if facts.brings_classes else 0.0,
    }
    if solver.start == "warm" and (facts.tasks > 1 or facts.continues_on_dreams):
        # The more is known, the less one more task may change: as in a running mean. A task with new classes moves
        # all old ones' logits, too, and its own share of the batches falls already. Dreams alone tell less than the
        # weights do. In few steps little is learned at a low rate.
        low = facts.brings_classes or facts.continues_on_dreams
        rate = 0.001 if low else 0.004 / facts.tasks
        rule["warm_rate"] = min(solver.rate, rate * max(1.0, (600 / (solver.steps or rule["steps"])) ** 0.5))
    return {f"solver.{key}": value for key, value in rule.items() if getattr(solver, key) is None}


def _bank(settings: Settings, facts: Facts) -> int:
    solver, generator = settings.solver, settings.trained_generator
    drawn = 0.0
    # With a backbone the new generator's dreams teach the solver.
    if isinstance(solver, SolverSettings):
        drawn = (1 - facts.ratio) * solver.batch * planned(solver.steps)
    drawn += (1 - facts.generator_ratio) * generator.batches_per_step * generator.batch * planned(generator.steps)
    return max(round(drawn / 4), facts.conditions, 1)


def _times(scale: float, steps: float) -> int:
    return max(1, round(scale * steps))


def facts_of(args: LearnArgs) -> Facts:
    """Return the facts about the task of these arguments."""
    settings, inherited = args.settings, args.inherited
    if args.new is None:
        return Facts(
            images=inherited.images if inherited.is_counted else _MANY_IMAGES,
            conditions=inherited.conditions,
            ratio=0.0,
            generator_ratio=0.0,
            continues_on_dreams=args.previous is not None,
        )
    ratio = new_data_ratio(settings.replay.ratio, args.class_counts) if inherited.dreamers else 1.0
    return Facts(
        images=len(args.new.train),
        conditions=args.known_conditions,
        ratio=ratio,
        generator_ratio=generator_share(args, ratio) if inherited.dreamers else 1.0,
        brings_classes=args.brings_classes,
        tasks=len(args.class_counts),
        negatives=_needs_negatives(settings) and shows_negatives(args.new.train),
    )


def _needs_negatives(settings: Settings) -> bool:
    """Return whether it matters if images are as often negatives as not: some of them have to be looked at."""
    return isinstance(settings.solver, SolverSettings) and settings.solver.invert is None


def planned_settings(scholar: Scholar) -> Settings:
    """Return the settings that a scholar learned its last task with, with what followed from the data filled in."""
    return _fill(scholar.settings, scholar.lineage[-1].plan)


def _fill(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return the settings with these values, by dotted path, in the place of what was left open."""
    for key, value in values.items():
        part, _, name = key.partition(".")
        section = getattr(settings, part).model_copy(update={name: value})
        settings = settings.model_copy(update={part: section})
    return settings


def open_settings(settings: Settings, plan: Settings) -> dict[str, int | float | bool]:
    """Return by dotted path what ``plan`` fills in of ``settings``."""
    filled = {}
    for part in PLANNED_PARTS:
        before, after = getattr(settings, part), getattr(plan, part)
        for key in type(after).model_fields:
            if getattr(before, key) is None and (value := getattr(after, key)) is not None:
                filled[f"{part}.{key}"] = value
    return filled
