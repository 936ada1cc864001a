"""What every generator promises, and the equations of each."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from scholars.compute import open_fabric, randomness, to_float, to_uint8
from scholars.fitting import Session, fit
from scholars.generator_settings import (
    FlowSettings,
    GANSettings,
    GeneratorSettings,
    R3GANSettings,
    VAESettings,
    WGANGPSettings,
    WGANSettings,
)
from scholars.generators import GAN, R3GAN, VAE, WGAN, WGANGP, Flow, Generator, build_generator
from scholars.generators.adversarial import Adversarial
from scholars.generators.base import Past
from scholars.generators.painting import ProjectionCritic
from scholars.generators.vae import divergence, reconstruction
from scholars.replay import Batch, Pool
from scholars.settings import ComputeSettings, ImageSettings

KINDS = list(GeneratorSettings().kinds())
FABRIC = open_fabric(ComputeSettings(precision="32-true"))
WHICH = torch.arange(64) % 3
POOL = Pool(torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8), WHICH, 3, WHICH)
KIND = pytest.mark.parametrize("kind", [*sorted(KINDS), "flow mlp", "vae mlp", "r3gan classify"])


def settings(kind: str) -> GeneratorSettings:
    """Of a kind, or of one with another network: ``flow mlp``; ``r3gan classify`` has a classifier."""
    kind, _, net = kind.partition(" ")
    small: dict[str, dict[str, object]] = {name: {"width": 8, "latent": 16} for name in KINDS if name != "flow"}
    small["flow"] = {"width": 8}
    if net == "classify":
        small[kind]["classify"] = 1
    elif net:
        small[kind]["net"] = net
    return GeneratorSettings.model_validate({"kind": kind, **small})


def seeded(generator: Generator, labels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator.eval()
    with torch.inference_mode(), randomness(FABRIC.device):
        torch.manual_seed(seed)
        return generator.sample(labels)


def train(generator: Generator, pool: Pool, batch: int, steps: int) -> None:
    trainee = generator.trainee(FABRIC)
    fit(trainee, lambda: pool.draw(batch), fabric=FABRIC, steps=steps, seed=0, stage="generator", session=Session())


WATCHED = {
    "flow": {"loss", "gradient_norm"},
    "vae": {"loss", "gradient_norm"},
    "gan": {"critic_accuracy"},
    "r3gan": {"critic_accuracy", "penalty"},
    "r3gan classify": {"critic_accuracy", "penalty", "classification_loss"},
    "wgan": {"wasserstein"},
    "wgan-gp": {"wasserstein", "penalty"},
}
GAME = {"critic_loss", "painter_loss", "critic_gradient_norm", "painter_gradient_norm"}


@pytest.mark.parametrize("kind", [*KINDS, "r3gan classify"])
def test_what_is_logged_of_every_step(kind: str) -> None:
    """Losses, norms of gradients, what the critic makes of the images, and what keeps it smooth."""
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    values = generator.trainee(FABRIC).step(lambda: POOL.draw(8), 0.0)
    assert values.keys() == WATCHED[kind] | (GAME if isinstance(generator, Adversarial) else set())
    assert all(value.shape == () and torch.isfinite(value) and not value.requires_grad for value in values.values())
    assert all(value > 0 for name, value in values.items() if name.endswith("norm"))


def test_every_kind_of_the_settings_can_be_built() -> None:
    built = {type(build_generator(settings(kind), ImageSettings(size=16), conditions=3)) for kind in KINDS}
    assert built == {Flow, R3GAN, WGANGP, WGAN, GAN, VAE}


@KIND
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (36, 3), (64, 3)])
def test_any_image_shape(kind: str, size: int, channels: int) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=size, channels=channels), conditions=3)
    images = seeded(generator, torch.tensor([0, 1, 2, 2, 1]))
    assert images.shape == (5, channels, size, size)
    assert bool(torch.isfinite(images).all())
    pool = Pool(torch.zeros(9, channels, size, size, dtype=torch.uint8), torch.arange(9) % 3, 3, torch.arange(9) % 3)
    train(generator, pool, batch=4, steps=2)
    assert not torch.equal(seeded(generator, torch.tensor([0, 1, 2, 2, 1])), images)


@KIND
def test_sampling_follows_the_seed(kind: str) -> None:
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    labels = torch.zeros(4, dtype=torch.int64)
    assert torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 1))
    # An untrained flow's velocity is zero, and its samples are the noise; a perceptron paints the mean image at first.
    if kind not in ("flow", "flow mlp", "vae mlp"):
        assert not torch.equal(seeded(generator, labels, 1), seeded(generator, labels, 2))


@KIND
def test_every_weight_learns(kind: str) -> None:
    """An optimiser built on the wrong network's parameters would leave some weights where they were."""
    generator = build_generator(settings(kind), ImageSettings(size=16), conditions=3)
    before = {name: value.detach().clone() for name, value in generator.named_parameters()}
    train(generator, POOL, batch=16, steps=12)
    unchanged = [name for name, value in generator.named_parameters() if torch.equal(value, before[name])]
    assert unchanged == []


