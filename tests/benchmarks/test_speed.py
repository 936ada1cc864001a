"""speed.py: could it count wrongly, or miss that something became slower?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import tiny_with
from measuring.flop_count import TensorSpec, count_flops, peak_tensor_bytes, record_operations
from measuring.references import TRAINING, Reference
from measuring.slowdowns import comparable_ratios, find_slowdowns
from measuring.speed_page import format_page
from measuring.stage_timing import measure_stages
from measuring.stages import Stage
from measuring.training_bursts import Burst, Training, generator_training, solver_training
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scholars.compute.device import open_fabric, to_device
from scholars.generators.conv_networks import ConvEncoder
from scholars.settings import GENERATORS, ComputeSettings, ImageSettings, Settings
from scholars.settings.overrides import changed
from scholars.solvers import build_solver
from scholars.training.batches import Pool

BATCH, SIDE, WIDTH = 4, 16, 8


def convolution(images: int, inputs: int, outputs: int, side: int, kernel: int) -> int:
    """Count 2 operations for each weight at each place of the output, of ``side`` squared places."""
    return 2 * images * outputs * side**2 * inputs * kernel**2


def solver_layers() -> list[int]:
    """Count by hand what each convolution of the CNN computes forward, and its last layer."""
    widths = [WIDTH, 2 * WIDTH, 4 * WIDTH]
    convolutions, channels = [], 3
    for stage, out in enumerate(widths):
        for _ in range(2):
            convolutions.append(convolution(BATCH, channels, out, SIDE >> stage, 3))
            channels = out
    return [*convolutions, 2 * BATCH * (2 * channels) * 10]


def solver() -> nn.Module:
    settings = changed(Settings(), {"solver.width": WIDTH})
    built = build_solver(settings.image_solver, ImageSettings(size=SIDE, channels=3), 10)
    to_device(built, torch.device("cpu"))
    return built


def pixels() -> Tensor:
    return torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_forward_and_back_is_counted_as_by_hand(bf16: bool) -> None:
    net, images = solver(), pixels()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(net(images).float(), torch.arange(BATCH))
        torch.autograd.backward(loss)

    first, *others = solver_layers()
    # Forward, to the weights, and to the inputs but where the inputs are the images.
    assert count_flops(step) == 2 * first + 3 * sum(others)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_forward_pass_without_gradients_is_counted_as_by_hand(mode: Any) -> None:
    net, images = solver(), pixels()

    def step() -> None:
        with mode():
            net(images)

    assert count_flops(step) == sum(solver_layers())


@pytest.mark.parametrize("bf16", [False, True])
def test_differentiating_twice_is_counted_as_by_hand(bf16: bool) -> None:
    critic = ConvEncoder(3, SIDE, WIDTH)
    images = torch.rand(BATCH, 3, SIDE, SIDE, requires_grad=True)

    def penalised() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            (gradient,) = torch.autograd.grad(critic(images).float().sum(), images, create_graph=True)
        torch.autograd.backward(gradient.float().square().sum())

    # 16 -> 8 -> 4, then a 4 x 4 convolution that leaves one number.
    layers = [convolution(BATCH, 3, 8, 8, 4), convolution(BATCH, 8, 16, 4, 4), convolution(BATCH, 16, 1, 1, 4)]
    # Forward; the gradient of the images; then of that gradient's own two factors: of what came from above, and of the
    # weights.
    least = 4 * sum(layers)
    # And zeros: a convolution differentiated twice gives its input a gradient of zeros, which goes on to images and
    # weights of all layers below.
    assert count_flops(penalised) - least in (0, 2 * sum(layers[:2]))


@pytest.mark.parametrize("what", ["solver", *GENERATORS])
def test_every_training_can_be_counted_and_its_operations_timed_by_themselves(what: str, tiny: Settings) -> None:
    step = tiny_training(what, tiny).repeated_step()
    assert count_flops(step) > 0
    assert all(operation.seconds(0) > 0 for operation in record_operations(step))


def test_it_counts_as_pytorch_does_where_pytorch_can(tiny: Settings) -> None:
    step = tiny_training("flow", tiny).repeated_step()
    with FlopCounterMode(display=False) as counter:
        step()
    assert count_flops(step) == counter.get_total_flops()


def tiny_training(what: str, tiny: Settings) -> Training:
    labels = torch.arange(40) % 4
    pool = Pool(torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8), labels, 4, labels)
    fabric = open_fabric(ComputeSettings())
    if what == "solver":
        return solver_training(pool, 4, tiny, fabric)
    return generator_training(pool, 4, tiny_with(tiny, what), fabric)


def test_a_burst_trains_from_the_beginning_every_time_and_ends_early(tiny: Settings, tmp_path: Path) -> None:
    settings = changed(tiny, {"solver.steps": 100_000})
    one = tiny_training("solver", settings)
    for _ in range(2):
        burst = one.burst(open_fabric(ComputeSettings()), 0.0, tmp_path)
        assert burst.amount == 4 * settings.image_solver.batch
        assert burst.outside is not None
        assert 0 < burst.outside < 1


def test_a_random_tensor_has_the_shape_and_stride_of_the_recorded_one() -> None:
    images = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for seen in (images, images[:, :, 1:], images[:1].expand(5, 3, 4, 4), torch.zeros(())):
        again = TensorSpec(tuple(seen.shape), seen.stride(), torch.bfloat16).random()
        assert (again.shape, again.stride(), again.dtype) == (seen.shape, seen.stride(), torch.bfloat16)


def test_the_peak_is_of_what_is_held_at_once() -> None:
    def step() -> None:
        one = torch.zeros(1 << 18)
        other = torch.zeros(1 << 18)
        del one
        torch.zeros(1 << 19)
        del other

    # After the first MiB is given back, one and two.
    assert peak_tensor_bytes(step) == 3 << 20


# The comparison of --check.


def test_a_ratio_is_worse_when_it_is_more_than_15_percent_lower_or_gone() -> None:
    kept = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
    found = find_slowdowns(kept, {"a": 0.86, "b": 0.84, "c": 9.0, "e": 0.0})
    assert list(found) == ["b", "d"]
    assert "-16 %" in found["b"]


def steady(name: str, images: float, outside: float | None = None) -> Stage:
    return Stage(name, TRAINING, lambda seconds: Burst(images, 1.0, outside))


def test_a_stage_is_compared_by_what_it_does_for_a_unit_of_its_reference() -> None:
    speeds = iter([10.0, 10.0, 30.0, 20.0, 40.0, 1.0, 3.0])

    class Uneven(Reference):
        def speed(self, min_seconds: float = 0.0) -> float:
            return next(speeds)

    references = {TRAINING: Uneven("GFLOP/s", 1.0, lambda: None)}
    rows, machine = measure_stages([steady("step", 100.0, 0.04)], references, 2, 0.0, lambda text: None)
    # First around its first burst, (10 + 30) / 2, after the reference by itself; then (40 + 1) / 2.
    assert machine[TRAINING] == {"unit": "GFLOP/s", "median": 15.0, "least": 10.0, "most": 20.0}
    assert rows["step"]["ratio"]["most"] == 100 / 20
    assert rows["step"]["ratio"]["least"] == pytest.approx(100 / 20.5)
    compared = comparable_ratios({"stages": rows})
    assert list(compared.values()) == [pytest.approx((5 + 100 / 20.5) / 2), pytest.approx(0.96)]


def test_the_page_shows_every_stage_and_what_a_target_has() -> None:
    row = {"median": 0.51, "least": 0.5, "most": 0.53}
    stage = {"unit": "images", "reference": TRAINING, "speed": {**row, "median": 1234.0}, "ratio": row, "memory": 3}
    counted = {"gflop": 0.2, "gflops": 200.0, "share": row, "alone": 0.9, "outside": {**row, "median": 0.012}}
    run = {"average_accuracy": 0.97, "seconds": 300.0, "peak_memory_mb": 1536.0}
    lines = format_page(
        {
            "date": "2026-01-01",
            "environment": {
                "processor": "a machine",
                "threads": 2,
                "precision": "bf16-mixed",
                "packages": {"torch": "2", "scholars": "1"},
            },
            "stages": {"step of the solver": stage | counted, "dream with flow": stage},
            "references": {TRAINING: {"unit": "GFLOP/s", **row}},
            "processes": {"solver": {"one": 100.0, "two": 90.0, "ratio": 0.9}},
            "runs": {
                "mnist-svhn": {
                    "command": "scholars run mnist-svhn",
                    "runs": {"replay": run, "joint": run | {"average_accuracy": 0.972}},
                }
            },
        }
    )
    page = "\n".join(lines)
    assert "| step of the solver: operations a second over the best convolution's | 0.51 (0.50-0.53) | 0.5 |" in page
    assert "| dream with flow, labels included | 1,234 a second | 1,000 |" in page
    assert "97.00 %, 0.20 points | 0.3 points" in page
    assert "5.0 min | 6 min" in page
    assert "1.50 GiB | 2 GiB" in page
    assert "1.2 % (step of the solver) | 5 %" in page
