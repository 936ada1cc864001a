"""The training loop: reports, stops, and goes on bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute.device import open_fabric
from scholars.errors import Interrupted, ScholarsError, ScholarsWarning
from scholars.settings import ComputeSettings
from scholars.training.batches import Batch, Pool
from scholars.training.loop import (
    NO_SESSION,
    RETRY_LR_SCALE,
    Descent,
    Session,
    Trainee,
    fit,
    gradient_norm,
    one_cycle,
    update_ema,
)
from scholars.training.meter import Tick

FABRIC = open_fabric(ComputeSettings())
POOL = Pool(
    torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    torch.arange(40) % 3,
    3,
)


def network() -> nn.Module:
    torch.manual_seed(1)
    # Dropout draws from the global generator: a resumed run must still see the same masks.
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(model(batch.inputs / 255).float(), batch.targets)


def fit_it(trainee: Trainee, session: Session = NO_SESSION, steps: int = 30, seed: int = 5) -> None:
    fit(trainee, lambda: POOL.draw(8), fabric=FABRIC, steps=steps, seed=seed, stage="test", session=session)


def train(ema: float, session: Session, seed: int = 5, kind: type[Descent] = Descent) -> nn.Module:
    module = network()
    fit_it(kind(FABRIC, module, loss, rate=1e-2, ema=ema), session, seed=seed)
    return module


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stop_at", [1, 13, 29])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path, ema: float, stop_at: int) -> None:
    asked = iter(range(1000))
    with pytest.raises(Interrupted):
        train(ema, Session(tmp_path, stopping=lambda: next(asked) >= stop_at))
    steps: list[int] = []
    resumed = train(ema, Session(tmp_path, on_tick=lambda tick: steps.append(tick.step)))
    assert steps[0] == stop_at
    assert same(resumed, train(ema, NO_SESSION))


@pytest.mark.parametrize(("save_every", "first"), [(0.0, 13), (1e9, 0)])
def test_what_is_saved_now_and_then_is_what_a_dead_training_goes_on_from(
    save_every: float, first: int, tmp_path: Path
) -> None:
    """A process that is killed says nothing and saves nothing: it goes on from where it saved by itself."""
    drawn = iter(range(1000))

    def dying() -> Batch:
        if next(drawn) == 13:
            raise RuntimeError("killed")
        return POOL.draw(8)

    def go(draw: Callable[[], Batch], save_every: float, session: Session) -> nn.Module:
        module = network()
        session = replace(session, save_every=save_every)
        trainee = Descent(FABRIC, module, loss, rate=1e-2)
        fit(trainee, draw, fabric=FABRIC, steps=30, seed=5, stage="test", session=session)
        return module

    with pytest.raises(RuntimeError, match="killed"):
        go(dying, save_every, Session(tmp_path))
    steps: list[int] = []
    resumed = go(lambda: POOL.draw(8), 1e9, Session(tmp_path, on_tick=lambda tick: steps.append(tick.step)))
    assert steps[0] == first
    assert same(resumed, train(0.0, NO_SESSION))


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    first = train(0.9, Session(tmp_path))
    steps: list[int] = []
    assert same(first, train(0.9, Session(tmp_path, on_tick=lambda tick: steps.append(tick.step))))
    assert steps == [30]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(0.0, Session(tmp_path))
    with pytest.raises(ScholarsError, match="another training"):
        train(0.0, Session(tmp_path), seed=6)


def test_seeds_differ_and_repeat() -> None:
    assert same(train(0.0, NO_SESSION), train(0.0, NO_SESSION))
    assert not same(train(0.0, NO_SESSION), train(0.0, Session(), seed=6))


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    module = network()
    trainee = Descent(FABRIC, module, loss, rate=1e-2)
    torch.manual_seed(7)
    fit_it(trainee, steps=3)
    assert torch.equal(torch.rand(3), expected)


class Counting:
    """A trainee whose loss is the number of the step."""

    def __init__(self) -> None:
        self.modules: Mapping[str, nn.Module] = {"module": nn.Linear(1, 1)}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self.step_number = 0

    def learning_rates(self, progress: float) -> dict[str, float]:
        return {}

    def step(self, draw: Callable[[], Batch], progress: float) -> dict[str, Tensor]:
        draw()
        self.step_number += 1
        return {"loss": torch.tensor(float(self.step_number - 1)), "progress": torch.tensor(progress)}


def test_ticks_tell_the_means_since_the_last_one() -> None:
    ticks: list[Tick] = []
    fit_it(Counting(), Session(on_tick=ticks.append), steps=250)
    assert [tick.step for tick in ticks] == list(range(0, 251, 2))
    assert [tick.metrics.get("loss") for tick in ticks] == [None, *(step - 1.5 for step in range(2, 251, 2))]
    assert ticks[1].metrics["progress"] == pytest.approx(0.5 / 250)


def test_the_rate_of_a_descent_follows_its_cycle_and_its_gradients_are_clipped() -> None:
    """At 0.325 of the training, a quarter of the way down: (1 + cos(pi / 4)) / 2 of the peak; gradients of norm 5."""
    module = network()
    trainee = Descent(FABRIC, module, lambda model, batch: 1000 * loss(model, batch), rate=0.1)
    assert trainee.learning_rates(0.325) == {"optimizer": pytest.approx(0.1 * 0.853553)}
    values = trainee.step(lambda: POOL.draw(8), 0.325)
    assert values["gradient_norm"] > 50, "as it was before it was clipped"
    assert gradient_norm(module.parameters()).item() == pytest.approx(5.0, rel=1e-3)


class Stubborn:
    """A trainee with two optimizers that notes the rates of each step, then sets others itself.

    diverges: in its 13th step
    """

    def __init__(self, diverges: bool) -> None:
        self.diverges, self.rates = diverges, list[tuple[float, float]]()
        parts = {"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}
        self.modules: Mapping[str, nn.Module] = parts
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            name: torch.optim.SGD(part.parameters(), lr=7.0) for name, part in parts.items()
        }

    def learning_rates(self, progress: float) -> dict[str, float]:
        return {"a": 0.1 * (1 - progress), "b": 0.2}

    def step(self, draw: Callable[[], Batch], progress: float) -> dict[str, Tensor]:
        groups = [optimizer.param_groups[0] for optimizer in self.optimizers.values()]
        self.rates.append((groups[0]["lr"], groups[1]["lr"]))
        for group in groups:
            group["lr"] = 3.0
        return {"loss": torch.tensor(float("nan") if self.diverges and len(self.rates) == 13 else 1.0)}


def test_the_loop_sets_the_rates_that_a_trainee_states() -> None:
    trainee = Stubborn(diverges=False)
    fit_it(trainee)
    assert trainee.rates == [pytest.approx((0.1 * (1 - step / 30), 0.2)) for step in range(30)]


def test_a_diverged_training_starts_again_at_lower_rates_whatever_the_trainee_does() -> None:
    trainee = Stubborn(diverges=True)
    with pytest.warns(ScholarsWarning, match="diverged"):
        fit_it(trainee)
    stated = [(0.1 * (1 - step / 30), 0.2) for step in range(30)]
    lower = [(RETRY_LR_SCALE * a, RETRY_LR_SCALE * b) for a, b in stated]
    assert trainee.rates == [pytest.approx(rates) for rates in (*stated[:13], *lower)]


class Exploding(Descent):
    """A training whose loss is not finite, from step 12 on, while its rate is not scaled to ``above`` or less."""

    above = 0.5

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.taken = 0

    def step(self, draw: Callable[[], Batch], progress: float) -> dict[str, Tensor]:
        lr_scale = self.optimizers["optimizer"].param_groups[0]["lr"] / self.learning_rates(progress)["optimizer"]
        self.taken += lr_scale > self.above
        return super().step(poisoned if lr_scale > self.above and self.taken > 12 else draw, progress)


def poisoned() -> Batch:
    batch = POOL.draw(8)
    return batch._replace(targets=batch.targets * float("nan"))


class AlwaysExploding(Exploding):
    above = 0.0


class Retried(Descent):
    """A training at the rates of a second attempt."""

    def learning_rates(self, progress: float) -> dict[str, float]:
        return {name: RETRY_LR_SCALE * rate for name, rate in super().learning_rates(progress).items()}


def test_a_training_that_diverges_starts_again_at_a_lower_rate() -> None:
    ticks: list[Tick] = []
    with pytest.warns(ScholarsWarning, match=r"stage 'test' by step 13 of 30\. The stage starts again"):
        module = train(0.0, Session(on_tick=ticks.append), kind=Exploding)
    # As if it had been trained so from the start; what was not finite was never reported.
    assert same(module, train(0.0, NO_SESSION, kind=Retried))
    assert all(math.isfinite(value) for tick in ticks for value in tick.metrics.values())


def test_a_second_attempt_that_is_interrupted_keeps_its_lower_rate(tmp_path: Path) -> None:
    """Stopped at step 5 of the second attempt: what goes on is the second attempt."""
    asked = iter(range(10_000))
    session = Session(tmp_path, stopping=lambda: next(asked) >= 13 + 5)
    with pytest.warns(ScholarsWarning), pytest.raises(Interrupted, match="at step 5"):
        train(0.0, session, kind=Exploding)
    assert same(train(0.0, Session(tmp_path)), train(0.0, NO_SESSION, kind=Retried))


def test_diverging_twice_is_an_error_that_names_the_stage(tmp_path: Path) -> None:
    with (
        pytest.warns(ScholarsWarning),
        pytest.raises(ScholarsError, match=r"again: .*'test'.*Nothing was saved.*Set a lower one"),
    ):
        train(0.0, Session(tmp_path), kind=AlwaysExploding)


def test_average_is_a_convex_combination() -> None:
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(a.weight, 1.0)
    nn.init.constant_(b.weight, 3.0)
    update_ema(a, b, 0.75)
    assert a.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 3)


def test_the_norm_of_all_gradients_together() -> None:
    module = nn.Linear(2, 1)
    torch.autograd.backward([3 * module.weight[0, 0] + 4 * module.bias[0]])
    assert gradient_norm(module.parameters()).item() == pytest.approx(5)


def test_one_cycle_rises_then_falls_to_zero() -> None:
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.1) == pytest.approx(1.0)
    assert one_cycle(0.325) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert one_cycle(1.0) == pytest.approx(0.0)
