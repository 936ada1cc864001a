"""Devices, precision and positions."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from lightning_fabric import Fabric

from scholars.compute import Machine, machine, open_fabric, randomness, seed_of
from scholars.environment import environment, peak_memory_mb, restart_peak_memory
from scholars.errors import InputError
from scholars.settings import ComputeSettings


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"compute\.device='abacus'"):
        open_fabric(ComputeSettings(device="abacus"))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"compute\.device='cuda'"):
            open_fabric(ComputeSettings(device="cuda"))


@pytest.mark.parametrize("opened", [machine, open_fabric])
def test_precision_is_what_was_asked_for(opened: Callable[[ComputeSettings], Machine | Fabric]) -> None:
    with opened(ComputeSettings(device="cpu", precision="bf16-mixed")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with opened(ComputeSettings(device="cpu", precision="32-true")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_every_position_has_a_seed_of_its_own() -> None:
    seeds = {seed_of(seed, stage, step) for seed in range(5) for stage in ("solver", "bank") for step in range(-1, 50)}
    assert len(seeds) == 5 * 2 * 51
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(3, "solver", 7) == seed_of(3, "solver", 7)


def test_randomness_is_given_back() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with randomness(torch.device("cpu")):
        torch.manual_seed(99)
        torch.rand(7)
    assert torch.equal(torch.rand(2), expected)


def test_the_environment_is_plain_and_complete() -> None:
    facts = environment(ComputeSettings())
    assert facts.keys() >= {"python", "processor", "cores", "device", "precision", "packages"}
    assert peak_memory_mb() > 10


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak cannot be forgotten")
def test_a_peak_is_not_that_of_earlier_work() -> None:
    open_fabric(ComputeSettings(device="cpu"))  # from here on the C library keeps what is freed
    pieces = [torch.ones(2**17) for _ in range(400)]  # 200 MiB
    before = peak_memory_mb()
    del pieces
    restart_peak_memory()
    assert peak_memory_mb() < before - 150


def test_a_device_that_training_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"compute\.device='meta'.*known are cpu, cuda, mps"):
        machine(ComputeSettings(device="meta"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_what_a_step_frees_the_next_one_gets() -> None:
    """In a process of its own: what its memory was used for before decides, too."""
    program = """
import resource, torch
from scholars.compute import open_fabric
from scholars.settings import ComputeSettings

open_fabric(ComputeSettings(device="cpu"))
for step in range(12):
    if step == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(50_000_000, dtype=torch.uint8).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert int(faults) < 10 * 50_000_000 // 4096 // 2  # each step uses 12,207 pages


def test_a_cpu_may_have_a_number() -> None:
    assert open_fabric(ComputeSettings(device="cpu:0")).device.type == "cpu"