def test_dreams_are_painted_from_wider_noise_and_learned_from_it() -> None:
    """As wide as it is dreamt of later, and what is learned from dreams as wide as it was dreamt of."""
    gan = GAN(GANSettings(width=8, latent=400, conditional=True, spread=1.5), channels=3, size=16, conditions=3)
    gan.past = Past(known=2)
    seen: list[torch.Tensor] = []

    def note(_: torch.nn.Module, given: tuple[torch.Tensor, torch.Tensor]) -> None:
        seen.append(given[0].detach())

    trainee = gan.trainee(FABRIC)
    for painter in (gan.painter, trainee.modules["live"]):
        painter.register_forward_pre_hook(note)
    seeded(gan, torch.tensor([0, 1, 2]))
    trainee.step(lambda: POOL.draw(64)._replace(conditions=WHICH), 0.0)
    deviations = [noise.std(1).tolist() for noise in seen]
    assert deviations[0] == pytest.approx([1.5] * 3, abs=0.25)
    assert deviations[1] == pytest.approx([1.0 if which == 2 else 1.5 for which in WHICH.tolist()], abs=0.25)


def test_a_painter_that_is_not_told_is_not_classified() -> None:
    with pytest.raises(ValidationError, match="conditional=true"):
        R3GANSettings(classify=1, conditional=False)


def test_a_painter_that_is_not_told_is_not_widened() -> None:
    with pytest.raises(ValidationError, match="conditional=true"):
        WGANSettings(spread=1.2)


def heeding(generator: Generator, steps: int) -> tuple[float, float]:
    """How bright a generator draws a class of grey level 40 and one of 210, after a short training."""
    images = torch.cat([torch.full((8, 1, 8, 8), 40), torch.full((8, 1, 8, 8), 210)]).to(torch.uint8)
    which = torch.arange(16) // 8
    train(generator, Pool(images, which, 2, which), batch=32, steps=steps)
    drawn = to_uint8(seeded(generator, torch.tensor([0] * 20 + [1] * 20))).float().mean((1, 2, 3))
    return drawn[:20].mean().item(), drawn[20:].mean().item()


@pytest.mark.parametrize(("net", "guidance"), [("unet", 1.0), ("unet", 2.0), ("mlp", 1.0)])
def test_the_flow_heeds_its_condition(net: Literal["unet", "mlp"], guidance: float) -> None:
    torch.manual_seed(0)
    width = {"unet": 8, "mlp": 32}[net]
    flow = FlowSettings(net=net, width=width, rate=5e-3, ema=0.9, sampling_steps=4, guidance=guidance)
    assert heeding(Flow(flow, channels=1, size=8, conditions=2), 300) == pytest.approx((40, 210), abs=25)


def test_the_vae_heeds_its_condition() -> None:
    torch.manual_seed(0)
    vae = VAESettings(width=8, latent=4, rate=5e-3, ema=0.9)
    assert heeding(VAE(vae, channels=1, size=8, conditions=2), 300) == pytest.approx((40, 210), abs=25)


@pytest.mark.parametrize("kind", ["gan", "r3gan", "wgan", "wgan-gp"])
def test_adversaries_heed_their_condition(kind: str) -> None:
    torch.manual_seed(0)
    chosen = {"width": 8, "latent": 4, "conditional": True, "rate": 1e-3, "critic_rate": 2e-3, "ema": 0.9}
    asked = GeneratorSettings.model_validate({"kind": kind, kind: chosen})
    dark, bright = heeding(build_generator(asked, ImageSettings(size=8, channels=1), conditions=2), 300)
    assert dark < 90
    assert bright > 160


