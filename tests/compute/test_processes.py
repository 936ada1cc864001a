"""Several processes train together: they learn what one learns alone, and end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import lives
import pytest
import torch
import yaml
from conftest import TINY, flat

from scholars.cli.main import main
from scholars.compute.processes import all_reduce_mean, num_processes, rand_rows, randn_rows
from scholars.scholar import Scholar
from scholars.training.loop import Session


def start(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def largest_difference(one: Scholar, other: Scholar) -> float:
    """Of the solvers' weights."""
    pairs = zip(one.solver.state_dict().values(), other.solver.state_dict().values(), strict=True)
    return max(float((a.float() - b.float()).abs().max()) for a, b in pairs)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote: see `lives`."""
    folder = tmp_path_factory.mktemp("two")
    done = start(lives.__file__, 2, folder)
    assert (done.returncode, done.stderr) == (0, "")
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
    assert largest_difference(alone, learned) < 0.5
    assert alone.classes == learned.classes


def test_what_two_processes_began_one_goes_on_with(two: Path) -> None:
    assert "stage 'solver'" in (two / "stopped.txt").read_text()
    ticks: list[tuple[str, int]] = []
    resumed = lives.first(Session(two / "stopped", lambda tick: ticks.append((tick.stage, tick.step))))
    assert ticks[0] == ("generator", 4)
    assert ticks[1] == ("solver", 1)
    assert largest_difference(resumed, lives.first(Session())) < 0.01


@pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned to cores on Linux only")
def test_each_process_keeps_to_cores_of_its_own(two: Path) -> None:
    notes = [json.loads((two / f"{rank}.json").read_text()) for rank in (0, 1)]
    (first, of_first), (second, of_second) = notes
    assert first and len(first) == len(second)
    assert set(first).isdisjoint(second)
    # A name that gloo gave up would leave these empty, and messages slow.
    assert set(of_first) == set(of_second) == {os.SCHED_BATCH}
    # What the program does later has all cores again.
    assert json.loads((two / "after.json").read_text()) == sorted(os.sched_getaffinity(0))


def test_if_one_is_lost_that_is_an_error_and_nothing_is_written(two: Path) -> None:
    """And all processes end: see the fixture."""
    assert (two / "lost.txt").read_text().startswith("the 2 processes that train together failed")
    assert not (two / "lost").exists()


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
    assert "--devices 1000: each process needs one, and this machine has" in refused(words, capsys, monkeypatch)
    words = ["learn", str(tmp_path / "one"), "digits", "--devices", "2", "--set", "compute.device=cpu:0"]
    assert "compute.device=cpu:0 is one device" in refused(words, capsys, monkeypatch)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    document = {
        "description": "Two processes.",
        "tasks": [{"source": "digits", "name": name, "classes": list(name)} for name in ("01", "23")],
        "methods": ["replay", "naive"],
        **TINY,
        "audit": {"dreams": 0},
        "ood": {"dreams": 0},
        "compute": {"device": "cpu"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
    return tmp_path / "recipe.yaml"


def test_torchrun_starts_a_run(recipe: Path, tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "scholars"]
    done = start(*torchrun, "run", recipe, "--out", tmp_path / "run", "--set", "solver.steps=4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Report: ") == 1
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["environment"]["processes"] == 2
    assert [run["method"] for run in results["runs"]] == ["replay", "naive"]


def test_processes_that_learn_together_have_a_plan(tmp_path: Path) -> None:
    """Its steps are tried by one of them, while the others wait for their first work."""
    changes = flat({**TINY, "audit": {"dreams": 0}, "compute": {"device": "cpu"}})
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    done = start("-m", "scholars", "learn", tmp_path / "s", "digits", "--devices", "2", *settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("this takes about ") == 1
    assert done.stdout.count("generation 1 knows 10 classes") == 1


def test_a_batch_that_cannot_be_split_evenly_is_refused_once(recipe: Path, tmp_path: Path) -> None:
    command = ["-m", "scholars", "run", recipe, "--devices", "2", "--set", "solver.batch=33"]
    done = start(*command, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("solver.batch=33 cannot be split evenly among 2 processes") == 1
    assert not (tmp_path / "run" / "results.json").exists()


def test_one_process_draws_all_rows_itself() -> None:
    torch.manual_seed(0)
    expected = torch.randn(3, 2), torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(randn_rows(3, 2, device=torch.device("cpu")), expected[0])
    assert torch.equal(rand_rows(3, device=torch.device("cpu")), expected[1])
    assert all_reduce_mean(torch.tensor(2.0)) == 2
    assert num_processes() == 1
