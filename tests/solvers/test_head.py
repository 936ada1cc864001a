"""Heads: trained, or in closed form, and compared with what can be computed otherwise."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from scholars.compute.device import open_fabric
from scholars.learning import heads
from scholars.learning.heads import FeatureSet, fit_head, head_steps
from scholars.settings import (
    BackboneSettings,
    ComputeSettings,
    FeatureSolverSettings,
    HeadSettings,
    LDASettings,
    NCMSettings,
    Settings,
)
from scholars.solvers import Head
from scholars.training.loop import Session

FABRIC = open_fabric(ComputeSettings(precision="32-true"))
CLASSES = ("a", "b", "c")


def blobs(each: tuple[int, ...] = (200, 200, 200), depth: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features around a centre for each class, of the same uneven spread."""
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(len(each), depth, generator=generator)
    mixing = torch.randn(depth, depth, generator=generator) / 2
    labels = torch.arange(len(each)).repeat_interleave(torch.tensor(each))
    return (centres[labels] + torch.randn(len(labels), depth, generator=generator) @ mixing).half(), labels


def fitted(solver: FeatureSolverSettings, inputs: Tensor, labels: Tensor, seed: int = 0) -> Head:
    settings = Settings(backbone=BackboneSettings(), solver=solver)
    return fit_head(FeatureSet(inputs, labels, 100), CLASSES, settings, seed, FABRIC, Session()).eval()


@torch.no_grad()
def logits(head: Head, inputs: Tensor) -> Tensor:
    return torch.as_tensor(head(inputs))


QUICK = HeadSettings(hidden=16, steps=80, batch=64, noise=0.1, rate=0.02)


@pytest.mark.parametrize("solver", [QUICK, QUICK.model_copy(update={"hidden": 0}), LDASettings(), NCMSettings()])
def test_every_kind_learns_what_can_be_told_apart(solver: FeatureSolverSettings) -> None:
    inputs, labels = blobs()
    head = fitted(solver, inputs, labels)
    assert float((logits(head, inputs).argmax(1) == labels).float().mean()) > 0.9
    assert head.features(inputs).shape == (600, 5)
    assert (head.linear is None) == (solver is not QUICK)


def test_the_nearest_class_mean() -> None:
    inputs, labels = blobs()
    head = fitted(NCMSettings(), inputs, labels)
    means = torch.stack([inputs[labels == label].float().mean(0) for label in range(3)])
    assert torch.equal(logits(head, inputs).argmax(1), torch.cdist(inputs.float(), means).argmin(1))
    expected = inputs.float() @ means.T - means.square().sum(1) / 2
    assert torch.allclose(logits(head, inputs) * head.temperature, expected, atol=1e-2)


def test_linear_discriminant_analysis_is_that_of_scikit_learn() -> None:
    """With hardly any shrinkage, and with much of it."""
    inputs, labels = blobs()
    for shrinkage in (1e-6, 0.5):
        head = fitted(LDASettings(shrinkage=shrinkage), inputs, labels)
        other = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=[1 / 3] * 3)
        # scikit-learn standardises before it shrinks; of equal variances that changes nothing.
        white = (inputs.float() - inputs.float().mean(0)) / _within(inputs, labels).diagonal().sqrt()
        head = fitted(LDASettings(shrinkage=shrinkage), white.half(), labels)
        other.fit(white.half().double().numpy(), labels.numpy())
        found = logits(head, white.half()) * head.temperature
        expected = torch.from_numpy(other.decision_function(white.half().double().numpy())).float()
        spread = expected - expected.mean(1, keepdim=True)
        if shrinkage < 0.01:
            assert torch.allclose(found - found.mean(1, keepdim=True), spread, atol=0.05 * float(spread.abs().max()))
        assert float((found.argmax(1) == expected.argmax(1)).float().mean()) > 0.99


def _within(inputs: Tensor, labels: Tensor) -> Tensor:
    centred = torch.cat([inputs[labels == k].float() - inputs[labels == k].float().mean(0) for k in range(3)])
    return centred.T @ centred / len(centred)


def test_a_hidden_layer_and_discriminants_are_added() -> None:
    """Each gives log-probabilities of its own; their sum is right more often than the worse one, and calibrated."""
    inputs, labels = blobs()
    head = fitted(QUICK, inputs, labels)
    assert head.linear is not None
    seen = head.features(inputs)
    with torch.no_grad():
        trained, closed = head.last(head.body(seen)), head.linear(seen)
    assert torch.allclose(logits(head, inputs) * head.temperature, trained + closed, atol=1e-4)
    lda = logits(fitted(LDASettings(shrinkage=heads._SHRINKAGE), inputs, labels), inputs)
    # The same discriminants, divided by another temperature.
    closed, lda = (x - x.mean(1, keepdim=True) for x in (closed, lda))
    factor = float((closed * lda).sum() / lda.square().sum())
    assert factor > 0
    assert torch.allclose(closed, factor * lda, atol=2e-2 * float(closed.abs().max()))
    right = [float((x.argmax(1) == labels).float().mean()) for x in (trained, closed, trained + closed)]
    assert right[2] >= min(right)


