"""The state of a training comes back to the last bit; what is not its own is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from scholars.compute.device import open_fabric
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.settings import ComputeSettings
from scholars.training import checkpoints
from scholars.training.batches import Pool
from scholars.training.loop import NO_SESSION, Draw, Session, fit

FABRIC = open_fabric(ComputeSettings(device="cpu", precision="32-true"))


def adam(module: nn.Module) -> torch.optim.Adam:
    """An optimizer with the moments of one step."""
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    torch.autograd.backward([parameter.square().sum() for parameter in module.parameters()])
    optimizer.step()
    return optimizer


@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(), (1,), (256,), (3, 100), (17, 4, 4, 4)]))
def test_any_bits_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int, shape: tuple[int, ...]) -> None:
    """Also those of infinities and of what is not a number, and of tensors in another memory layout."""
    path = tmp_path_factory.mktemp("bits") / "checkpoint.safetensors"
    bits = np.random.default_rng(seed).integers(0, 2**32, shape, dtype=np.uint32)
    value = torch.from_numpy(np.asarray(bits).view(np.float32))
    saved, found = nn.Module(), nn.Module()
    saved.register_buffer("a", value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value)
    saved.register_buffer("count", torch.tensor(7))
    found.register_buffer("a", torch.zeros(shape))
    found.register_buffer("count", torch.tensor(0))
    checkpoints.save(path, {"module": saved}, {}, {"position": "here", "step": "3"})
    tensors, notes = checkpoints.read(path, "here")
    checkpoints.restore({"module": found}, {}, tensors)
    state = found.state_dict()
    assert torch.equal(state["a"].view(torch.int32), value.view(torch.int32))
    assert (int(state["count"]), notes["step"]) == (7, "3")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_moments_come_back_in_the_layout_of_their_parameters(tmp_path: Path, layout: torch.memory_format) -> None:
    """Fused optimizers read parameter and moments side by side."""
    module = nn.Conv2d(3, 5, 3).to(memory_format=layout)
    before = adam(module)
    checkpoints.save(tmp_path / "c", {"module": module}, {"module": before}, {"position": "here"})
    tensors, _ = checkpoints.read(tmp_path / "c", "here")
    other = nn.Conv2d(3, 5, 3).to(memory_format=layout)
    after = torch.optim.Adam(other.parameters(), fused=True)
    checkpoints.restore({"module": other}, {"module": after}, tensors)
    for mine, theirs in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        for name, value in before.state[mine].items():
            assert torch.equal(after.state[theirs][name], value)
        assert after.state[theirs]["exp_avg"].stride() == theirs.stride()


def test_a_damaged_checkpoint_and_another_trainings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "solver.safetensors"
    checkpoints.save(path, {"module": nn.Linear(30, 30)}, {}, {"position": "solver, seed 0"})
    with pytest.raises(ScholarsError, match=r"another training \(solver, seed 0, not solver, seed 1\)"):
        checkpoints.read(path, "solver, seed 1")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"solver\.safetensors"):
        checkpoints.read(path, "solver, seed 0")


class SameNames:
    """A trainee whose module and optimizer have the same name."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Linear(64, 3)
        self.modules: Mapping[str, nn.Module] = {"net": self.net}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {"net": torch.optim.Adam(self.net.parameters())}

    def learning_rates(self, progress: float) -> dict[str, float]:
        return {"net": 0.01 * (1 - progress)}

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        batch = draw()
        loss = nn.functional.cross_entropy(self.net(batch.inputs.flatten(1) / 255), batch.targets)
        self.optimizers["net"].zero_grad()
        torch.autograd.backward(loss)
        self.optimizers["net"].step()
        return {"loss": loss.detach()}


def test_a_module_and_an_optimizer_of_the_same_name_are_resumed(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=generator)
    pool = Pool(images, torch.arange(40) % 3, 3)

    def train(session: Session) -> Tensor:
        trainee = SameNames()
        fit(trainee, lambda: pool.draw(8), fabric=FABRIC, steps=20, seed=0, stage="test", session=session)
        return trainee.net.weight

    asked = iter(range(100))
    with pytest.raises(Interrupted):
        train(Session(tmp_path, stopping=lambda: next(asked) >= 11))
    assert torch.equal(train(Session(tmp_path)), train(NO_SESSION))
