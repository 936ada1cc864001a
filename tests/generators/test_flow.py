"""The equations of flow matching, and what a flow learns from its teacher."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from short_training import FABRIC, NEW, OLD, seeded, white

from scholars.generators import Teacher
from scholars.generators.flow import Flow
from scholars.settings import FlowSettings
from scholars.training.batches import Batch


def test_guidance_goes_beyond_the_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """v = v(none) + w (v(y) - v(none)): with velocities of 1 for none and 3 for a condition, w = 2 gives 5."""
    flow = Flow(FlowSettings(width=8, guidance=2.0, sampling_steps=1, patch=1), channels=1, size=8, conditions=2)

    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.where(y == 0, 1.0, 3.0)[:, None, None, None].expand_as(x)

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
    monkeypatch.setattr(flow, "_velocity", lambda x, t, y: t * x)
    torch.manual_seed(0)
    noise = torch.randn(3, 1, 8, 8)
    assert torch.allclose(seeded(flow, torch.tensor([0, 1, 1])), factor * noise)


def test_two_velocities_say_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dx/dt = -x, which ends at x / e, as many steps of Adams-Bashforth are nearer than Euler's."""

    def error(solver: Literal["adams", "euler"], warp: float) -> float:
        settings = FlowSettings(width=8, solver=solver, sampling_steps=8, warp=warp, patch=1)
        flow = Flow(settings, channels=1, size=8, conditions=2)
        monkeypatch.setattr(flow, "_velocity", lambda x, t, y: -x)
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
        def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
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

    def noting(x: torch.Tensor, t: float, y: object) -> torch.Tensor:
        times.append(t)
        return x

    monkeypatch.setattr(flow, "_velocity", noting)
    flow.sample(torch.tensor([0]))
    assert times == pytest.approx([0, 1 / 16, 1 / 4, 9 / 16])


class Constant(torch.nn.Module):
    """A velocity that is the same everywhere, and says how many it was asked for."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.asked = torch.nn.Parameter(torch.tensor(value)), 0

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.asked += len(x)
        return self.value.expand_as(x)


def test_a_flow_learns_the_velocities_of_its_teacher() -> None:
    """Of what is known the teacher says 3: a student that says 3 is right of that, whatever the images are."""
    flow = Flow(FlowSettings(width=8, dropout=0, distil=True), channels=1, size=8, conditions=3)
    teacher = Flow(FlowSettings(width=8), channels=1, size=8, conditions=2)
    teacher.net, flow.net = Constant(3.0), Constant(3.0)

    def loss(conditions: torch.Tensor) -> float:
        return float(flow.trainee(FABRIC, Teacher(teacher, 2)).step(lambda: white(conditions), 0.0)["loss"])

    assert loss(OLD) == 0
    assert teacher.net.asked == 4
    assert loss(NEW) > 1  # E (1 - x0 - 3)^2 = 5
    assert teacher.net.asked == 4
    for other in (FlowSettings(width=8, dropout=0), FlowSettings(width=8, dropout=0, patch=1, distil=True)):
        flow.settings = other
        assert loss(OLD) > 1


def test_a_teacher_is_no_part_of_the_one_that_it_teaches() -> None:
    """Neither of its weights nor of the average's: kept, it would keep its own teacher, and so on."""
    flow = Flow(FlowSettings(width=8, ema=0.9, distil=True), channels=1, size=8, conditions=3)
    names = list(flow.state_dict())
    trainee = flow.trainee(FABRIC, Teacher(Flow(FlowSettings(width=8), channels=1, size=8, conditions=2), 2))
    assert all(list(module.state_dict()) == names for module in trainee.modules.values())
    assert not any(
        isinstance(value, Flow | Teacher) for module in trainee.modules.values() for value in vars(module).values()
    )