@pytest.mark.parametrize("kind", KINDS)
def test_an_unconditional_generator_is_told_nothing(kind: str) -> None:
    changes = {"kind": kind, kind: {"width": 8, "conditional": False}}
    generator = build_generator(GeneratorSettings.model_validate(changes), ImageSettings(size=16), conditions=3)
    train(generator, POOL, batch=16, steps=3)
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    assert torch.equal(seeded(generator, zeros), seeded(generator, ones))


def test_guidance_goes_beyond_the_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """v = v(none) + w (v(y) - v(none)): with velocities of 1 for none and 3 for a condition, w = 2 gives 5."""
    flow = Flow(FlowSettings(width=8, guidance=2.0, sampling_steps=1, patch=1), channels=1, size=8, conditions=2)

    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            return torch.where(given == 0, 1.0, 3.0)[:, None, None, None].expand_as(x)

    monkeypatch.setattr(flow, "net", Constant())
    torch.manual_seed(0)
    noise = torch.randn(3, 1, 8, 8)
    torch.manual_seed(0)
    assert torch.allclose(flow.sample(torch.tensor([0, 1, 1])), noise + 5)


@pytest.mark.parametrize(
    ("solver", "factor"),
    [
        # dx/dt = t x from t = 0 to 1 in two steps of 1/2, by hand: the exact factor is e^(1/2) = 1.6487.
        ("euler", 1.25),  # (1 + 0/2) (1 + 0.5/2)
        ("heun", 1.40625),  # 1 + (0 + 0.5)/2/2 = 1.125, then the last step by Euler: * 1.25
        ("adams", 1.375),  # 1, then 1 + 1/2 (0.5 + (0.5 - 0) / 2)
    ],
)
def test_the_integrators_by_hand(monkeypatch: pytest.MonkeyPatch, solver: Literal["euler"], factor: float) -> None:
    settings = FlowSettings(width=8, solver=solver, sampling_steps=2, warp=1.0, patch=1)
    flow = Flow(settings, channels=1, size=8, conditions=2)
    monkeypatch.setattr(flow, "_at", lambda x, t, given: t * x)
    torch.manual_seed(0)
    noise = torch.randn(3, 1, 8, 8)
    assert torch.allclose(seeded(flow, torch.tensor([0, 1, 1])), factor * noise)


def test_two_velocities_say_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dx/dt = -x, which ends at x / e, as many steps of Adams-Bashforth are nearer than Euler's."""

    def error(solver: Literal["adams", "euler"], warp: float) -> float:
        settings = FlowSettings(width=8, solver=solver, sampling_steps=8, warp=warp, patch=1)
        flow = Flow(settings, channels=1, size=8, conditions=2)
        monkeypatch.setattr(flow, "_at", lambda x, t, given: -x)
        torch.manual_seed(0)
        noise = torch.randn(3, 1, 8, 8)
        return float((seeded(flow, torch.tensor([0, 1, 1])) - noise / math.e).abs().max())

    assert error("adams", 1.0) < error("euler", 1.0) / 4
    assert error("adams", 1.6) < error("euler", 1.0) / 5


