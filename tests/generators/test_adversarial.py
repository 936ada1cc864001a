"""The equations of the adversarial generators and their critics."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from short_training import FABRIC, POOL, WHICH, seeded, train

from scholars.compute.device import to_float
from scholars.generators import NO_TEACHER, Teacher, build_generator
from scholars.generators.conv_networks import ProjectionCritic
from scholars.generators.gan import GAN
from scholars.generators.r3gan import R3GAN
from scholars.generators.wgan import WGAN
from scholars.generators.wgan_gp import WGANGP
from scholars.settings import GENERATORS, GANSettings, ImageSettings, R3GANSettings, WGANGPSettings, WGANSettings
from scholars.training.batches import Batch, Pool


def test_dreams_are_drawn_from_wider_noise_and_learned_from_it() -> None:
    """As wide as it is dreamt of later, and what is learned from dreams as wide as it was dreamt of."""
    gan = GAN(GANSettings(width=8, latent=400, conditional=True, spread=1.5), channels=3, size=16, conditions=3)
    seen: list[torch.Tensor] = []

    def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
        seen.append(inputs[0].detach())

    trainee = gan.trainee(FABRIC, Teacher(conditions=2))
    for network in (gan.network, trainee.modules["live"]):
        network.register_forward_pre_hook(note)
    seeded(gan, torch.tensor([0, 1, 2]))
    trainee.step(lambda: POOL.draw(64)._replace(conditions=WHICH), 0.0)
    deviations = [noise.std(1).tolist() for noise in seen]
    assert deviations[0] == pytest.approx([1.5] * 3, abs=0.25)
    assert deviations[1] == pytest.approx([1.0 if which == 2 else 1.5 for which in WHICH.tolist()], abs=0.25)


def test_an_unconditional_generator_has_no_classifier() -> None:
    with pytest.raises(ValidationError, match="conditional=true"):
        R3GANSettings(classify=1, conditional=False)


def test_an_unconditional_generator_has_no_spread() -> None:
    with pytest.raises(ValidationError, match="conditional=true"):
        WGANSettings(spread=1.2)


def test_what_an_unconditional_generator_has_not_need_not_be_left_out() -> None:
    plain, told = R3GANSettings(conditional=False), R3GANSettings()
    assert (plain.dream_spread, plain.classification) == (1, 0)
    assert (told.dream_spread, told.classification) == (1.2, 0.3)
    set_by_hand = R3GANSettings(spread=1.5, classify=0)
    assert (set_by_hand.dream_spread, set_by_hand.classification) == (1.5, 0)
    assert GANSettings(conditional=True).dream_spread == 1


def test_an_unconditional_r3gan_trains_without_a_classifier() -> None:
    model = R3GAN(R3GANSettings(width=8, latent=4, conditional=False), channels=3, size=16, conditions=3)
    _, values = model.critic_loss(Linear(1 / 64), REAL, FAKE, CONDITIONS)
    assert "classification_loss" not in values
    train(model, POOL, batch=16, steps=2)


def test_an_adversary_samples_with_an_average() -> None:
    gan = GAN(GANSettings(width=8, latent=4, ema=0.75), channels=3, size=16, conditions=3)
    trainee = gan.trainee(FABRIC, NO_TEACHER)
    before = [weight.detach().clone() for weight in gan.network.parameters()]
    trainee.step(lambda: POOL.draw(8), 0.0)
    after = zip(before, trainee.modules["live"].parameters(), gan.network.parameters(), strict=True)
    for was, live, average in after:
        torch.testing.assert_close(average, torch.lerp(was, live, 0.25))


class Reads(torch.nn.Module):
    """A critic that notes of each image how bright it is and which condition it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, int]] = []

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        self.seen += zip(images.mean((1, 2, 3)).tolist(), conditions.tolist(), strict=True)
        return images.mean((1, 2, 3))

    def input_gradient(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(images)

    def scores_and_logits(self, images: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("nothing is to be classified")


class Linear(torch.nn.Module):
    """D(x) = w.x"""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.full((64,), w))

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.w + conditions

    def input_gradient(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return self.w.view(1, 1, 8, 8).expand_as(images)

    def scores_and_logits(self, images: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is white is taken for 1 with odds of 3, what is black for 0 with odds of 4."""
        white = images.mean((1, 2, 3))
        return self(images, conditions), torch.stack([(1 - white) * math.log(4), white * math.log(3)], dim=1)


REAL, FAKE, CONDITIONS = torch.ones(6, 1, 8, 8), torch.zeros(6, 1, 8, 8), torch.zeros(6, dtype=torch.int64)


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    """D(x) = w.x has the gradient w everywhere: W = w.(mean real - mean fake), penalty = (|w| - 1)^2 with |w| = 2."""
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(0.25), REAL, FAKE, CONDITIONS)
    assert values["wasserstein"].item() == pytest.approx(16.0)
    assert values["penalty"].item() == pytest.approx(1.0)
    assert loss.item() == pytest.approx(-16.0 + 10 * 1.0)
    assert model.generator_loss(Linear(0.25), FAKE, REAL, CONDITIONS).item() == pytest.approx(-16.0)


class Quadratic(torch.nn.Module):
    """D(x) = |x|^2 / 2, whose slope is x; it remembers where its slope was wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).square().sum(1) / 2

    def input_gradient(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        self.at.append((images, conditions))
        return images

    def scores_and_logits(self, images: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("nothing is to be classified")


def test_the_penalty_is_taken_between_real_and_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the way from black to white, where the slope of 64 pixels is 0.25 each: (2 - 1)^2."""
    monkeypatch.setattr("scholars.generators.wgan_gp.rand_rows", lambda *_, device: torch.tensor(0.25))
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=2)
    _, values = model.critic_loss(Quadratic(), REAL, FAKE, CONDITIONS)
    assert values["penalty"].item() == pytest.approx(1.0)
    _, values = model.critic_loss(Quadratic(), 2 * REAL, FAKE, CONDITIONS)
    assert values["penalty"].item() == pytest.approx(9.0)


def test_the_penalties_are_estimated_from_real_and_generated_images_all_over_the_batch() -> None:
    """The first of a batch are new and the last ones dreams: none of them alone."""
    model = R3GAN(R3GANSettings(width=8, latent=4, penalised=0.5, classify=0), channels=1, size=8, conditions=6)
    critic, conditions = Quadratic(), torch.arange(6)
    real = conditions.float().view(6, 1, 1, 1).expand(6, 1, 8, 8)
    model.critic_loss(critic, real, -real, conditions)
    images, asked = critic.at[0]
    assert images[:, 0, 0, 0].tolist() == [0, 2, 4, -0.0, -2, -4]
    assert asked.tolist() == [0, 2, 4, 0, 2, 4]


@pytest.mark.parametrize(
    ("kind", "optimizer", "betas"),
    [
        ("gan", "Adam", (0.5, 0.999)),
        ("r3gan", "Adam", (0.5, 0.999)),
        ("wgan-gp", "Adam", (0.0, 0.9)),
        ("wgan", "RMSprop", None),
    ],
)
def test_the_critics_steps_the_rates_and_the_optimizers(
    kind: str, optimizer: str, betas: tuple[float, float] | None
) -> None:
    """Halfway through, where a linear decay has brought the rates to half."""
    small = {"width": 8, "latent": 4, "critic_steps": 3, "rate": 0.002, "critic_rate": 0.008}
    chosen = GENERATORS[kind].model_validate(small)
    trainee = build_generator(chosen, ImageSettings(size=16), conditions=3).trainee(FABRIC, NO_TEACHER)
    drawn: list[int] = []

    def draw() -> Batch:
        drawn.append(8)
        return POOL.draw(8)

    trainee.step(draw, 0.5)
    assert len(drawn) == 3
    assert trainee.learning_rates(0.5) == {"generator": 0.002 * 0.5, "critic": 0.008 * 0.5}
    for one in (trainee.optimizers[name] for name in ("generator", "critic")):
        assert type(one).__name__ == optimizer
        assert one.param_groups[0].get("betas") == betas


def test_the_critic_is_given_the_conditions() -> None:
    """A score that is the condition: every loss sees it beside the image that it belongs to, real and generated."""
    conditions = torch.arange(6)
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=6)
    assert model.generator_loss(Linear(0.0), REAL, FAKE, conditions).item() == pytest.approx(-2.5)
    _, values = model.critic_loss(Linear(0.0), REAL, FAKE, conditions)
    assert values["wasserstein"].item() == pytest.approx(0.0)
    conditions = torch.tensor([0, 0, 0, 0, 0, 5])
    shown = torch.cat([REAL[:5], 3 * REAL[5:]])
    critic = Reads()
    model.critic_loss(critic, shown, FAKE, conditions)
    assert critic.seen == [(1.0, 0)] * 5 + [(3.0, 5)] + [(0.0, 0)] * 5 + [(0.0, 5)]


def test_the_relativistic_loss_and_its_penalties() -> None:
    """Scores 1 and 0, |gradient|^2 = 1/64: log(1 + e^-1) + gamma/2 (1/64 + 1/64); the generator's is log(1 + e)."""
    model = R3GAN(
        R3GANSettings(width=8, latent=4, penalty=6, penalised=0.5, classify=0), channels=1, size=8, conditions=2
    )
    loss, values = model.critic_loss(Linear(1 / 64), REAL, FAKE, CONDITIONS)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) + 6 / 64)
    assert values["critic_accuracy"].item() == 1
    assert values["penalty"].item() == pytest.approx(2 / 64)
    assert model.generator_loss(Linear(1 / 64), REAL, FAKE, CONDITIONS).item() == pytest.approx(math.log(1 + math.e))


def test_critic_and_generator_classify_by_hand() -> None:
    """White, real images are read as 0 with 1/4, black, generated ones with 4/5; the critic learns the real ones."""
    model = R3GAN(R3GANSettings(width=8, latent=4, penalty=0, classify=2), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(1 / 64), REAL, FAKE, CONDITIONS)
    assert values["classification_loss"].item() == pytest.approx(math.log(4))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) + 2 * math.log(4))
    generator_loss = model.generator_loss(Linear(1 / 64), REAL, FAKE, CONDITIONS)
    assert generator_loss.item() == pytest.approx(math.log(1 + math.e) + 2 * math.log(5 / 4))


