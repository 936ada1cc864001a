"""Data-parallel training in several processes. The first one runs the program; the others join in whenever it trains.

Every process draws the same batch, as its randomness comes from (seed, stage, step), and trains on its own rows of it.
Gradients are averaged, batch norms use the whole batch, noise is drawn for all of it. So the number of processes
changes how long training takes and, but for rounding, nothing else: a training that two began three can resume.

Only the first process reads and writes files; the others receive what they need from it.
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from scholars.compute.cpu_affinity import pinned_to_cores
from scholars.compute.device import Fabric, device_for, keep_freed_memory, open_fabric
from scholars.compute.sync_batchnorm import sync_batch_norm
from scholars.errors import InputError, ScholarsError
from scholars.settings import ComputeSettings

T = TypeVar("T")

# Workers wait for the first process while it evaluates, audits and writes files.
_TIMEOUT = timedelta(days=2)
# Packages of which all processes need equal versions.
_PACKAGES = ("scholars", "torch", "lightning-fabric")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together.

    fabric: knows the rank of this process, the number of processes, and the device
    in_step: whether all of them are inside `synchronised`, and each computes its own rows of the same batch
    """

    fabric: Fabric
    in_step: bool = False


# Set by `distributed` and `synchronised`, for what runs inside them; None: this process trains alone.
_group: ContextVar[ProcessGroup | None] = ContextVar("process_group", default=None)