def test_the_flow_learns_most_of_the_middle_of_the_path() -> None:
    """Logit-normal: |logit t| < 1 as often as a normal is within one deviation; uniform times were there 46 %."""
    flow = Flow(FlowSettings(width=8, patch=1), channels=1, size=8, conditions=2)
    times: list[torch.Tensor] = []

    class Noting(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            times.append(t)
            return x

    torch.manual_seed(0)
    images = torch.zeros(2000, 1, 8, 8, dtype=torch.uint8)
    which = torch.zeros(2000, dtype=torch.int64)
    flow._loss(None, 0, Noting(), Batch(images, torch.ones(2000, 2) / 2, which, torch.ones(2000)))
    assert (torch.logit(times[0]).abs() < 1).float().mean().item() == pytest.approx(0.683, abs=0.03)
    assert times[0].mean().item() == pytest.approx(0.5, abs=0.02)


def test_steps_are_warped_toward_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step i of n begins at (i / n)^2, where ``warp`` is 2."""
    flow = Flow(FlowSettings(width=8, sampling_steps=4, warp=2.0, solver="euler"), 1, 8, 2)
    times: list[float] = []

    def noting(x: torch.Tensor, t: float, given: object) -> torch.Tensor:
        times.append(t)
        return x

    monkeypatch.setattr(flow, "_at", noting)
    flow.sample(torch.tensor([0]))
    assert times == pytest.approx([0, 1 / 16, 1 / 4, 9 / 16])


def test_what_an_adversary_paints_with_is_an_average() -> None:
    gan = GAN(GANSettings(width=8, latent=4, ema=0.75), channels=3, size=16, conditions=3)
    trainee = gan.trainee(FABRIC)
    before = [weight.detach().clone() for weight in gan.painter.parameters()]
    trainee.step(lambda: POOL.draw(8), 0.0)
    after = zip(before, trainee.modules["live"].parameters(), gan.painter.parameters(), strict=True)
    for was, live, average in after:
        torch.testing.assert_close(average, torch.lerp(was, live, 0.25))


def test_the_divergence_and_the_reconstruction_by_hand() -> None:
    """KL(N(1, 4) || N(0, 1)) = (4 + 1 - 1 - log 4) / 2; the error of 0.5 everywhere has the log MSE log 0.25."""
    mean, log_variance = torch.tensor([[1.0], [1.0]]), torch.full((2, 1), 4.0).log()
    assert divergence(mean, log_variance).item() == pytest.approx((4 - math.log(4)) / 2)
    images = torch.zeros(2, 1, 8, 8)
    assert reconstruction(images, images + 0.5).item() == pytest.approx(0.5 * math.log(0.25))
    assert reconstruction(images, images + 0.5, 0.1).item() == pytest.approx(0.25 / 0.2)


class Reads(torch.nn.Module):
    """A critic that notes of each image how bright it is and what it was told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, int]] = []

    def forward(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        self.seen += zip(images.mean((1, 2, 3)).tolist(), told.tolist(), strict=True)
        return images.mean((1, 2, 3))

    def slope(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(images)

    def read(self, images: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("nobody is to classify")


class Told(torch.nn.Module):
    """An encoder that says mu = 1 and log sigma^2 = log 4 of every image."""

    def __init__(self) -> None:
        super().__init__()
        self.code = torch.nn.Parameter(torch.tensor([1.0, math.log(4)]))

    def forward(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return self.code.repeat_interleave(64).expand(len(images), 128)


class Shows(torch.nn.Module):
    """A decoder that shows its code."""

    def forward(self, codes: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return codes.view(len(codes), 1, 8, 8)


def test_a_vae_draws_its_codes_and_weighs_its_two_terms_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """z = 1 + 2 e; of 64 pixels the error squared over 2 s^2, and 1/64 of 64 divergences from N(1, 4)."""
    vae = VAE(VAESettings(width=8, latent=64, variance=0.5), channels=1, size=8, conditions=2)
    vae.encoder, vae.decoder = Told(), Shows()
    e = torch.randn(4, 64)
    images = torch.zeros(4, 1, 8, 8)
    painted, mean, log_variance = vae(images, torch.tensor([0, 1, 0, 1]), e)
    assert torch.allclose(painted.flatten(1), 1 + 2 * e)
    assert (mean.unique().tolist(), log_variance.unique().tolist()) == ([1.0], [pytest.approx(math.log(4))])
    monkeypatch.setattr("scholars.generators.vae.noise", lambda *_, device: e)
    white = Pool(torch.full((4, 1, 8, 8), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), 2).draw(4)
    loss = vae.trainee(FABRIC).step(lambda: white, 0.0)["loss"].item()
    assert loss == pytest.approx(float((2 * e).square().mean()) + (4 - math.log(4)) / 2, rel=1e-5)


class Linear(torch.nn.Module):
    """D(x) = w.x"""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.full((64,), w))

    def forward(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.w + told

    def slope(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return self.w.view(1, 1, 8, 8).expand_as(images)

    def read(self, images: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is white is taken for 1 with odds of 3, what is black for 0 with odds of 4."""
        white = images.mean((1, 2, 3))
        return self(images, told), torch.stack([(1 - white) * math.log(4), white * math.log(3)], dim=1)


REAL, FAKE, TOLD = torch.ones(6, 1, 8, 8), torch.zeros(6, 1, 8, 8), torch.zeros(6, dtype=torch.int64)


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    """D(x) = w.x has the gradient w everywhere: W = w.(mean real - mean fake), penalty = (|w| - 1)^2 with |w| = 2."""
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(0.25), REAL, FAKE, TOLD)
    assert values["wasserstein"].item() == pytest.approx(16.0)
    assert values["penalty"].item() == pytest.approx(1.0)
    assert loss.item() == pytest.approx(-16.0 + 10 * 1.0)
    assert model.painter_loss(Linear(0.25), FAKE, REAL, TOLD).item() == pytest.approx(-16.0)


class Quadratic(torch.nn.Module):
    """D(x) = |x|^2 / 2, whose slope is x; it remembers where its slope was wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).square().sum(1) / 2

    def slope(self, images: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        self.at.append((images, told))
        return images

    def read(self, images: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("nobody is to classify")


def test_the_penalty_is_taken_between_real_and_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the way from black to white, where the slope of 64 pixels is 0.25 each: (2 - 1)^2."""
    monkeypatch.setattr("scholars.generators.wgan_gp.chances", lambda *_, device: torch.tensor(0.25))
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=2)
    _, values = model.critic_loss(Quadratic(), REAL, FAKE, TOLD)
    assert values["penalty"].item() == pytest.approx(1.0)
    _, values = model.critic_loss(Quadratic(), 2 * REAL, FAKE, TOLD)
    assert values["penalty"].item() == pytest.approx(9.0)


def test_the_penalties_are_estimated_from_real_and_painted_ones_all_over_the_batch() -> None:
    """The first of a batch are new and the last ones dreams: none of them alone."""
    model = R3GAN(R3GANSettings(width=8, latent=4, penalised=0.5), channels=1, size=8, conditions=6)
    critic, told = Quadratic(), torch.arange(6)
    real = told.float().view(6, 1, 1, 1).expand(6, 1, 8, 8)
    model.critic_loss(critic, real, -real, told)
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
def test_the_game_has_its_critics_steps_and_its_rates(
    kind: str, optimizer: str, betas: tuple[float, float] | None
) -> None:
    """Halfway through, with rates that were calmed to a tenth."""
    small = {"width": 8, "latent": 4, "critic_steps": 3, "rate": 0.002, "critic_rate": 0.008}
    chosen = GeneratorSettings.model_validate({"kind": kind, kind: small})
    trainee = build_generator(chosen, ImageSettings(size=16), conditions=3).trainee(FABRIC)
    trainee.calm = 0.1
    drawn: list[int] = []

    def draw() -> Batch:
        drawn.append(8)
        return POOL.draw(8)

    trainee.step(draw, 0.5)
    assert len(drawn) == 3
    for name, rate in (("painter_optimizer", 0.002), ("critic_optimizer", 0.008)):
        one = trainee.optimizers[name]
        assert type(one).__name__ == optimizer
        assert one.param_groups[0]["lr"] == pytest.approx(0.1 * rate * 0.5)
        assert one.param_groups[0].get("betas") == betas


def test_the_critic_is_asked_about_what_was_told() -> None:
    """A score that is the condition: every loss sees it beside the image that it belongs to, real and painted."""
    told = torch.arange(6)
    model = WGANGP(WGANGPSettings(width=8, latent=4), channels=1, size=8, conditions=6)
    assert model.painter_loss(Linear(0.0), REAL, FAKE, told).item() == pytest.approx(-2.5)
    _, values = model.critic_loss(Linear(0.0), REAL, FAKE, told)
    assert values["wasserstein"].item() == pytest.approx(0.0)
    told = torch.tensor([0, 0, 0, 0, 0, 5])
    shown = torch.cat([REAL[:5], 3 * REAL[5:]])
    critic = Reads()
    model.critic_loss(critic, shown, FAKE, told)
    assert critic.seen == [(1.0, 0)] * 5 + [(3.0, 5)] + [(0.0, 0)] * 5 + [(0.0, 5)]


def test_the_relativistic_loss_and_its_penalties() -> None:
    """Scores 1 and 0, |gradient|^2 = 1/64: log(1 + e^-1) + gamma/2 (1/64 + 1/64); the painter's is log(1 + e)."""
    model = R3GAN(R3GANSettings(width=8, latent=4, penalty=6, penalised=0.5), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(1 / 64), REAL, FAKE, TOLD)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) + 6 / 64)
    assert values["critic_accuracy"].item() == 1
    assert values["penalty"].item() == pytest.approx(2 / 64)
    assert model.painter_loss(Linear(1 / 64), REAL, FAKE, TOLD).item() == pytest.approx(math.log(1 + math.e))


def test_critic_and_painter_classify_by_hand() -> None:
    """White, real images are read as 0 with 1/4, black ones, painted, with 4/5; the critic learns of the real alone."""
    model = R3GAN(R3GANSettings(width=8, latent=4, penalty=0, classify=2), channels=1, size=8, conditions=2)
    loss, values = model.critic_loss(Linear(1 / 64), REAL, FAKE, TOLD)
    assert values["classification_loss"].item() == pytest.approx(math.log(4))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) + 2 * math.log(4))
    painter = model.painter_loss(Linear(1 / 64), REAL, FAKE, TOLD)
    assert painter.item() == pytest.approx(math.log(1 + math.e) + 2 * math.log(5 / 4))


def test_a_critic_that_classifies_scores_as_before_and_learns_to_read() -> None:
    grey = torch.tensor([40, 210]).repeat_interleave(8)
    images, which = grey.view(16, 1, 1, 1).expand(16, 1, 8, 8).to(torch.uint8), torch.arange(16) // 8
    model = R3GAN(R3GANSettings(width=8, latent=4, classify=1), channels=1, size=8, conditions=2)
    train(model, Pool(images, which, 2, which), batch=16, steps=60)
    with torch.inference_mode():
        scores, logits = model.critic.read(to_float(images), which)
        assert torch.equal(scores, model.critic(to_float(images), which))
    assert torch.equal(logits.argmax(1), which)
    with pytest.raises(RuntimeError, match="without a classifier"):
        ProjectionCritic(channels=1, size=8, width=4, conditions=2).read(to_float(images), which)


@pytest.mark.parametrize(("size", "conditions"), [(8, 0), (28, 3), (32, 3)])
def test_the_slope_of_a_critic_is_its_gradient(size: int, conditions: int) -> None:
    """By the images; and a penalty on it has the gradients by the weights that differentiating twice gives."""
    torch.manual_seed(0)
    critic = ProjectionCritic(channels=3, size=size, width=4, conditions=conditions)
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    images, told = torch.randn(5, 3, size, size, requires_grad=True), torch.arange(5) % 3
    (twice,) = torch.autograd.grad(critic(images, told).sum(), images, create_graph=True)
    once = critic.slope(images, told)
    torch.testing.assert_close(once, twice)
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
    loss, values = model.critic_loss(critic, REAL, FAKE, TOLD)
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
    loss, values = model.critic_loss(Linear(0.25), REAL, FAKE, TOLD)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-5)
    assert values["critic_accuracy"].item() == 0.5
    fake = torch.stack([REAL[0], -REAL[0]])
    d = torch.sigmoid(torch.tensor([2.0, -2.0]))
    judge, told = Linear(2 / 64), TOLD[:2]
    assert model.painter_loss(judge, REAL[:2], fake, told).item() == pytest.approx(-d.log().mean().item())
    minimax = GAN(GANSettings(width=8, latent=4, loss="minimax"), channels=1, size=8, conditions=2)
    assert minimax.painter_loss(judge, REAL[:2], fake, told).item() == pytest.approx((1 - d).log().mean().item())


def test_the_critic_has_no_batch_norm() -> None:
    critic = WGANGP(WGANGPSettings(), channels=3, size=32, conditions=2).critic
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in critic.modules())


def test_pixels_survive_the_normalisation() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = to_float(images)
    assert floats.min().item() == -1
    assert floats.max().item() == 1
    assert torch.equal(to_uint8(floats), images)