def test_a_critic_that_classifies_scores_as_before_and_learns_to_read() -> None:
    grey = torch.tensor([40, 210]).repeat_interleave(8)
    images, which = grey.view(16, 1, 1, 1).expand(16, 1, 8, 8).to(torch.uint8), torch.arange(16) // 8
    model = R3GAN(R3GANSettings(width=8, latent=4, classify=1), channels=1, size=8, conditions=2)
    train(model, Pool(images, which, 2, which), batch=16, steps=60)
    with torch.inference_mode():
        scores, logits = model.critic.scores_and_logits(to_float(images), which)
        assert torch.equal(scores, model.critic(to_float(images), which))
    assert torch.equal(logits.argmax(1), which)
    with pytest.raises(RuntimeError, match="without a classifier"):
        ProjectionCritic(channels=1, size=8, width=4, conditions=2).scores_and_logits(to_float(images), which)


@pytest.mark.parametrize(("size", "conditions"), [(8, 0), (28, 3), (32, 3)])
def test_the_slope_of_a_critic_is_its_gradient(size: int, conditions: int) -> None:
    """By the images; and a penalty on it has the gradients by the weights that differentiating twice gives."""
    torch.manual_seed(0)
    critic = ProjectionCritic(channels=3, size=size, width=4, conditions=conditions)
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    images, shown = torch.randn(5, 3, size, size, requires_grad=True), torch.arange(5) % 3
    (twice,) = torch.autograd.grad(critic(images, shown).sum(), images, create_graph=True)
    once = critic.input_gradient(images, shown)
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-4)
    matters = [value for name, value in critic.named_parameters() if not name.endswith("bias")]
    for ours, theirs in zip(
        torch.autograd.grad(once.square().sum(), matters),
        torch.autograd.grad(twice.square().sum(), matters),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_clipping_holds_every_weight() -> None:
    model = WGAN(WGANSettings(width=8, latent=4, clip=0.1), channels=1, size=8, conditions=2)
    critic = Linear(0.25)
    loss, values = model.critic_loss(critic, REAL, FAKE, CONDITIONS)
    assert loss.item() == pytest.approx(-16.0)
    assert values["wasserstein"].item() == pytest.approx(16.0)
    model.after_critic_step(critic)
    assert critic.w.tolist() == pytest.approx([0.1] * 64)
    train(model, Pool(torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8), torch.zeros(9).long(), 1), 4, steps=3)
    assert all(bool((value.abs() <= 0.1).all()) for value in model.critic.parameters())


