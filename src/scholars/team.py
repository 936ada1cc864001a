"""Several processes that learn as one. The first runs the program; the others help it wherever it learns.

Every process draws the same batch, for its randomness comes from (seed, stage, step), and keeps its own rows of it.
Gradients are averaged, batch norms see the whole batch, noise is drawn for all of it. So the number of processes
changes how long learning takes and, but for rounding, nothing else: what two have begun three can go on with.

Files are read and written by the first process alone. What the others need they are given.
"""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from scholars.compute import keep_freed_memory, machine, open_fabric
from scholars.cores import settled
from scholars.errors import InputError, ScholarsError
from scholars.norms import shared_norm
from scholars.settings import ComputeSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")

# Between two orders the first process evaluates, audits, writes; nobody is given up while it does.
_PATIENCE = timedelta(days=2)
_PACKAGES = ("scholars", "torch", "lightning-fabric")
# The team that was formed, and the same while its processes are in the midst of a training.
_formed: list[Fabric] = []
_at_work: list[Fabric] = []


@contextmanager
def together(compute: ComputeSettings, devices: int | None = None, nodes: int | None = None) -> Iterator[None]:
    """Inside, whatever this program learns is learned by ``devices`` processes on each of ``nodes`` machines.

    Only the first process gets inside; the others help until it leaves, and end. Started by torchrun or SLURM they are
    there already; else this starts them, by the command that started this program (lightning-fabric). On several
    machines without either, start the program on each with MASTER_ADDR, MASTER_PORT and NODE_RANK set.

    devices, nodes: default: what torchrun says, else 1

    Raises InputError for more processes than a machine has devices, and where versions differ.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    devices = devices or here
    nodes = nodes or max(
        1, int(os.environ.get("WORLD_SIZE", "1")) // devices if "LOCAL_WORLD_SIZE" in os.environ else 1
    )
    if devices * nodes == 1:
        yield
        return
    fabric = _launched(compute, devices, nodes)
    with settled(fabric, devices):
        if fabric.global_rank:
            _help(fabric)
            raise SystemExit(0)
        _formed.append(fabric)
        try:
            yield
        except ScholarsError:
            # Where it is that one of them is lost, the others cannot be told.
            with suppress(RuntimeError):
                fabric.broadcast(None)
                dist.destroy_process_group()
            raise
        else:
            # After any other failure the others may be in the midst of a step: they end because this process does.
            fabric.broadcast(None)
        finally:
            _formed.clear()
        dist.destroy_process_group()


def fabric_of(compute: ComputeSettings) -> Fabric:
    """The team's fabric, or that of this process alone."""
    return _formed[0] if _formed else open_fabric(compute)


def processes() -> int:
    """How many processes learn together."""
    return _formed[0].world_size if _formed else 1


def check_shared_out(key: str, count: int) -> None:
    """Raise InputError where a batch of ``count``, set by ``key``, cannot be shared out evenly among the processes."""
    if count % processes():
        raise InputError(
            f"{key}={count} cannot be shared out evenly among {processes()} processes: set a multiple of them"
        )


def carry_out(fabric: Fabric, order: Callable[..., T], *own: Any) -> T:
    """Carry ``order(fabric, *own)`` out here, and ``order(fabric)`` in the other processes of the team.

    They are given the order by pickle. Raises ScholarsError where one of them is lost.
    """
    if fabric.world_size == 1:
        return order(fabric, *own)
    try:
        fabric.broadcast(order)
        return order(fabric, *own)
    except RuntimeError as error:
        raise ScholarsError(
            f"the {fabric.world_size} processes that learn together failed ({str(error).strip()}). What was trained is "
            "kept: the same command, with --resume for a run, goes on, with as many processes as there are"
        ) from error


def own_rows(fabric: Fabric, whole: Tensor) -> Tensor:
    """This process's rows of what all have drawn alike, ``[B, ...]`` -> ``[B / processes, ...]``."""
    return whole if fabric.world_size == 1 else whole.chunk(fabric.world_size)[fabric.global_rank]


