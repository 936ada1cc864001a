"""Time stages in rounds, each beside its reference workload: a slow moment of the machine slows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from measuring.flop_count import count_flops, isolated_speed, peak_tensor_bytes, record_operations
from measuring.references import Reference
from measuring.stages import Stage
from measuring.training_bursts import Burst
from scholars.experiments.environment import peak_memory_mb, reset_peak_memory

Row = dict[str, Any]


@dataclass
class Samples:
    """What the rounds gave for one stage: bursts, speed of the reference around each, MiB taken by each."""

    bursts: list[Burst] = field(default_factory=list)
    references: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def measure_stages(
    stages: Sequence[Stage],
    references: Mapping[str, Reference],
    rounds: int,
    seconds: float,
    report: Callable[[str], None] = print,
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return a row for each stage and one for each reference, by name: medians over the rounds, after a warm-up."""
    samples = {stage.name: Samples() for stage in stages}
    speeds: dict[str, list[float]] = {name: [] for name in references}
    for stage in stages:
        stage.burst(0)
    for turn in range(rounds):
        report(f"round {turn + 1} of {rounds}")
        for name, reference in references.items():
            speeds[name].append(reference.speed())
        for stage in stages:
            _measure_once(stage, references[stage.reference], samples[stage.name], seconds)
    return (
        {stage.name: _row(stage, samples[stage.name]) for stage in stages},
        {name: {"unit": references[name].unit, **spread(values)} for name, values in speeds.items()},
    )


def _measure_once(stage: Stage, reference: Reference, samples: Samples, seconds: float) -> None:
    before = reference.speed()
    held = psutil.Process().memory_info().rss / 2**20
    reset_peak_memory()
    samples.bursts.append(stage.burst(seconds))
    samples.memory.append(peak_memory_mb() - held)
    samples.references.append((before + reference.speed()) / 2)


def _row(stage: Stage, samples: Samples) -> Row:
    """Return what is kept of a stage.

    speed: images (MB) a second
    ratio: images (MB) done while the machine does one unit of the reference, such as one GFLOP of convolutions: what is
        compared with another day's
    memory: MiB by which the process grew at most
    outside: of a training, the share of the time that is not forward, backward or optimizer
    """
    speeds = [burst.amount / burst.seconds for burst in samples.bursts]
    outside = [burst.outside for burst in samples.bursts if burst.outside is not None]
    return {
        "unit": stage.unit,
        "reference": stage.reference,
        "speed": spread(speeds),
        "ratio": spread([speed / best for speed, best in zip(speeds, samples.references, strict=True)]),
        "memory": round(max(samples.memory)),
        **({"outside": spread(outside)} if outside else {}),
    }


def measure_computation(stage: Stage, row: Row, references: Mapping[str, Reference]) -> Row:
    """Return what a stage computes; nothing for one that does not compute with floating-point numbers.

    gflop: of one image
    gflops: a second
    share: the same over the reference's
    alone: what ``share`` would be if only convolutions and products took time
    memory: MiB of tensors at most, beyond networks and data
    """
    if not stage.step:
        return {}
    gflop = count_flops(stage.step) / stage.images / 1e9
    reference = references[stage.reference]
    before = reference.speed()
    isolated = isolated_speed(record_operations(stage.step)) / 1e9
    return {
        "gflop": gflop,
        "gflops": gflop * row["speed"]["median"],
        "share": {name: gflop * value for name, value in row["ratio"].items()},
        "alone": isolated / ((before + reference.speed()) / 2),
        "memory": round(peak_tensor_bytes(stage.step) / 2**20),
    }


def spread(values: Sequence[float]) -> Row:
    """Return median, least and most."""
    return {"median": median(values), "least": min(values), "most": max(values)}
