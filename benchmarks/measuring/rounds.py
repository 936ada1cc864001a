"""Stages measured in rounds, each beside its yardstick: a slow moment of the machine slows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from measuring.operations import alone, flops, operations, peak
from measuring.stages import Stage
from measuring.trained import Burst
from measuring.yardsticks import Yardstick
from scholars.environment import peak_memory_mb, restart_peak_memory

Row = dict[str, Any]


@dataclass
class Samples:
    """What the rounds gave for one stage: bursts, what the yardstick showed around each, MiB taken for each."""

    bursts: list[Burst] = field(default_factory=list)
    yards: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def speeds(self) -> list[float]:
        """Images, or megabytes, a second."""
        return [burst.amount / burst.seconds for burst in self.bursts]


def measured(
    stages: Sequence[Stage],
    yardsticks: Mapping[str, Yardstick],
    rounds: int,
    seconds: float,
    tell: Callable[[str], None] = print,
) -> tuple[dict[str, Row], dict[str, Row]]:
    """A row for each stage and one for each yardstick, by name: medians over the rounds, after one to warm up."""
    samples = {stage.name: Samples() for stage in stages}
    yards: dict[str, list[float]] = {name: [] for name in yardsticks}
    for stage in stages:
        stage.burst(0)
    for turn in range(rounds):
        tell(f"round {turn + 1} of {rounds}")
        for name, yardstick in yardsticks.items():
            yards[name].append(yardstick.speed())
        for stage in stages:
            _once(stage, yardsticks[stage.yardstick], samples[stage.name], seconds)
    return (
        {stage.name: row(stage, samples[stage.name]) for stage in stages},
        {name: {"unit": yardsticks[name].unit, **spread(values)} for name, values in yards.items()},
    )


def _once(stage: Stage, yardstick: Yardstick, samples: Samples, seconds: float) -> None:
    before = yardstick.speed()
    held = psutil.Process().memory_info().rss / 2**20
    restart_peak_memory()
    samples.bursts.append(stage.burst(seconds))
    samples.memory.append(peak_memory_mb() - held)
    samples.yards.append((before + yardstick.speed()) / 2)


def row(stage: Stage, samples: Samples) -> Row:
    """What is kept of a stage.

    speed: images (MB) a second
    ratio: images (MB) done while the machine does one unit of the yardstick, such as one GFLOP of convolutions: what is
        compared with another day's
    memory: MiB by which the process grew at most
    outside: of a training, the share of the time that is not forward, backward or optimizer
    """
    relative = [speed / yard for speed, yard in zip(samples.speeds, samples.yards, strict=True)]
    outside = [burst.outside for burst in samples.bursts if burst.outside is not None]
    return {
        "unit": stage.unit,
        "yardstick": stage.yardstick,
        "speed": spread(samples.speeds),
        "ratio": spread(relative),
        "memory": round(max(samples.memory)),
        **({"outside": spread(outside)} if outside else {}),
    }


def computed(stage: Stage, row: Row, yardsticks: Mapping[str, Yardstick]) -> Row:
    """What it computes, for a stage that does.

    gflop: of one image
    gflops: a second
    share: the same over the yardstick's
    alone: what ``share`` would be if only convolutions and products took time
    memory: MiB of tensors at most, beyond networks and data
    """
    if not stage.step:
        return {}
    each = flops(stage.step) / stage.images / 1e9
    yardstick = yardsticks[stage.yardstick]
    before = yardstick.speed()
    by_themselves = alone(operations(stage.step)) / 1e9
    return {
        "gflop": each,
        "gflops": each * row["speed"]["median"],
        "share": {name: each * value for name, value in row["ratio"].items()},
        "alone": by_themselves / ((before + yardstick.speed()) / 2),
        "memory": round(peak(stage.step) / 2**20),
    }


def spread(values: Sequence[float]) -> Row:
    """Their median, least and most."""
    return {"median": median(values), "least": min(values), "most": max(values)}
