"""What `scholars doctor` checks, and how it says what is wrong."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from command_line import scholars

from scholars.cli import doctor
from scholars.scholar import Scholar


def findings(data_dir: Path | None = None) -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in doctor.examine(data_dir)}


def test_a_sound_machine(tmp_path: Path) -> None:
    done = scholars("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    states = {entry["what"]: entry["state"] for entry in json.loads(done.stdout)["findings"]}
    assert states["self-test"] == states["torch"] == states["device"] == "fine"
    assert "wrong" not in states.values()


def test_what_is_wrong_is_found(two: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old package and a missing one, no room, a folder that is not there, and a solver that learns nothing."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor, "requires", lambda _: ["torch>=99", "no-such-package>=1", 'nor-this; extra == "hf"'])
    monkeypatch.setattr("scholars.cli.doctor.shutil.disk_usage", lambda _: usage(1, 1, 2**20))
    monkeypatch.setattr(doctor, "learn", lambda task, settings: two)
    monkeypatch.setattr(doctor, "accuracy", lambda scholar, task: 0.1)
    found = findings(tmp_path / "nowhere")
    assert found["torch"].state == "wrong"
    assert ">=99 is needed" in found["torch"].words
    assert found["no-such-package"].state == "wrong"
    assert found["nor-this"].state == "note"
    assert found["here"].state == "wrong"
    assert "does not exist" in found["data sets"].words
    assert found["data sets"].state == "wrong"
    assert "accuracy 10 %: it should be" in found["self-test"].words


def test_a_scholar_that_comes_back_another_is_found(two: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "learn", lambda task, settings: two)
    load = Scholar.load

    def altered(folder: Path) -> Scholar:
        scholar = load(folder)
        with torch.no_grad():
            next(iter(scholar.solver.parameters())).add_(0.01)
        return scholar

    monkeypatch.setattr(Scholar, "load", altered)
    assert "is not the one that was saved" in findings()["self-test"].words


def test_the_exit_code_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: iter([doctor.Finding("torch", "wrong", "is [old]")]))
    done = scholars("doctor", cwd=tmp_path)
    assert done.returncode == 1
    assert "is [old]" in done.stdout
