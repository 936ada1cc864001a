"""Teach a head: a classifier of features, trained by steps or computed in closed form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from scholars.compute.device import Fabric, derive_seed, fork_rng, to_device
from scholars.errors import InputError
from scholars.learning.networks import check_finite, distillation
from scholars.scholar import Scholar
from scholars.settings import HeadSettings, LDASettings, Settings
from scholars.solvers import Head
from scholars.training.batches import Batch, BatchSource, Noisy, Pool, balance
from scholars.training.loop import Descent, Session, fit

# Steps of a head, unless they are set: more for more classes and photos, up to so many that 300 did as well on the
# validation part of `clothing`.
_LEAST_STEPS, _STEPS_PER_CLASS, _PHOTOS_PER_STEP, _MOST_STEPS = 200, 10, 5, 600
# Of each feature: one that never varies has no spread to divide by.
_LEAST_VARIANCE = 1e-6
# Shrinkage of the discriminants that are added to a trained head.
_SHRINKAGE = 0.3
# Vectors by which a temperature is chosen, and the range of its logarithm.
_CALIBRATED_ON, _LOG_TEMPERATURES = 4000, (-3.0, 6.0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of each feature, ``[D]``, and the mean variance within classes."""

    mean: Tensor
    variance: Tensor
    within: float

    def noise(self, share: float) -> float:
        """Return the standard deviation of noise that is this share of the variance within classes, noise included."""
        return float((self.within * share / (1 - share)) ** 0.5)


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features to teach a head by.

    inputs: ``[N, D]`` float16
    labels: ``[N]`` int64, outputs
    photos: of how many photos they are, or were learned
    conditions: ``[N]`` int64; None: not needed
    weights: ``[N]`` float64, how often each is drawn; None: all alike
    """

    inputs: Tensor
    labels: Tensor
    photos: int
    conditions: Tensor | None = None
    weights: Tensor | None = None

    def pool(self, classes: int) -> Pool:
        """Return the source of batches of ``classes`` classes."""
        return Pool(self.inputs, self.labels, classes, self.conditions, weights=self.weights)

    def moments(self, classes: int) -> Moments:
        """Return mean and variances, all classes alike."""
        weights = (balance(self.labels) if self.weights is None else self.weights).float()
        shares = weights / weights.sum()
        depth = self.inputs.shape[1]
        of_class = torch.zeros(classes).index_add_(0, self.labels, shares)
        means, squares = torch.zeros(classes, depth), torch.zeros(depth)
        for rows in torch.split(torch.arange(len(self.inputs)), 8192):
            part, share = self.inputs[rows].float(), shares[rows, None]
            means.index_add_(0, self.labels[rows], share * part)
            squares += (share * part.square()).sum(0)
        mean = means.sum(0)
        known = of_class > 0
        centres = means[known] / of_class[known, None]
        within = (squares - (of_class[known, None] * centres.square()).sum(0)).clamp_min(0)
        return Moments(mean, (squares - mean.square()).clamp_min(_LEAST_VARIANCE), float(within.mean()))

    def class_means(self, classes: int) -> Tensor:
        """Return the mean of each class ``[K, D]``."""
        weights = (torch.ones(len(self.labels)) if self.weights is None else self.weights.float())[:, None]
        sums = torch.zeros(classes, self.inputs.shape[1]).index_add_(0, self.labels, weights * self.inputs.float())
        return sums / torch.zeros(classes, 1).index_add_(0, self.labels, weights)

    def covariance(self, means: Tensor) -> Tensor:
        """Return the covariance ``[D, D]`` within classes, all classes alike."""
        weights = (balance(self.labels) if self.weights is None else self.weights).float()
        total = torch.zeros(means.shape[1], means.shape[1])
        for rows in torch.split(torch.arange(len(self.inputs)), 8192):
            centred = self.inputs[rows].float() - means[self.labels[rows]]
            total += centred.T @ (centred * (weights[rows, None] / weights.sum()))
        return total


def head_steps(settings: HeadSettings, scale: float, photos: int, classes: int) -> int:
    """Return the steps that a head is trained for; ``scale``: how long to train, in times of the normal budget."""
    if settings.steps is not None:
        return settings.steps
    steps = min(_MOST_STEPS, _LEAST_STEPS + _STEPS_PER_CLASS * classes + photos // _PHOTOS_PER_STEP)
    return max(1, round(scale * steps))


def fit_head(
    taught_by: FeatureSet, classes: Sequence[str], settings: Settings, seed: int, fabric: Fabric, session: Session
) -> Head:
    """Return a head taught from a fresh start: by descent, linear discriminant analysis, or nearest class means.

    A hidden layer's logits are added to those of a linear discriminant analysis: the one follows what dreams and photos
    tell of classes' shapes, the other relies on means and one covariance, and they are wrong about different photos.
    The temperature is the one with which probabilities fit what the head was taught by best.
    """
    chosen, count = settings.solver, len(classes)
    with fork_rng(fabric.device):
        torch.manual_seed(derive_seed(seed, "solver", -1))
        head = Head(settings.feature_solver, taught_by.inputs.shape[1], count)
    if isinstance(chosen, HeadSettings):
        found = taught_by.moments(count)
        head.mean.copy_(found.mean)
        head.scale.copy_(found.variance.rsqrt())
        # Noise of this share of the variance within classes: the spread along minor directions is what dreams, and few
        # photos, tell least of.
        source = Noisy(taught_by.pool(count), found.noise(chosen.noise))
        _descend(
            head, source, chosen, head_steps(chosen, settings.scale, taught_by.photos, count), seed, fabric, session
        )
        if head.linear is not None:
            _add_discriminants(head, head.linear, taught_by, source, seed)
    else:
        shrinkage = chosen.shrinkage if isinstance(chosen, LDASettings) else 1
        _set_linear(head.last, *_discriminants(taught_by, count, shrinkage))
        to_device(head, fabric.device)
    _calibrate(head, taught_by, seed, fabric)
    check_finite(head, "solver")
    return head


def _discriminants(taught_by: FeatureSet, classes: int, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return weight ``[K, D]`` and bias ``[K]`` of a linear discriminant analysis, all classes alike.

    w_k = S^-1 m_k, b_k = -m_k S^-1 m_k / 2, S = (1 - e) S_within + e tr(S_within) / D I (Hayes & Kanan 2020); with
    e = 1 the nearest class mean, whose S is as well I.
    """
    means = taught_by.class_means(classes)
    weight = means
    if shrinkage < 1:
        spread = (1 - shrinkage) * taught_by.covariance(means)
        spread.diagonal().add_(shrinkage / (1 - shrinkage) * spread.diagonal().mean().clamp_min(_LEAST_VARIANCE))
        weight = torch.linalg.solve(spread, means.T).T
    return weight, -0.5 * (weight * means).sum(1)


