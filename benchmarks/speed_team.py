"""How fast so many processes of this machine train as one. Run by speed.py, which sets the number of threads.

python benchmarks/speed_team.py PROCESSES solver|KIND SECONDS

Prints one JSON object: images a second, of all processes together, with checkpoints and reports as in a run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from measuring.trained import Burst, second_task, training

from scholars.config import read_recipe
from scholars.tasks import Images, Task
from scholars.teaching import teach_generator, teach_solver
from scholars.team import carry_out, fabric_of, together


def noise(name: str, channels: int, size: int) -> Task:
    """A task of ten classes; what it shows is not the point."""
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (20_000, channels, size, size), dtype=np.uint8), np.arange(20_000) % 10)
    return Task(name, tuple("0123456789"), images, images[:100])


def trained(what: str, seconds: float, scratch: Path, fabric: Fabric) -> Burst:
    """In every process: a moment of training, after another one to warm up."""
    torch.manual_seed(0)
    settings = read_recipe("mnist-svhn").settings()
    shape = settings.image
    mix = second_task(noise("one", shape.channels, shape.size), noise("two", shape.channels, shape.size), settings)
    if what == "solver":
        one = training(
            what, lambda: teach_solver(mix.for_solver(), classes=10, settings=settings, seed=0, fabric=fabric)
        )
    else:
        kind = settings.generator.model_copy(update={"kind": what})
        settings = settings.model_copy(update={"generator": kind})
        one = training(
            what, lambda: teach_generator(mix.for_generator(), conditions=20, settings=settings, seed=0, fabric=fabric)
        )
    folder = scratch / str(fabric.global_rank)
    folder.mkdir(exist_ok=True)
    one.burst(fabric, 0, folder)
    return one.burst(fabric, seconds, folder)


def main() -> None:
    processes, what, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    compute = read_recipe("mnist-svhn").compute
    with tempfile.TemporaryDirectory() as scratch, together(compute, processes):
        burst = carry_out(fabric_of(compute), partial(trained, what, seconds, Path(scratch)))
    sys.stdout.write(json.dumps({"images_per_second": burst.amount / burst.seconds}) + "\n")


if __name__ == "__main__":
    main()
