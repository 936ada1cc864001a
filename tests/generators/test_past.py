"""What a generator learns from the one before it, instead of from its dreams alone."""

from __future__ import annotations

import copy

import pytest
import torch

from scholars.compute import open_fabric
from scholars.generator_settings import FlowSettings, VAESettings
from scholars.generators import VAE, Flow
from scholars.generators.base import Past
from scholars.replay import Batch
from scholars.settings import ComputeSettings

FABRIC = open_fabric(ComputeSettings(precision="32-true"))
OLD, NEW = torch.tensor([0, 1, 1, 0]), torch.tensor([2, 2, 2, 2])


def white(conditions: torch.Tensor) -> Batch:
    return Batch(
        torch.full((len(conditions), 1, 8, 8), 255, dtype=torch.uint8),
        torch.zeros(len(conditions), 3),
        conditions,
        torch.ones(len(conditions)),
    )


class Constant(torch.nn.Module):
    """A velocity that is the same everywhere, and says how many it was asked for."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.asked = torch.nn.Parameter(torch.tensor(value)), 0

    def forward(self, x: torch.Tensor, t: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        return self.value.expand_as(x)


def test_a_flow_learns_the_velocities_of_its_teacher_where_it_knows() -> None:
    """Of what is known the teacher says 3: a student that says 3 is right of that, whatever the images are."""
    flow = Flow(FlowSettings(width=8, dropout=0, distil=True), channels=1, size=8, conditions=3)
    teacher = Flow(FlowSettings(width=8), channels=1, size=8, conditions=2)
    teacher.net, flow.net = Constant(3.0), Constant(3.0)

    def loss(conditions: torch.Tensor) -> float:
        return float(flow.trainee(FABRIC).step(lambda: white(conditions), 0.0)["loss"])

    flow.past = Past(known=2, teacher=teacher)
    assert loss(OLD) == 0
    assert teacher.net.asked == 4
    assert loss(NEW) > 1  # E (1 - x0 - 3)^2 = 5
    assert teacher.net.asked == 4
    for other in (FlowSettings(width=8, dropout=0), FlowSettings(width=8, dropout=0, patch=1, distil=True)):
        flow.settings = other
        assert loss(OLD) > 1


def test_a_moving_average_keeps_no_teacher_of_its_own() -> None:
    flow = Flow(FlowSettings(width=8, ema=0.9), channels=1, size=8, conditions=3)
    flow.past = Past(known=2, teacher=Flow(FlowSettings(width=8), channels=1, size=8, conditions=2))
    live = flow.trainee(FABRIC).modules["live"]
    assert isinstance(live, Flow)
    assert live is not flow
    assert live.past.teacher is flow.past.teacher


@pytest.mark.parametrize("net", ["conv", "mlp"])
def test_a_vae_learns_what_the_decoder_of_its_teacher_paints_where_it_knows(net: str) -> None:
    """White images of what is known change nothing in a student that paints as its teacher does: no code is of them."""
    vae = VAE(VAESettings(net=net, width=8, latent=4, variance=0.5), channels=1, size=8, conditions=3)
    teacher = copy.deepcopy(vae)
    # Both alike, whatever a batch norm makes of the batch: the teacher's is never in training.
    vae.decoder, teacher.decoder = Grey(0.3), Grey(0.3)

    def loss(conditions: torch.Tensor) -> float:
        return float(vae.trainee(FABRIC).step(lambda: white(conditions), 0.0)["loss"])

    vae.past = Past(known=2, teacher=teacher)
    assert loss(OLD) == 0
    assert loss(NEW) >= (1 - 0.3) ** 2  # (1 - 0.3)^2 / (2 * 0.5), and a divergence
    assert 0.2 < loss(torch.cat([OLD, NEW])) < loss(NEW)
    teacher.decoder = Grey(-0.2)
    assert loss(OLD) == pytest.approx(0.25, abs=0.05)  # (0.3 + 0.2)^2 / (2 * 0.5)
    teacher.settings = teacher.settings.model_copy(update={"latent": 5})
    assert loss(OLD) > 0.4  # as if it were new; the painted grey has come nearer to white by then
    teacher.settings = vae.settings
    vae.settings = vae.settings.model_copy(update={"distil": False})
    assert loss(OLD) > 0.4


class Grey(torch.nn.Module):
    """Paints one grey."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, noise: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(noise), 1, 8, 8)
