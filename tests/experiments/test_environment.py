"""What is recorded of the machine, and its peak memory."""

from __future__ import annotations

import sys

import pytest
import torch

from scholars.compute.device import open_fabric
from scholars.experiments.environment import describe_environment, peak_memory_mb, reset_peak_memory
from scholars.settings import ComputeSettings


def test_the_environment_is_plain_and_complete() -> None:
    facts = describe_environment(ComputeSettings())
    assert facts.keys() >= {"python", "processor", "cores", "device", "precision", "packages"}
    assert peak_memory_mb() > 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset a process's peak memory")
def test_a_peak_is_not_that_of_earlier_work() -> None:
    open_fabric(ComputeSettings(device="cpu"))  # from here on the C library keeps what is freed
    pieces = [torch.ones(2**17) for _ in range(400)]  # 200 MiB
    before = peak_memory_mb()
    del pieces
    reset_peak_memory()
    assert peak_memory_mb() < before - 150
