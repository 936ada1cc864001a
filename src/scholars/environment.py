"""The machine and the versions that a result was made with, and what it cost."""

from __future__ import annotations

import gc
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from scholars.compute import give_freed_memory_back, machine
from scholars.settings import ComputeSettings
from scholars.team import processes

_PACKAGES = ("scholars", "torch", "torchvision", "lightning-fabric", "numpy")


def environment(compute: ComputeSettings) -> dict[str, str | int | float | dict[str, str]]:
    """Machine, versions, device and precision, as plain values for ``results.json``."""
    here = machine(compute)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count() or 0,
        "processes": processes(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": str(here.device),
        "precision": "bf16-mixed" if here.bf16 else "32-true",
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def restart_peak_memory() -> None:
    """Forget the peak so far, where the system can (Linux); elsewhere the peak is the process's own since its start.

    What earlier work left behind is given back first, or it would count for what comes.
    """
    gc.collect()
    give_freed_memory_back()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mb() -> float:
    """The largest resident memory of this process since `restart_peak_memory`, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
