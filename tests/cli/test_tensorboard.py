"""What training reports, as TensorBoard reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from scholars.cli.progress import show_progress
from scholars.errors import InputError
from scholars.learning.callbacks import Position
from scholars.training.meter import Tick

CONSOLE = Console(quiet=True)


def test_every_tick_is_a_point_of_a_curve(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with show_progress(CONSOLE, tmp_path / "events") as callbacks:
        for step in (0, 50, 100):
            metrics = {"critic_loss": 1 / (1 + step), "painter_gradient_norm": 2.0}
            callbacks.on_tick(Position(3, "replay", "svhn"), Tick("generator", step, 100, metrics, 640.0))
        callbacks.on_tick(Position(3, "naive", "svhn"), Tick("solver", 7, 100, {"loss": 0.5}, 640.0))
    read = {path.name: EventAccumulator(str(path)) for path in (tmp_path / "events").iterdir()}
    assert read.keys() == {"3-replay", "3-naive"}
    for one in read.values():
        one.Reload()
    assert set(read["3-replay"].Tags()["scalars"]) == {
        f"svhn/generator/{name}" for name in ("critic_loss", "painter_gradient_norm", "images_per_second")
    }
    points = [(event.step, event.value) for event in read["3-replay"].Scalars("svhn/generator/critic_loss")]
    assert points == [(0, 1), (50, pytest.approx(1 / 51)), (100, pytest.approx(1 / 101))]
    assert [event.value for event in read["3-naive"].Scalars("svhn/solver/loss")] == [0.5]


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(InputError, match=r"pip install '\.\[tensorboard\]'"),
        show_progress(CONSOLE, tmp_path / "events"),
    ):
        pass
    assert not (tmp_path / "events").exists()
    with show_progress(CONSOLE) as callbacks:
        callbacks.on_tick(Position(0, "replay", "svhn"), Tick("solver", 0, 1, {"loss": 1.0}, 1.0))
