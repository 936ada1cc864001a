"""The machine and versions that a result was made with, and the memory that it took."""

import gc
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from scholars.compute.device import device_for, release_freed_memory
from scholars.compute.processes import num_processes
from scholars.settings import ComputeSettings

_PACKAGES = ("scholars", "torch", "torchvision", "lightning-fabric", "numpy")


def describe_environment(compute: ComputeSettings) -> dict[str, str | int | float | dict[str, str]]:
    """Return machine, versions, device and precision as plain values, for ``results.json``."""
    device = device_for(compute)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor_name(),
        "cores": psutil.cpu_count() or 0,
        "processes": num_processes(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": str(device.device),
        "precision": device.precision,
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _processor_name() -> str:
    return _read_proc("cpuinfo", "model name") or platform.processor() or platform.machine()


def reset_peak_memory() -> None:
    """Start measuring the peak of this process's memory anew, on Linux; elsewhere it is measured since its start.

    Memory that earlier work freed is first given back to the system, or it would count.
    """
    gc.collect()
    release_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process since `reset_peak_memory`, in MiB."""
    if peak := _read_proc("self/status", "VmHWM"):
        return int(peak.split()[0]) / 1024
    import resource

    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss / 2**20 if sys.platform == "darwin" else peak_rss / 1024


def _read_proc(file: str, key: str) -> str | None:
    """Return the first ``key: value`` of a file of Linux's /proc; None where there is none."""
    path = Path("/proc") / file
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)
