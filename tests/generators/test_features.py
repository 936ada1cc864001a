"""Generators of features, and the perceptron networks that they have."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from short_training import FABRIC, POOL, WHICH, seeded, train

from scholars.errors import InputError, Interrupted
from scholars.generators import NO_TEACHER, Generator, Teacher, build_generator
from scholars.generators.adversarial import Adversarial
from scholars.generators.conv_networks import ProjectionCritic
from scholars.generators.features import FeatureGenerator
from scholars.generators.flow import Flow
from scholars.generators.mlp_networks import LeakyMLP, MLPDecoder
from scholars.generators.network_choice import network_for
from scholars.generators.vae import VAE, MLPEncoder
from scholars.generators.velocity_networks import MLP
from scholars.settings import (
    GENERATORS,
    AdversarialSettings,
    FlowSettings,
    ImageSettings,
    R3GANSettings,
    VAESettings,
)
from scholars.training.batches import Batch, Pool
from scholars.training.loop import Session, fit

# The kinds that are networks.
NETWORKS = {
    kind: chosen
    for kind, chosen in GENERATORS.items()
    if issubclass(chosen, FlowSettings | VAESettings | AdversarialSettings)
}
KIND = pytest.mark.parametrize("kind", sorted(NETWORKS))
DIM = 16
# Two clusters, of which no dimension is about zero or of deviation one.
SHOWN = torch.arange(400) % 2
CENTRES = torch.where(torch.arange(2 * DIM).view(2, DIM) % 3 == 0, 2.0, 9.0) + torch.tensor([[0.0], [3.0]])
FEATURES = CENTRES[SHOWN] + torch.randn(400, DIM, generator=torch.Generator().manual_seed(0))
CLUSTERS = Pool(FEATURES.half(), SHOWN, 2, SHOWN)


def features_of(kind: str, **changes: object) -> FeatureGenerator:
    """Return a small conditional generator of the clusters, standardised by all their features."""
    chosen = NETWORKS[kind].model_validate({"width": 64, "conditional": True, "ema": 0.9} | changes)
    torch.manual_seed(0)
    generator = FeatureGenerator(chosen, DIM, conditions=2)
    generator.standardise(FEATURES.mean(0), FEATURES.std(0))
    return generator


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("flow", {}),
        ("vae", {}),
        ("gan", {}),
        ("r3gan", {}),
        ("r3gan", {"classify": 1}),
        ("wgan", {"rate": 2e-3, "critic_rate": 2e-3}),
        ("wgan-gp", {"rate": 2e-3, "critic_rate": 4e-3}),
    ],
)
def test_features_of_the_cluster_that_is_asked_for(kind: str, changes: dict[str, object]) -> None:
    generator = features_of(kind, **changes)
    train(generator, CLUSTERS, batch=64, steps=90)
    asked = torch.arange(200) % 2
    drawn = seeded(generator, asked)
    assert drawn.shape == (200, DIM)
    assert drawn.dtype == torch.float32
    assert (torch.cdist(drawn, CENTRES).argmin(1) == asked).float().mean() >= 0.9


@KIND
def test_an_unconditional_generator_of_features_ignores_conditions(kind: str) -> None:
    generator = features_of(kind, conditional=False)
    train(generator, CLUSTERS, batch=16, steps=3)
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    drawn = seeded(generator, zeros)
    assert torch.equal(drawn, seeded(generator, ones))
    assert not torch.equal(drawn, seeded(generator, zeros, seed=1))


@KIND
def test_a_generator_of_features_keeps_mean_and_scale_with_its_weights(kind: str) -> None:
    generator, other = features_of(kind), features_of(kind)
    train(generator, CLUSTERS, batch=16, steps=3)
    other.standardise(torch.zeros(DIM), torch.ones(DIM))
    other.load_state_dict(generator.state_dict())
    asked = torch.tensor([0, 1, 1])
    assert torch.equal(seeded(other, asked), seeded(generator, asked))
    assert torch.equal(other.mean, FEATURES.mean(0))
    assert torch.equal(other.scale, 4 * FEATURES.std(0))


@KIND
def test_a_training_on_features_that_was_stopped_goes_on_as_if_it_was_not(kind: str, tmp_path: Path) -> None:
    """From a checkpoint alone: what goes on has other weights, and another mean and scale."""

    def go_on(generator: FeatureGenerator, session: Session) -> FeatureGenerator:
        trainee = generator.trainee(FABRIC, NO_TEACHER)
        fit(trainee, lambda: CLUSTERS.draw(16), fabric=FABRIC, steps=6, seed=0, stage="generator", session=session)
        return generator

    whole = go_on(features_of(kind), Session())
    asked_to = iter([False, False, False, True])
    with pytest.raises(Interrupted):
        go_on(features_of(kind), Session(tmp_path, stopping=lambda: next(asked_to)))
    other = features_of(kind)
    other.standardise(torch.zeros(DIM), torch.ones(DIM))
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    resumed = go_on(other, Session(tmp_path))
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


class Recording:
    """A trainee that keeps what it drew."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.modules, self.optimizers = {"module": module}, dict[str, torch.optim.Optimizer]()
        self.drawn: list[Batch] = []

    def learning_rates(self, progress: float) -> dict[str, float]:
        return {}

    def step(self, draw: object, progress: float) -> dict[str, torch.Tensor]:
        assert callable(draw)
        self.drawn.append(draw())
        return {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_features_are_standardised_and_clipped_by_hand(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 deviations are 1; a dimension that was always 5 is 0, and whatever else it is, it is far away."""
    generator = FeatureGenerator(FlowSettings(width=8), 3, conditions=2)
    recording = Recording(generator.inner)
    monkeypatch.setattr(generator.inner, "trainee", lambda fabric, teacher: recording)
    generator.standardise(torch.tensor([1.0, 0.0, 5.0]), torch.tensor([0.5, 1.0, 0.0]))
    inputs = torch.tensor([[2.0, -1.0, 5.0], [-9.0, 9.0, 6.0]], dtype=dtype)
    batch = Batch(inputs, torch.eye(2), torch.tensor([0, 1]), torch.ones(2))
    generator.trainee(FABRIC, NO_TEACHER).step(lambda: batch, 0.0)
    (seen,) = recording.drawn
    assert seen.inputs.shape == (2, 3, 1, 1)
    assert seen.inputs.dtype == torch.float32
    assert seen.inputs.flatten(1).tolist() == [[0.5, -0.25, 0.0], [-1.0, 1.0, 1.0]]
    assert seen[1:] == batch[1:]


def test_a_generator_of_features_says_what_its_inner_one_says() -> None:
    generator = features_of("gan")
    assert "the critic has won" in str(generator.diagnose({"critic_accuracy": 1.0}))
    assert generator.diagnose({"critic_accuracy": 0.5}) is None


@pytest.mark.parametrize("kind", ["flow", "vae"])
def test_a_teacher_of_features_teaches_by_its_inner_generator(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not if it is standardised in another way, nor if it draws images: what it draws means something else."""
    generator = features_of(kind, distil=True)
    seen: list[Teacher] = []
    learn = type(generator.inner).trainee

    def noting(fabric: object, teacher: Teacher) -> object:
        seen.append(teacher)
        return learn(generator.inner, FABRIC, teacher)

    monkeypatch.setattr(generator.inner, "trainee", noting)
    teacher = features_of(kind)
    other = copy.deepcopy(teacher)
    other.standardise(FEATURES.mean(0), 2 * FEATURES.std(0))
    for each in (teacher, other, teacher.inner, None):
        trainee = generator.trainee(FABRIC, Teacher(each, 2))
        assert torch.isfinite(trainee.step(lambda: CLUSTERS.draw(8), 0.0)["loss"])
    assert seen == [Teacher(teacher.inner, 2), Teacher(None, 2), Teacher(None, 2), Teacher(None, 2)]


class Threes(torch.nn.Module):
    """The velocity 3 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.value.expand_as(x)


def test_a_flow_of_features_learns_the_velocities_of_its_teacher() -> None:
    """A student that says what its teacher says has nothing to learn, whatever the features are."""
    student, teacher = features_of("flow", distil=True, dropout=0), features_of("flow")
    assert isinstance(student.inner, Flow)
    assert isinstance(teacher.inner, Flow)
    student.inner.net, teacher.inner.net = Threes(), Threes()
    assert student.trainee(FABRIC, Teacher(teacher, 2)).step(lambda: CLUSTERS.draw(8), 0.0)["loss"] == 0
    assert student.trainee(FABRIC, Teacher(teacher, 0)).step(lambda: CLUSTERS.draw(8), 0.0)["loss"] > 1


def test_a_vae_of_features_leaves_a_batch_as_it_is() -> None:
    """What its teacher draws stands for the dreams of a batch only while it is learned."""
    vae = VAE(VAESettings(width=8, latent=4), DIM, 1, conditions=2)
    batch = CLUSTERS.draw(8)
    batch = batch._replace(inputs=batch.inputs.float()[:, :, None, None].contiguous(memory_format=torch.channels_last))
    before = batch.inputs.clone()
    vae.trainee(FABRIC, Teacher(copy.deepcopy(vae), 2)).step(lambda: batch, 0.0)
    assert torch.equal(batch.inputs, before)


@KIND
def test_auto_is_for_images_what_it_always_was(kind: str) -> None:
    """The weights of the convolutional network of 32 channels, of r3gan 16, to the last bit."""
    explicit = {"net": "unet" if kind == "flow" else "conv", "width": 16 if kind == "r3gan" else 32}
    built: list[Generator] = []
    for changes in ({}, explicit):
        torch.manual_seed(0)
        built.append(build_generator(NETWORKS[kind].model_validate(changes), ImageSettings(size=8), conditions=3))
    auto, chosen = (each.state_dict() for each in built)
    assert list(auto) == list(chosen)
    assert all(torch.equal(value, chosen[name]) for name, value in auto.items())


@KIND
def test_perceptrons_of_512_units_are_what_features_have(kind: str) -> None:
    settings = NETWORKS[kind].model_validate({})
    assert network_for(settings, 1) == ("mlp", 512)
    inner = FeatureGenerator(settings, DIM, conditions=2).inner
    if isinstance(inner, Flow):
        assert isinstance(inner.net, MLP)
    elif isinstance(inner, VAE):
        assert (type(inner.decoder), type(inner.encoder)) == (MLPDecoder, MLPEncoder)
    else:
        assert isinstance(inner, Adversarial)
        assert (type(inner.network), type(inner.critic.encoder)) == (MLPDecoder, LeakyMLP)


@KIND
def test_networks_of_images_are_refused_for_features(kind: str) -> None:
    net = "unet" if kind == "flow" else "conv"
    with pytest.raises(InputError, match=f"generator.net={net} draws images, not features"):
        FeatureGenerator(NETWORKS[kind].model_validate({"net": net}), DIM, conditions=2)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_features_are_not_folded(patch: int) -> None:
    flow = FeatureGenerator(FlowSettings.model_validate({"width": 8, "patch": patch}), DIM, conditions=2)
    assert seeded(flow, torch.tensor([0, 1, 1])).shape == (3, DIM)


@pytest.mark.parametrize("kind", ["gan", "r3gan", "wgan", "wgan-gp"])
@pytest.mark.parametrize("conditional", [False, True])
def test_adversarial_perceptrons_draw_images_too(kind: str, conditional: bool) -> None:
    """Of any size; and every weight of them learns."""
    chosen = NETWORKS[kind].model_validate({"net": "mlp", "width": 8, "latent": 4, "conditional": conditional})
    generator = build_generator(chosen, ImageSettings(size=16), conditions=3)
    before = {name: value.detach().clone() for name, value in generator.named_parameters()}
    train(generator, POOL, batch=16, steps=12)
    images = seeded(generator, WHICH[:5])
    assert images.shape == (5, 3, 16, 16)
    assert bool((images.abs() <= 1).all())
    assert [name for name, value in generator.named_parameters() if torch.equal(value, before[name])] == []


@pytest.mark.parametrize(("channels", "size", "conditions"), [(16, 1, 0), (16, 1, 3), (3, 8, 3)])
def test_the_slope_of_a_perceptron_critic_is_its_gradient(channels: int, size: int, conditions: int) -> None:
    """By the inputs; and a penalty on it has the gradients by the weights that differentiating twice gives."""
    torch.manual_seed(0)
    critic = ProjectionCritic(channels, size, width=12, conditions=conditions, encoder=LeakyMLP)
    inputs, shown = torch.randn(5, channels, size, size, requires_grad=True), torch.arange(5) % 3
    (twice,) = torch.autograd.grad(critic(inputs, shown).sum(), inputs, create_graph=True)
    once = critic.input_gradient(inputs, shown)
    torch.testing.assert_close(once, twice)
    matters = [value for name, value in critic.named_parameters() if not name.endswith("bias")]
    for ours, theirs in zip(
        torch.autograd.grad(once.square().sum(), matters),
        torch.autograd.grad(twice.square().sum(), matters),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_perceptron_critic_that_classifies_scores_as_before() -> None:
    model = R3GANSettings(width=8, latent=4, classify=1)
    critic = FeatureGenerator(model, DIM, conditions=2).inner.critic
    assert isinstance(critic, ProjectionCritic)
    inputs, shown = torch.randn(5, DIM, 1, 1), torch.arange(5) % 2
    scores, logits = critic.scores_and_logits(inputs, shown)
    assert torch.equal(scores, critic(inputs, shown))
    assert logits.shape == (5, 2)
