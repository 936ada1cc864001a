"""Train one network: warm start, loss, check that it ended finite."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute.device import Fabric, derive_seed, fork_rng
from scholars.errors import InputError, ScholarsError
from scholars.generators import NO_TEACHER, FeatureGenerator, Generator, Teacher, build_generator
from scholars.scholar import Scholar
from scholars.settings import Settings, SolverSettings
from scholars.settings.base import planned
from scholars.solvers import Solver, build_solver
from scholars.training.batches import Batch, BatchSource
from scholars.training.loop import NO_SESSION, Descent, Session, fit


def train_solver(
    source: BatchSource,
    *,
    previous: Scholar | None = None,
    classes: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session = NO_SESSION,
    stage: str = "solver",
    outputs: Sequence[int] | None = None,
) -> Solver:
    """Train a solver of ``classes`` outputs on ``source``, as ``settings.solver`` says, which leaves nothing open.

    previous: whose solver it starts from, if ``start`` is warm
    outputs: the new output of each class of ``previous``; default: the first ones
    seed, stage: with the step, the seed of all randomness but that of fresh weights, which is ``seed`` alone

    Raises InputError for a warm start from another network, ScholarsError if it diverged, Interrupted when stopped.
    """
    s = settings.image_solver
    with fork_rng(fabric.device):
        torch.manual_seed(derive_seed(seed, "solver", -1))
        solver = build_solver(s, settings.image, classes)
        rate = s.rate
        if previous and s.start == "warm":
            before = build_solver(s, settings.image, len(previous.classes))
            _warm_start(solver, previous.solver.state_dict(), before, "solver")
            if outputs is not None and list(outputs) != list(range(len(outputs))):
                _move_outputs(solver, build_solver(s, settings.image, classes + 1), outputs, classes)
            rate = planned(s.warm_rate)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return distillation(model(batch.inputs).float(), batch.targets, batch.temperatures)

    trainee = Descent(fabric, solver, loss, rate=rate, weight_decay=s.weight_decay)
    fit(
        trainee,
        lambda: source.draw(s.batch),
        fabric=fabric,
        steps=planned(s.steps),
        seed=seed,
        stage=stage,
        session=session,
    )
    check_finite(solver, "solver")
    return solver


def train_generator(
    source: BatchSource,
    *,
    previous: Scholar | None = None,
    conditions: int,
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session = NO_SESSION,
    features: Tensor | None = None,
) -> Generator:
    """Train a generator of ``conditions`` on ``source``, as ``settings.generator`` says.

    Arguments and errors as for `train_solver`; the first of the conditions are those of ``previous``.

    features: ``[N, D]``, those of the new task, for a generator of features; a first task standardises by them
    """
    g = settings.trained_generator
    with fork_rng(fabric.device):
        torch.manual_seed(derive_seed(seed, "generator", -1))
        depth = None if features is None else features.shape[1]
        generator = build_generator(g, settings.image, conditions, depth)
        if isinstance(generator, FeatureGenerator) and features is not None:
            earlier = previous.generator if previous else None
            if isinstance(earlier, FeatureGenerator):
                generator.standardise_as(earlier)
            else:
                generator.standardise(features.float().mean(0), features.float().std(0))
        if previous and previous.generator and g.start == "warm" and isinstance(previous.generator, type(generator)):
            before = build_generator(g, settings.image, len(previous.conditions), depth)
            _warm_start(generator, previous.generator.state_dict(), before, "generator")
    teacher = Teacher(previous.generator, len(previous.conditions)) if previous else NO_TEACHER
    fit(
        generator.trainee(fabric, teacher),
        lambda: _resize_batch(source.draw(g.batch), g.size),
        fabric=fabric,
        steps=planned(g.steps),
        seed=seed,
        stage="generator",
        session=session,
    )
    check_finite(generator, "generator")
    return generator


def distillation(logits: Tensor, targets: Tensor, temperatures: Tensor) -> Tensor:
    """Return the mean over the batch of T^2 CE(softmax(logits / T), targets): cross-entropy, where T is 1.

    Soft labels and the solver that learns them have one temperature: if only the labels had T = 2, every task would
    halve the logits again. T^2 keeps the gradients as large as those of ground-truth labels (Hinton et al. 2015, arXiv
    1503.02531, section 2).

    logits, targets: ``[B, K]``; temperatures: ``[B]``
    """
    each = F.cross_entropy(logits / temperatures[:, None], targets, reduction="none")
    return (temperatures.square() * each).mean()


def can_start_from(previous: Scholar, settings: Settings) -> bool:
    """Return whether a solver of images may start with the weights of another scholar's: it is of the same network."""
    s = settings.solver
    if not isinstance(s, SolverSettings) or s.start != "warm" or previous.backbone:
        return False
    then = previous.solver.state_dict()
    now = build_solver(s, settings.image, len(previous.classes)).state_dict()
    return {name: value.shape for name, value in now.items()} == {name: value.shape for name, value in then.items()}


def _warm_start(module: nn.Module, weights: Mapping[str, Tensor], before: nn.Module, part: str) -> None:
    """Copy ``weights`` to the front of each tensor; what belongs to new classes or conditions comes after, fresh.

    before: the network as it would be now without anything new. Weights that do not fit it are refused: a wider layer
        with a narrower one in its corner computes nothing that was learned
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


def _move_outputs(solver: Solver, larger: Solver, outputs: Sequence[int], classes: int) -> None:
    """Move output i of a solver to the place ``outputs[i]``; the others take the places that are left, in their order.

    larger: the same network with one class more: by it, dimensions that are of classes are found
    """
    places = [*outputs, *(place for place in range(classes) if place not in set(outputs))]
    order, shapes = torch.tensor(places).argsort(), {name: value.shape for name, value in larger.state_dict().items()}
    own = solver.state_dict()
    for name, value in own.items():
        for dim, size in enumerate(value.shape):
            if size == classes and shapes[name][dim] == classes + 1:
                own[name] = own[name].index_select(dim, order)
    solver.load_state_dict(own)


def _resize_batch(batch: Batch, size: int | None) -> Batch:
    """Return the batch at the size that the generator works at."""
    if size is None or batch.inputs.shape[-1] == size:
        return batch
    images = F.interpolate(batch.inputs.float(), (size, size), mode="bilinear", antialias=True)
    return batch._replace(inputs=images.round_().to(torch.uint8))


def check_finite(module: nn.Module, part: str) -> None:
    """Raise ScholarsError for a weight that is not finite."""
    for name, value in module.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise ScholarsError(f"training diverged: {part} weight {name!r} is not finite. Nothing was saved.")
