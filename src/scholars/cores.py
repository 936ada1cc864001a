"""Which cores the processes of a team compute on (Linux)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch.distributed as dist

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@contextmanager
def settled(fabric: Fabric, devices: int) -> Iterator[None]:
    """Inside, messages between processes that compute on cores wait for nothing but the slower process (Linux).

    They pass through threads of gloo's own. The one that receives, woken while another is about to send, finds the
    connection locked, and asks for it again and again on the core that the other needs: until the system takes turns,
    some milliseconds a message. As SCHED_BATCH it is not woken before the other is done; on cores of their own
    processes do not wake threads where another computes (docs/scaling.md).
    """
    if fabric.device.type != "cpu" or sys.platform != "linux":
        yield
        return
    seen: list[list[int]] = [[]] * fabric.world_size
    dist.all_gather_object(seen, sorted(os.sched_getaffinity(0)))
    all_of_them, first = seen[fabric.global_rank], fabric.global_rank - fabric.local_rank
    cores, each = all_of_them, len(all_of_them) // devices
    # Unless whoever started them (SLURM) has shared the cores out already.
    if each and seen[first : first + devices] == [cores] * devices:
        cores = cores[fabric.local_rank * each : (fabric.local_rank + 1) * each]
    _confine(cores)
    try:
        yield
    finally:
        _confine(all_of_them)


def _confine(cores: Sequence[int]) -> None:
    """Every thread of this process to ``cores``, and gloo's to SCHED_BATCH."""
    with suppress(OSError):  # it is about speed alone
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)
            if thread.joinpath("comm").read_text().strip() == "gloo_tcp_loop":
                os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