@contextmanager
def distributed(compute: ComputeSettings, devices: int | None = None, nodes: int | None = None) -> Iterator[None]:
    """Train everything inside the block in ``devices`` processes on each of ``nodes`` machines.

    Only the first process enters the block; the others run what it passes to `run_everywhere`, and end when it leaves.
    Processes that torchrun or SLURM started are used; else this starts them, by the command that started this program
    (lightning-fabric). On several machines without either, start the program on each with MASTER_ADDR, MASTER_PORT and
    NODE_RANK set.

    devices, nodes: default: as torchrun says, else 1

    Raises InputError for more processes than a machine has devices, and where versions differ.
    """
    # Only torchrun sets LOCAL_WORLD_SIZE; other programs, too, set WORLD_SIZE.
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world_size = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_WORLD_SIZE" in os.environ else 1
    devices = devices or local_world_size
    nodes = nodes or max(1, world_size // devices)
    if devices * nodes == 1:
        yield
        return
    fabric = _launch(compute, devices, nodes)
    with pinned_to_cores(fabric, devices):
        if fabric.global_rank:
            _worker_loop(fabric)
            raise SystemExit(0)
        token = _group.set(ProcessGroup(fabric))
        try:
            yield
        except ScholarsError:
            # If a process was lost, the broadcast fails.
            with suppress(RuntimeError):
                fabric.broadcast(None)
                dist.destroy_process_group()
            raise
        else:
            # After any other error the workers may be in the middle of a step: they end because this process does.
            fabric.broadcast(None)
        finally:
            _group.reset(token)
        dist.destroy_process_group()


def current_fabric(compute: ComputeSettings) -> Fabric:
    """Return the fabric of all processes inside `distributed`, else that of this process alone."""
    group = _group.get()
    return group.fabric if group else open_fabric(compute)


def num_processes() -> int:
    """Return how many processes train together."""
    group = _group.get()
    return group.fabric.world_size if group else 1


def check_divisible(key: str, count: int) -> None:
    """Raise InputError unless a batch of ``count``, the value of ``key``, can be split evenly among the processes."""
    if count % num_processes():
        raise InputError(
            f"{key}={count} cannot be split evenly among {num_processes()} processes: set a multiple of them"
        )


def run_everywhere(fabric: Fabric, function: Callable[..., T], *local_args: Any) -> T:
    """Return ``function(fabric, *local_args)``, while the other processes run ``function(fabric)``.

    They receive the function by pickle. Raises ScholarsError where a process is lost.
    """
    if fabric.world_size == 1:
        return function(fabric, *local_args)
    try:
        fabric.broadcast(function)
        return function(fabric, *local_args)
    except RuntimeError as error:
        raise ScholarsError(
            f"the {fabric.world_size} processes that train together failed ({str(error).strip()}). What was trained is "
            "kept: the same command, with --resume for a run, resumes it, with as many processes as there are"
        ) from error


def local_rows(fabric: Fabric, batch: Tensor) -> Tensor:
    """Return this process's rows of a batch that every process has whole, ``[B, ...]`` -> ``[B / processes, ...]``."""
    return batch if fabric.world_size == 1 else batch.chunk(fabric.world_size)[fabric.global_rank]


def randn_rows(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Draw normal noise ``[rows, *shape]`` for this process's rows of a batch, from torch's global generator."""
    return _draw_rows(torch.randn, rows, *shape, device=device)


def rand_rows(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Draw uniform noise in [0, 1), ``[rows, *shape]``, for this process's rows of a batch; see `randn_rows`."""
    return _draw_rows(torch.rand, rows, *shape, device=device)


def _draw_rows(draw: Callable[..., Tensor], rows: int, *shape: int, device: torch.device) -> Tensor:
    group = _group.get()
    if group is None or not group.in_step:
        return draw(rows, *shape, device=device)
    return local_rows(group.fabric, draw(rows * group.fabric.world_size, *shape, device=device))


def all_reduce_mean(value: Tensor) -> Tensor:
    """Return the mean over the processes of a value computed from local rows, for losses that are no mean over rows.

    Its gradient is that of the local value: averaged over the processes, it is the gradient of the mean.
    """
    group = _group.get()
    if group is None or not group.in_step:
        return value
    mean = value.detach().clone()
    dist.all_reduce(mean)
    return value + (mean / group.fabric.world_size - value.detach())


def average_gradients(fabric: Fabric, module: nn.Module) -> None:
    """Replace every parameter's gradient by its mean over the processes: the gradient on the whole batch."""
    if fabric.world_size == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    # Not Fabric.all_reduce, which adds a barrier to each message; nor DDP, which wraps forward only: critics have more.
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= fabric.world_size
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def all_reduce_metrics(fabric: Fabric, values: dict[str, float]) -> dict[str, float]:
    """Return the means of the values over the processes."""
    if fabric.world_size == 1 or not values:
        return values
    numbers = torch.tensor(list(values.values()), dtype=torch.float64).to(fabric.device)
    dist.all_reduce(numbers)
    return dict(zip(values, (numbers / fabric.world_size).tolist(), strict=True))


def broadcast_flag(fabric: Fabric | None, flag: bool) -> bool:
    """Return the first process's ``flag``, by a message small enough for every step."""
    if fabric is None or fabric.world_size == 1:
        return flag
    first = torch.tensor([float(flag)], device=fabric.device)
    dist.broadcast(first, src=0)
    return bool(first.item())


def round_robin(fabric: Fabric | None, make: Callable[[int], T]) -> Iterator[T]:
    """Yield ``make(0), make(1), ...`` without end; each process computes its share and receives the others'."""
    if fabric is None or fabric.world_size == 1:
        yield from map(make, count())
        return
    for first in count(0, fabric.world_size):
        results: list[Any] = [None] * fabric.world_size
        dist.all_gather_object(results, make(first + fabric.global_rank))
        yield from results


@contextmanager
def synchronised(fabric: Fabric, modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let `randn_rows`, `rand_rows`, `all_reduce_mean` and batch norms act on the whole batch inside the block.

    Every process must enter the block, with the same ``modules``.
    """
    if fabric.world_size == 1:
        yield
        return
    parts = [part for module in modules for part in module.modules()]
    norms = [part for part in parts if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.__dict__["forward"] = sync_batch_norm(norm)
    token = _group.set(ProcessGroup(fabric, in_step=True))
    try:
        yield
    finally:
        _group.reset(token)
        for norm in norms:
            norm.__dict__.pop("forward", None)


def _launch(compute: ComputeSettings, devices: int, nodes: int) -> Fabric:
    """Start the processes, and compare their versions."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    keep_freed_memory()
    here = device_for(compute)
    kind = here.device.type
    if here.device.index is not None:
        raise InputError(f"compute.device={here.device} is one device, and {devices * nodes} processes need one each")
    available = {"cpu": os.cpu_count() or 1, "mps": 1}.get(kind) or torch.accelerator.device_count()
    if devices > available:
        what = "cores" if kind == "cpu" else f"devices for {kind}"
        raise InputError(f"--devices {devices}: each process needs one, and this machine has {available} {what}")
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=nodes,
            precision=here.precision,
            strategy=DDPStrategy(timeout=_TIMEOUT),
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{devices * nodes} processes cannot be started, or do not connect: {error}") from None
    versions: list[dict[str, str] | None] = [None] * fabric.world_size
    dist.all_gather_object(versions, {name: version(name) for name in _PACKAGES})
    for rank, found in enumerate(versions):
        if found != versions[0]:
            raise InputError(
                f"processes that train together need equal versions: process 0 has {versions[0]}, process {rank} "
                f"has {found}"
            )
    return fabric


def _worker_loop(fabric: Fabric) -> None:
    """Run the functions that the first process sends, until it sends None."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the first process decides when to stop
    warnings.simplefilter("ignore")
    while True:
        try:
            function: Callable[..., object] | None = fabric.broadcast(None)
        except RuntimeError:
            raise SystemExit(1) from None
        if function is None:
            dist.destroy_process_group()
            return
        try:
            function(fabric)
        except ScholarsError:
            continue  # the first process raised the same error, and reports it
        except RuntimeError as error:
            raise SystemExit(f"scholars: process {fabric.global_rank} of {fabric.world_size}: {error}") from None