@torch.no_grad()
def _add_discriminants(head: Head, linear: nn.Linear, taught_by: FeatureSet, source: BatchSource, seed: int) -> None:
    """Add the logits of a linear discriminant analysis to those of the trained layers, which were trained without.

    The sum is the geometric mean of both probabilities, up to the temperature (Hinton 2002, eq. 1: a product of
    experts). Each is calibrated on what the head was trained on.
    """
    weight, bias = _discriminants(taught_by, linear.out_features, _SHRINKAGE)
    # Of standardised features x' = (x - m) s: w x + b = (w / s) x' + w m + b.
    mean, scale = head.mean.cpu(), head.scale.cpu()
    _set_linear(linear, weight / scale, weight @ mean + bias)
    with fork_rng(torch.device("cpu")):
        torch.manual_seed(derive_seed(seed, "discriminants", 0))
        batch = source.draw(_CALIBRATED_ON)
    seen = head.features(batch.inputs.to(head.mean.device))
    for part, layer in ((nn.Sequential(head.body, head.last), head.last), (linear, linear)):
        temperature = _best_temperature(part(seen).cpu(), batch.labels)
        _set_linear(layer, layer.weight / temperature, layer.bias / temperature)


@torch.no_grad()
def _set_linear(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


def fine_tune_head(
    source: BatchSource,
    new: FeatureSet,
    previous: Scholar,
    classes: Sequence[str],
    settings: Settings,
    seed: int,
    fabric: Fabric,
    session: Session,
) -> Head:
    """Return the previous scholar's head, with outputs for new classes, trained on ``source``.

    Without discriminants: they are computed from all classes, and steps on the new ones hardly change them.
    """
    chosen = settings.feature_solver
    if not isinstance(chosen, HeadSettings) or not isinstance(previous.solver, Head):
        raise InputError("only solver.kind=head can be trained further")
    with fork_rng(fabric.device):
        torch.manual_seed(derive_seed(seed, "solver", -1))
        head = Head(chosen, new.inputs.shape[1], len(classes))
    before = previous.solver
    if isinstance(before.body, nn.Sequential) != isinstance(head.body, nn.Sequential) or (
        before.last.in_features != head.last.in_features
    ):
        raise InputError("a head that is trained further keeps its hidden layer: leave solver.hidden as it was")
    places = [classes.index(name) for name in previous.classes]
    with torch.no_grad():
        head.body.load_state_dict(before.body.state_dict())
        head.mean.copy_(before.mean)
        head.scale.copy_(before.scale)
        head.last.weight[places] = before.last.weight.cpu()
        head.last.bias[places] = before.last.bias.cpu()
    steps = head_steps(chosen, settings.scale, new.photos, len(classes))
    deviation = new.moments(len(classes)).noise(chosen.noise)
    _descend(head, Noisy(source, deviation), chosen, steps, seed, fabric, session)
    check_finite(head, "solver")
    return head


def _descend(
    head: Head,
    source: BatchSource,
    settings: HeadSettings,
    steps: int,
    seed: int,
    fabric: Fabric,
    session: Session,
) -> None:
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        # q'(k) = (1 - e) q(k) + e / K
        targets = (1 - settings.smoothing) * batch.targets + settings.smoothing / batch.targets.shape[1]
        return distillation(model(batch.inputs).float(), targets, batch.temperatures)

    if head.linear is not None:
        head.linear.requires_grad_(False)
    trainee = Descent(fabric, head, loss, rate=settings.rate, weight_decay=settings.weight_decay)
    fit(
        trainee,
        lambda: source.draw(settings.batch),
        fabric=fabric,
        steps=steps,
        seed=seed,
        stage="solver",
        session=session,
    )


@torch.no_grad()
def _calibrate(head: Head, taught_by: FeatureSet, seed: int, fabric: Fabric) -> None:
    """Set the temperature with the least mean cross-entropy on some of what the head was taught by."""
    with fork_rng(fabric.device):
        torch.manual_seed(derive_seed(seed, "temperature", 0))
        batch = replace(taught_by, conditions=None).pool(head.last.out_features).draw(_CALIBRATED_ON)
    logits = torch.cat([head.eval()(part.to(fabric.device)).cpu() for part in torch.split(batch.inputs, 1024)])
    if head.last.out_features > 1:
        head.temperature.fill_(_best_temperature(logits, batch.labels))


def _best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least mean cross-entropy of logits ``[N, K]`` divided by it.

    One label of the N counts as unknown: where all are told apart, no temperature would be too low without.
    """
    found = logits.double()
    best = minimize_scalar(
        lambda log_temperature: float(
            F.cross_entropy(found / math.exp(log_temperature), labels, label_smoothing=1 / len(labels))
        ),
        bounds=_LOG_TEMPERATURES,
        method="bounded",
        options={"xatol": 1e-3},
    )
    return math.exp(best.x)
