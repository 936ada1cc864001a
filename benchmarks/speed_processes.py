"""How fast so many processes of this machine train as one. Run by speed.py, which sets the number of threads.

python benchmarks/speed_processes.py PROCESSES solver|KIND SECONDS

Prints one JSON object: images a second, of all processes together, with checkpoints and reports as in a run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from measuring.noise import noise_task
from measuring.training_bursts import Burst, generator_training, second_task_mixture, solver_training

from scholars import changed
from scholars.compute.processes import current_fabric, distributed, run_everywhere
from scholars.experiments.recipe import read_recipe


def train_burst(what: str, seconds: float, scratch: Path, fabric: Fabric) -> Burst:
    """Train for ``seconds`` in every process, after a burst to warm up."""
    torch.manual_seed(0)
    settings = read_recipe("mnist-svhn").settings()
    if what != "solver":
        settings = changed(settings, {"generator.kind": what})
    first, second = (noise_task(name, 10, settings.image, 20_000, 100) for name in ("first", "second"))
    mix = second_task_mixture(first, second, settings)
    if what == "solver":
        training = solver_training(mix.for_solver(), 10, settings, fabric)
    else:
        training = generator_training(mix.for_generator(), 20, settings, fabric)
    folder = scratch / str(fabric.global_rank)
    folder.mkdir(exist_ok=True)
    training.burst(fabric, 0, folder)
    return training.burst(fabric, seconds, folder)


def main() -> None:
    processes, what, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    compute = read_recipe("mnist-svhn").compute
    with tempfile.TemporaryDirectory() as scratch, distributed(compute, processes):
        burst = run_everywhere(current_fabric(compute), partial(train_burst, what, seconds, Path(scratch)))
    sys.stdout.write(json.dumps({"images_per_second": burst.amount / burst.seconds}) + "\n")


if __name__ == "__main__":
    main()
