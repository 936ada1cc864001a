"""The training loop: reports, stops, and goes on bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.compute import open_fabric
from scholars.errors import Interrupted, ScholarsError, ScholarsWarning
from scholars.fitting import CALM, Descent, Session, Tick, average, fit, gradient_norm, one_cycle
from scholars.replay import Batch, Pool
from scholars.settings import ComputeSettings

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
    return F.cross_entropy(model(batch.images / 255).float(), batch.targets)


def train(ema: float, session: Session, steps: int = 30, seed: int = 5, rate: float = 1e-2) -> nn.Module:
    module = network()
    trainee = Descent(FABRIC, module, loss, rate=rate, ema=ema)
    fit(trainee, lambda: POOL.draw(8), fabric=FABRIC, steps=steps, seed=seed, stage="test", session=session)
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
    assert same(resumed, train(ema, Session()))


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
    assert same(resumed, train(0.0, Session()))


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
    assert same(train(0.0, Session()), train(0.0, Session()))
    assert not same(train(0.0, Session()), train(0.0, Session(), seed=6))


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    module = network()
    trainee = Descent(FABRIC, module, loss, rate=1e-2)
    torch.manual_seed(7)
    fit(trainee, lambda: POOL.draw(8), fabric=FABRIC, steps=3, seed=0, stage="test", session=Session())
    assert torch.equal(torch.rand(3), expected)


class Counting:
    """A trainee whose loss is the number of the step."""

    calm = 1.0

    def __init__(self) -> None:
        self.modules: Mapping[str, nn.Module] = {"module": nn.Linear(1, 1)}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}
        self.step_number = 0

    def step(self, draw: Callable[[], Batch], progress: float) -> dict[str, Tensor]:
        draw()
        self.step_number += 1
        return {"loss": torch.tensor(float(self.step_number - 1)), "progress": torch.tensor(progress)}


def test_ticks_tell_the_means_since_the_last_one() -> None:
    ticks: list[Tick] = []
    session = Session(on_tick=ticks.append)
    fit(Counting(), lambda: POOL.draw(8), fabric=FABRIC, steps=250, seed=0, stage="test", session=session)
    assert [tick.step for tick in ticks] == list(range(0, 251, 2))
    assert [tick.metrics.get("loss") for tick in ticks] == [None, *(step - 1.5 for step in range(2, 251, 2))]
    assert ticks[1].metrics["progress"] == pytest.approx(0.5 / 250)


def test_a_descent_steps_at_the_rate_of_its_cycle_and_never_far() -> None:
    """At 0.325 of the training, a quarter of the way down: (1 + cos(pi / 4)) / 2 of the peak; gradients of norm 5."""
    module = network()
    trainee = Descent(FABRIC, module, lambda model, batch: 1000 * loss(model, batch), rate=0.1)
    trainee.calm = 0.5
    values = trainee.step(lambda: POOL.draw(8), 0.325)
    (optimizer,) = trainee.optimizers.values()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * 0.1 * 0.853553)
    assert values["gradient_norm"] > 50, "as it was before it was shortened"
    assert gradient_norm(module.parameters()).item() == pytest.approx(5.0, rel=1e-3)


def exploding(module: nn.Module, above: float) -> Descent:
    """A training whose loss is no number, from step 12 on, while its rate is multiplied by more than ``above``."""
    steps = iter(range(10_000))

    def factor(model: nn.Module, batch: Batch) -> Tensor:
        return loss(model, batch) * (float("nan") if trainee.calm > above and next(steps) >= 12 else 1.0)

    trainee = Descent(FABRIC, module, factor, rate=1e-2)
    return trainee


def test_a_training_that_diverges_begins_anew_more_calmly() -> None:
    module, ticks = network(), list[Tick]()
    with pytest.warns(ScholarsWarning, match=r"stage 'test' by step 13 of 30\. The stage begins anew"):
        fit(
            exploding(module, 0.5),
            lambda: POOL.draw(8),
            fabric=FABRIC,
            steps=30,
            seed=5,
            stage="test",
            session=Session(on_tick=ticks.append),
        )
    # As if it had been trained so from the start; what was not finite was never reported.
    assert same(module, train(0.0, Session(), rate=1e-2 * CALM))
    assert all(math.isfinite(value) for tick in ticks for value in tick.metrics.values())


def test_a_calmer_training_that_is_interrupted_stays_calm(tmp_path: Path) -> None:
    """Stopped at step 5 of the second attempt: what goes on is the second attempt."""
    asked = iter(range(10_000))
    session = Session(tmp_path, stopping=lambda: next(asked) >= 13 + 5)
    with pytest.warns(ScholarsWarning), pytest.raises(Interrupted, match="at step 5"):
        fit(
            exploding(network(), 0.5),
            lambda: POOL.draw(8),
            fabric=FABRIC,
            steps=30,
            seed=5,
            stage="test",
            session=session,
        )
    assert same(train(0.0, Session(tmp_path)), train(0.0, Session(), rate=1e-2 * CALM))


def test_diverging_twice_is_an_error_that_names_the_stage(tmp_path: Path) -> None:
    with (
        pytest.warns(ScholarsWarning),
        pytest.raises(ScholarsError, match=r"again: .*'test'.*Nothing was saved.*Set a lower one"),
    ):
        fit(
            exploding(network(), 0.0),
            lambda: POOL.draw(8),
            fabric=FABRIC,
            steps=30,
            seed=5,
            stage="test",
            session=Session(tmp_path),
        )


def test_average_is_a_convex_combination() -> None:
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(a.weight, 1.0)
    nn.init.constant_(b.weight, 3.0)
    average(a, b, 0.75)
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
