"""The examples that are scripts do what they say; the plugins among them are run by the pages that name them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_two_tasks_are_known_with_dreams_and_not_without(capsys: pytest.CaptureFixture[str]) -> None:
    two = runpy.run_path(str(EXAMPLES / "two_tasks.py"))["two"]
    assert two.generation == 2
    assert two.classes == tuple("0123456789")
    printed = capsys.readouterr().out
    (naive_low, naive_high), (low, high) = re.findall(r": ([\d.]+)% of .*, ([\d.]+)% of", printed)
    assert float(naive_low) < 30
    assert min(float(naive_high), float(low), float(high)) > 60


def test_replay_by_hand_keeps_what_naive_training_forgets(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "replay_by_hand.py"))
    naive, replay = (
        [float(value) for value in re.findall(r"([\d.]+)%", line)] for line in capsys.readouterr().out.splitlines()
    )
    assert len(naive) == len(replay) == 5
    assert naive[-1] < 30
    assert replay[-1] > 70


def test_examples_import_nothing_but_the_public_interface() -> None:
    for example in EXAMPLES.glob("*.py"):
        assert "scholars." not in re.sub(r'""".*?"""', "", example.read_text(), flags=re.DOTALL), example.name