@pytest.mark.parametrize(("lengths", "left"), [((5, 5, 5, 24), 24), ((5, 5, 5, 100), 25), ((0, 0, 3), 3), ((7,), 7)])
def test_a_gradient_is_at_most_five_times_as_long_as_usual(lengths: tuple[float, ...], left: float) -> None:
    """Of a constant length, that is its usual one; before there is any, nothing is shortened."""
    weights = torch.nn.Parameter(torch.zeros(2))
    adam = R3GAN(R3GANSettings(width=8, latent=16), 3, 16, 3).optimizer([weights], 1e-3)
    for length in lengths:
        weights.grad = length * torch.tensor([0.6, 0.8])
        adam.step()
    assert weights.grad is not None
    assert weights.grad.tolist() == pytest.approx([0.6 * left, 0.8 * left], rel=1e-4)
    assert bool(torch.isfinite(weights).all())


def test_the_two_losses_of_the_gan() -> None:
    """Scores 16 and 0, i.e. D = sigmoid(16) and 1/2: the critic's loss is -log D(real) - log(1/2) = 0.6931..."""
    model = GAN(GANSettings(width=8, latent=4), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(0.25), REAL, FAKE, CONDITIONS)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-5)
    assert values["critic_accuracy"].item() == 0.5
    fake = torch.stack([REAL[0], -REAL[0]])
    d = torch.sigmoid(torch.tensor([2.0, -2.0]))
    critic, conditions = Linear(2 / 64), CONDITIONS[:2]
    assert model.generator_loss(critic, REAL[:2], fake, conditions).item() == pytest.approx(-d.log().mean().item())
    minimax = GAN(GANSettings(width=8, latent=4, loss="minimax"), channels=1, size=8, conditions=2)
    assert minimax.generator_loss(critic, REAL[:2], fake, conditions).item() == pytest.approx(
        (1 - d).log().mean().item()
    )


def test_the_critic_has_no_batch_norm() -> None:
    critic = WGANGP(WGANGPSettings(), channels=3, size=32, conditions=2).critic
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in critic.modules())
