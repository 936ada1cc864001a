"""Pin the processes that train together to cores of their own (Linux)."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch.distributed as dist

from scholars.compute.device import Fabric


@contextmanager
def pinned_to_cores(fabric: Fabric, devices: int) -> Iterator[None]:
    """Let each of the ``devices`` processes of this machine run on its share of the cores inside the block (Linux).

    Messages pass through a thread of gloo's own, which tries the connection's lock again and again while another thread
    of its process holds it: on the core that this thread needs, some milliseconds a message. With cores of its own, a
    process does not wake threads where another computes; under SCHED_BATCH, gloo's thread does not displace the one
    that sends (docs/scaling.md).
    """
    if fabric.device.type != "cpu" or sys.platform != "linux":
        yield
        return
    allowed: list[list[int]] = [[]] * fabric.world_size
    dist.all_gather_object(allowed, sorted(os.sched_getaffinity(0)))
    before, first = allowed[fabric.global_rank], fabric.global_rank - fabric.local_rank
    cores, share = before, len(before) // devices
    # Unless the launcher (SLURM) has given each process cores of its own already.
    if share and allowed[first : first + devices] == [cores] * devices:
        cores = cores[fabric.local_rank * share : (fabric.local_rank + 1) * share]
    _pin(cores)
    try:
        yield
    finally:
        _pin(before)


def _pin(cores: Sequence[int]) -> None:
    """Let every thread of this process run on ``cores``, gloo's under SCHED_BATCH."""
    with suppress(OSError):  # only speed depends on it
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)
            if thread.joinpath("comm").read_text().strip() == "gloo_tcp_loop":
                os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