def test_every_class_counts_alike_however_many_it_has() -> None:
    inputs, labels = blobs((10, 1000, 100))
    found = FeatureSet(inputs, labels, 100).moments(3)
    parts = [inputs[labels == label].double() for label in range(3)]
    mean = torch.stack([part.mean(0) for part in parts]).mean(0)
    square = torch.stack([part.square().mean(0) for part in parts]).mean(0)
    within = torch.stack([part.var(0, correction=0) for part in parts]).mean()
    assert torch.allclose(found.mean.double(), mean, atol=1e-3)
    assert torch.allclose(found.variance.double(), square - mean.square(), rtol=1e-3, atol=1e-3)
    assert found.within == pytest.approx(float(within), rel=1e-2)


def test_means_and_covariance_of_classes() -> None:
    inputs, labels = blobs((50, 50, 50))
    taught = FeatureSet(inputs, labels, 100)
    means = taught.class_means(3)
    assert torch.allclose(means[1], inputs[labels == 1].float().mean(0), atol=1e-4)
    assert torch.allclose(taught.covariance(means), _within(inputs, labels), atol=1e-3)


def test_a_trained_head_standardises_by_what_it_is_taught() -> None:
    inputs, labels = blobs()
    inputs[:, 0] = 3  # one that never varies
    head = fitted(QUICK, inputs, labels)
    assert torch.allclose(head.mean, inputs.float().mean(0), atol=1e-3)
    assert torch.allclose(head.scale[1:], 1 / inputs[:, 1:].float().std(0, correction=0), rtol=1e-2)
    assert head.scale[0] <= 1001
    assert bool(logits(head, inputs).isfinite().all())


@pytest.mark.parametrize("solver", [QUICK, LDASettings(), NCMSettings()])
def test_probabilities_are_calibrated(solver: FeatureSolverSettings) -> None:
    """No other temperature fits what it was taught much better."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(3).repeat(400)
    inputs = (F.one_hot(labels, 5).float() + torch.randn(1200, 5, generator=generator)).half()
    head = fitted(solver, inputs, labels)
    found = logits(head, inputs)
    losses = {factor: float(F.cross_entropy(found / factor, labels)) for factor in (0.5, 0.8, 1.0, 1.25, 2.0)}
    assert losses[1.0] <= min(losses.values()) + 2e-3
    assert float(head.temperature) > 0
    assert losses[2.0] > losses[1.0] + 2e-3


def test_it_is_a_function_of_data_settings_and_seed() -> None:
    inputs, labels = blobs()
    torch.manual_seed(1)
    one = fitted(QUICK, inputs, labels).state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    same, other = fitted(QUICK, inputs, labels).state_dict(), fitted(QUICK, inputs, labels, seed=1).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["last.weight"], other["last.weight"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_temperature_divides_the_logits() -> None:
    torch.manual_seed(0)
    head = Head(NCMSettings(), 4, 2)
    x = torch.randn(3, 4)
    plain = logits(head, x)
    head.temperature.fill_(4)
    assert torch.allclose(logits(head, x), plain / 4)
    head.mean.fill_(1)
    head.scale.fill_(2)
    assert torch.allclose(head.features(x), 2 * (x - 1))


@pytest.mark.parametrize(
    ("photos", "classes", "expected"), [(10, 2, 222), (2000, 6, 600), (0, 100, 600), (1000, 1, 410)]
)
def test_more_photos_and_classes_take_more_steps(photos: int, classes: int, expected: int) -> None:
    assert head_steps(HeadSettings(), 1.0, photos, classes) == expected
    assert head_steps(HeadSettings(), 0.25, photos, classes) == round(expected / 4)
    assert head_steps(HeadSettings(steps=7), 3.0, photos, classes) == 7


@pytest.mark.parametrize("solver", [QUICK, QUICK.model_copy(update={"hidden": 0}), LDASettings()])
def test_outputs_in_another_order(solver: FeatureSolverSettings) -> None:
    inputs, labels = blobs()
    head = fitted(solver, inputs, labels)
    before = logits(head, inputs)
    other = head.reordered([2, 0, 1])
    assert torch.equal(logits(other, inputs)[:, [1, 2, 0]], before)
    # The one of before is another one, and stays as it is.
    with torch.no_grad():
        other.last.weight.fill_(0)
    assert torch.equal(logits(head, inputs), before)
    assert logits(head.reordered([1]), inputs).shape == (len(inputs), 1)
