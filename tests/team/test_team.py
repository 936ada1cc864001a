"""Several processes learn as one: what they learn is what one alone learns, and they end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scholars.cli import main
from scholars.fitting import Session
from scholars.scholar import Scholar

from . import lives


def together(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, lives.__file__, *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def furthest(one: Scholar, other: Scholar) -> float:
    """How far the solvers' weights are apart."""
    pairs = zip(one.solver.state_dict().values(), other.solver.state_dict().values(), strict=True)
    return max(float((a.float() - b.float()).abs().max()) for a, b in pairs)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    found = together(2, folder)
    assert (found.returncode, found.stderr) == (0, "")
    return folder


@pytest.mark.parametrize("kind", lives.KINDS)
def test_two_processes_learn_what_one_does(kind: str, two: Path) -> None:
    alone, steps = lives.life(kind)
    found = json.loads((two / "metrics.json").read_text())[kind]
    assert set(found) == {"1 generator", "1 solver", "2 generator", "2 solver"}
    # Norms of gradients among them, which are those of the whole batch. What follows from the first steps differs more:
    # where a gradient is next to nothing Adam's steps have the sign of a rounding error, and full length.
    for stage, values in steps.items():
        assert found[stage] == pytest.approx(values, rel=1e-3 if stage[0] == "1" else 5e-2, abs=1e-3), stage
    learned = Scholar.load(two / kind)
    assert furthest(alone, learned) < 0.5
    assert alone.classes == learned.classes


def test_what_two_processes_began_one_goes_on_with(tmp_path: Path) -> None:
    assert together(2, tmp_path, "stop").returncode == 0
    assert "stage 'solver'" in (tmp_path / "stopped.txt").read_text()
    (tmp_path / "stopped.txt").unlink()
    begun: list[tuple[str, int]] = []
    resumed = lives.first(Session(tmp_path, lambda tick: begun.append((tick.stage, tick.step))))
    assert begun[0] == ("generator", 4)
    assert begun[1] == ("solver", 1)
    assert furthest(resumed, lives.first(Session())) < 0.01


def test_if_one_is_lost_all_end_and_nothing_is_written(tmp_path: Path) -> None:
    found = together(2, tmp_path / "scholar", "lose")
    assert found.returncode != 0
    assert "scholars.errors.ScholarsError: the 2 processes" in found.stderr.splitlines()[-1]
    assert not (tmp_path / "scholar").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only there cores are shared out")
def test_each_process_keeps_to_cores_of_its_own(tmp_path: Path) -> None:
    assert together(2, tmp_path, "cores").returncode == 0
    notes = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    (first, of_first), (second, of_second) = notes
    assert first and len(first) == len(second)
    assert set(first).isdisjoint(second)
    # A name that gloo gave up would leave these empty, and messages slow.
    assert set(of_first) == set(of_second) == {os.SCHED_BATCH}
    # What the program does later has all cores again.
    assert json.loads((tmp_path / "after.json").read_text()) == sorted(os.sched_getaffinity(0))


def refused(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["scholars", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_more_processes_than_cores_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "quickstart", "--out", str(tmp_path / "run"), "--devices", "1000", "--set", "compute.device=cpu"]
    assert "--devices 1000: this machine has" in refused(words, capsys, monkeypatch)
    words = ["learn", str(tmp_path / "one"), "digits", "--devices", "2", "--set", "compute.device=cpu:0"]
    assert "compute.device=cpu:0 is one device" in refused(words, capsys, monkeypatch)
    assert list(tmp_path.iterdir()) == []


TINY = [
    *("run", "quickstart", "--methods", "replay,naive", "--set", "audit.dreams=0", "--set", "familiarity.dreams=0"),
    *("--set", "solver.steps=4", "--set", "generator.flow.steps=4", "--set", "replay.bank=300"),
    *("--set", "compute.device=cpu"),
]


def by_torchrun(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "scholars"]
    command += [str(word) for word in words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_torchrun_starts_a_run(tmp_path: Path) -> None:
    found = by_torchrun(*TINY, "--out", tmp_path / "run")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("Report: ") == 1
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["environment"]["processes"] == 2
    assert [run["method"] for run in results["runs"]] == ["replay", "naive"]


def test_a_batch_that_cannot_be_shared_out_is_refused_once(tmp_path: Path) -> None:
    found = by_torchrun(*TINY, "--set", "solver.batch=33", "--out", tmp_path / "run")
    assert found.returncode != 0
    assert found.stderr.count("solver.batch=33 cannot be shared out evenly among 2 processes") == 1
    assert not (tmp_path / "run" / "results.json").exists()


def test_noise_and_gradients_of_one_process_are_its_own() -> None:
    from scholars.team import chances, mean_of_all, noise

    torch.manual_seed(0)
    expected = torch.randn(3, 2), torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(noise(3, 2, device=torch.device("cpu")), expected[0])
    assert torch.equal(chances(3, device=torch.device("cpu")), expected[1])
    assert mean_of_all(torch.tensor(2.0)) == 2
