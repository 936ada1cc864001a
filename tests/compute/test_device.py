"""Devices, precision and positions."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from lightning_fabric import Fabric

from scholars.compute.device import Device, derive_seed, device_for, fork_rng, open_fabric, to_float, to_uint8
from scholars.errors import InputError
from scholars.settings import ComputeSettings


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"compute\.device='abacus'"):
        open_fabric(ComputeSettings(device="abacus"))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"compute\.device='cuda'"):
            open_fabric(ComputeSettings(device="cuda"))


@pytest.mark.parametrize("opened", [device_for, open_fabric])
def test_precision_is_what_was_asked_for(opened: Callable[[ComputeSettings], Device | Fabric]) -> None:
    with opened(ComputeSettings(device="cpu", precision="bf16-mixed")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with opened(ComputeSettings(device="cpu", precision="32-true")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_every_position_has_a_seed_of_its_own() -> None:
    seeds = {
        derive_seed(seed, stage, step) for seed in range(5) for stage in ("solver", "bank") for step in range(-1, 50)
    }
    assert len(seeds) == 5 * 2 * 51
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, "solver", 7) == derive_seed(3, "solver", 7)


def test_randomness_is_given_back() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with fork_rng(torch.device("cpu")):
        torch.manual_seed(99)
        torch.rand(7)
    assert torch.equal(torch.rand(2), expected)


def test_a_device_that_training_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"compute\.device='meta'.*known are cpu, cuda, mps"):
        device_for(ComputeSettings(device="meta"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting that is tested (mallopt)")
def test_what_a_step_frees_the_next_one_gets() -> None:
    """In a process of its own: what its memory was used for before decides, too."""
    program = """
import resource, torch
from scholars.compute.device import open_fabric
from scholars.settings import ComputeSettings

open_fabric(ComputeSettings(device="cpu"))
for step in range(24):
    if step == 12:  # the heap grows for a few steps, how many depends on where it lies
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(50_000_000, dtype=torch.uint8).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert int(faults) < 12 * 50_000_000 // 4096 // 2  # each step uses 12,207 pages


def test_a_cpu_may_have_a_number() -> None:
    assert open_fabric(ComputeSettings(device="cpu:0")).device.type == "cpu"


def test_pixels_survive_the_normalisation() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = to_float(images)
    assert floats.min().item() == -1
    assert floats.max().item() == 1
    assert torch.equal(to_uint8(floats), images)