def noise(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Normal noise ``[rows, *shape]`` for this process's rows of a batch, under torch's global generator."""
    return _own_of(torch.randn, rows, *shape, device=device)


def chances(rows: int, *shape: int, device: torch.device) -> Tensor:
    """The same, uniform in [0, 1)."""
    return _own_of(torch.rand, rows, *shape, device=device)


def _own_of(draw: Callable[..., Tensor], rows: int, *shape: int, device: torch.device) -> Tensor:
    if not _at_work:
        return draw(rows, *shape, device=device)
    fabric = _at_work[0]
    return own_rows(fabric, draw(rows * fabric.world_size, *shape, device=device))


def mean_of_all(value: Tensor) -> Tensor:
    """The mean over the processes of a value that each computes from its rows; for losses that are no mean of rows'."""
    if not _at_work:
        return value
    mean = value.detach().clone()
    dist.all_reduce(mean)
    # All go on from the same mean: what this process adds to it counts once in the loss of each, and so 1 in all.
    return value + (mean / _at_work[0].world_size - value.detach())


def average_gradients(fabric: Fabric, module: nn.Module) -> None:
    """Every parameter's gradient becomes the mean over the processes: that of the loss on the whole batch."""
    if fabric.world_size == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    together /= fabric.world_size
    parts = torch.split(together, [gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view_as(to) for part, to in zip(parts, gradients, strict=True)])


def averaged(fabric: Fabric, values: dict[str, float]) -> dict[str, float]:
    """The means of the values over the processes."""
    if fabric.world_size == 1 or not values:
        return values
    numbers = torch.tensor(list(values.values()), dtype=torch.float64).to(fabric.device)
    dist.all_reduce(numbers)
    return dict(zip(values, (numbers / fabric.world_size).tolist(), strict=True))


def broadcast(fabric: Fabric, value: T) -> T:
    """What the first process says."""
    return value if fabric.world_size == 1 else fabric.broadcast(value)


def agreed(fabric: Fabric | None, flag: bool) -> bool:
    """Whether the first process says so; for what is asked at every step."""
    if fabric is None or fabric.world_size == 1:
        return flag
    said = torch.tensor([float(flag)], device=fabric.device)
    dist.broadcast(said, src=0)
    return bool(said.item())


def in_turn(fabric: Fabric | None, make: Callable[[int], T]) -> Iterator[T]:
    """``make(0), make(1), ...`` without end, of which every process makes its share and is given the others'."""
    if fabric is None or fabric.world_size == 1:
        yield from map(make, count())
        return
    for first in count(0, fabric.world_size):
        made: list[Any] = [None] * fabric.world_size
        dist.all_gather_object(made, make(first + fabric.global_rank))
        yield from made


@contextmanager
def as_one(fabric: Fabric, modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, `noise`, `chances` and the batch norms of ``modules`` are those of one process that has all rows."""
    if fabric.world_size == 1:
        yield
        return
    norms = [
        part for module in modules for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    for norm in norms:
        norm.__dict__["forward"] = shared_norm(norm)
    _at_work.append(fabric)
    try:
        yield
    finally:
        _at_work.clear()
        for norm in norms:
            norm.__dict__.pop("forward", None)


def _launched(compute: ComputeSettings, devices: int, nodes: int) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    keep_freed_memory()
    here = machine(compute)
    kind = here.device.type
    if here.device.index is not None:
        raise InputError(f"compute.device={here.device} is one device, and {devices * nodes} processes need one each")
    there = {"cpu": os.cpu_count() or 1, "mps": 1}.get(kind) or torch.accelerator.device_count()
    if devices > there:
        raise InputError(
            f"--devices {devices}: this machine has {there} {'core' if kind == 'cpu' else 'device'}{'s'[: there != 1]} "
            f"for {kind}, and each process needs one"
        )
    precision = "bf16-mixed" if here.bf16 else "32-true"
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=nodes,
            precision=precision,
            strategy=DDPStrategy(timeout=_PATIENCE),
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{devices * nodes} processes do not come together: {error}") from None
    found: list[dict[str, str] | None] = [None] * fabric.world_size
    dist.all_gather_object(found, {name: version(name) for name in _PACKAGES})
    for rank, one in enumerate(found):
        if one != found[0]:
            raise InputError(
                f"processes of one team need equal versions: the first has {found[0]}, number {rank} {one}"
            )
    return fabric


def _help(fabric: Fabric) -> None:
    """Carry out what the first process orders, until it has no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # to stop is the first one's decision
    warnings.simplefilter("ignore")
    while True:
        try:
            order: Callable[..., object] | None = fabric.broadcast(None)
        except RuntimeError:
            raise SystemExit(1) from None
        if order is None:
            dist.destroy_process_group()
            return
        try:
            order(fabric)
        except ScholarsError:
            continue  # the first process met the same, and says so
        except RuntimeError as error:
            raise SystemExit(f"scholars: process {fabric.global_rank} of {fabric.world_size}: {error}") from None
