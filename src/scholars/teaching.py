"""How one network is taught on a source of batches: what it starts from, what it descends, that it ended finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import randomness, seed_of
from scholars.errors import InputError, ScholarsError
from scholars.fitting import ALONE, Descent, Session, fit
from scholars.generators import Generator, build_generator
from scholars.generators.base import Past
from scholars.replay import Batch, Source
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.solvers import Solver, build_solver

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def teach_solver(
    source: Source,
    *,
    previous: Scholar | None = None,
    classes: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session = ALONE,
    stage: str = "solver",
) -> Solver:
    """A solver of ``classes`` outputs, trained on ``source`` as ``settings.solver`` says.

    previous: whose solver it starts from, if ``start`` is warm
    seed, stage: with the step, where all its randomness comes from

    Raises InputError for a warm start from another network, ScholarsError if it diverged, Interrupted when stopped.
    """
    s = settings.solver
    with randomness(fabric.device):
        torch.manual_seed(seed_of(seed, "solver", -1))
        solver = build_solver(s, settings.image, classes)
        rate = s.rate
        if previous and s.start == "warm":
            before = build_solver(s, settings.image, len(previous.classes))
            _adopt(solver, previous.solver.state_dict(), before, "solver")
            rate = (s.warm_rate or s.rate) / previous.generation**s.warm_decay

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return distillation(model(batch.images).float(), batch.targets, batch.temperatures)

    trainee = Descent(fabric, solver, loss, rate=rate, weight_decay=s.weight_decay)
    fit(trainee, lambda: source.draw(s.batch), fabric=fabric, steps=s.steps, seed=seed, stage=stage, session=session)
    _sound(solver, "solver")
    return solver


def teach_generator(
    source: Source,
    *,
    previous: Scholar | None = None,
    conditions: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session = ALONE,
) -> Generator:
    """A generator of ``conditions``, trained on ``source`` as ``settings.generator`` says.

    Arguments and errors as for `teach_solver`; the first of the conditions are those of ``previous``.
    """
    g = settings.generator
    with randomness(fabric.device):
        torch.manual_seed(seed_of(seed, "generator", -1))
        generator = build_generator(g, settings.image, conditions)
        if previous and previous.generator and g.start == "warm" and isinstance(previous.generator, type(generator)):
            before = build_generator(g, settings.image, len(previous.conditions))
            _adopt(generator, previous.generator.state_dict(), before, "generator")
    if previous:
        generator.past = Past(len(previous.conditions), previous.generator)
    fit(
        generator.trainee(fabric),
        lambda: _sized(source.draw(g.chosen.batch), g.size),
        fabric=fabric,
        steps=g.chosen.steps,
        seed=seed,
        stage="generator",
        session=session,
    )
    # The teacher has done its part. Kept, it would keep its own, and so on.
    generator.past = Past()
    _sound(generator, "generator")
    return generator


def distillation(logits: Tensor, targets: Tensor, temperatures: Tensor) -> Tensor:
    """The mean over the batch of T^2 CE(softmax(logits / T), targets): cross-entropy, where T is 1.

    Soft labels and the solver that learns them have one temperature: if only the labels had T = 2, every task would
    halve the logits anew. T^2 keeps the gradients as large as those of what is told (Hinton et al. 2015, arXiv
    1503.02531, section 2).

    logits, targets: ``[B, K]``; temperatures: ``[B]``
    """
    each = F.cross_entropy(logits / temperatures[:, None], targets, reduction="none")
    return (temperatures.square() * each).mean()


def _adopt(module: nn.Module, weights: Mapping[str, Tensor], before: nn.Module, part: str) -> None:
    """Start from ``weights``. What belongs to new classes or conditions comes after the known, and stays fresh.

    before: the network as it would be now if nothing new came. Other weights than such a network's are refused: a wider
        layer with a narrower one in its corner computes nothing that was learned
    """
    then = {name: value.shape for name, value in before.state_dict().items()}
    for name in sorted(then.keys() | weights.keys()):
        if name not in then or name not in weights or then[name] != weights[name].shape:
            raise InputError(
                f"a warm start needs the network that was learned before: {part} {name!r} has another shape now. "
                f"Keep {part}'s kind, width and other parts, and the image size, or use --set {part}.start=fresh"
            )
    own = module.state_dict()
    for name, value in weights.items():
        own[name][tuple(slice(0, n) for n in value.shape)] = value
    module.load_state_dict(own)


def _sized(batch: Batch, size: int | None) -> Batch:
    """The batch at the size that the generator works at."""
    if size is None or batch.images.shape[-1] == size:
        return batch
    images = F.interpolate(batch.images.float(), (size, size), mode="bilinear", antialias=True)
    return batch._replace(images=images.round_().to(torch.uint8))


def _sound(module: nn.Module, part: str) -> None:
    for name, value in module.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise ScholarsError(f"training diverged: {part} weight {name!r} is not finite. Nothing was saved.")
