"""The table, the picture and the sentence that a sweep ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scholars.experiments.sweeps.grid import Plan, plan_sweep
from scholars.report.formatting import DASH
from scholars.report.sweep_summary import describe_best, write_tables


def test_the_table_has_the_best_first_and_says_how_sure_that_is(tmp_path: Path) -> None:
    plan: Plan = plan_sweep("quickstart", ["replay.ratio=0.3,0.5,0.7,0.9", "solver.width=16"], [0, 1, 2])
    trials: list[dict[str, Any]] = []
    for number, (mean, half) in enumerate([(0.80, 0.01), (0.90, 0.02), (0.87, 0.015)], start=1):
        spread = {"mean": mean, "std": half, "n": 3, "interval": half}
        trials.append({"average_accuracy": spread, "state": "finished", "forgetting": 0.1, "seconds": 60.0})
        trials[-1] |= {"number": number, "accuracy_history": [mean] * 6}
    trials.append({"average_accuracy": None, "state": "stopped", "forgetting": None, "seconds": None})
    trials[-1] |= {"number": 4, "accuracy_history": [0.5, 0.4]}
    document: dict[str, Any] = {
        "recipe": plan.recipe,
        "varied": plan.varied,
        "seeds": [0, 1, 2],
        "scored": "replay",
        "validation": 0.1,
        "best": {"trial": 2, "command": plan.command(plan.trials[1])},
        "trials": [
            {**trial, "changes": one.changes, "error": None} for trial, one in zip(trials, plan.trials, strict=True)
        ],
    }
    write_tables(document, tmp_path)
    rows = (tmp_path / "sweep.csv").read_text().splitlines()
    assert rows[0] == "trial,replay.ratio,state,mean,std,n,interval,forgetting,seconds,error"
    assert [row.split(",")[0] for row in rows[1:]] == ["2", "3", "1", "4"]
    page = (tmp_path / "sweep.md").read_text()
    assert "| 2 | 0.5 | 90.0 ± 2.0 | 10.0 | 60 | finished |" in page
    assert f"| 4 | 0.9 | {DASH} | {DASH} | {DASH} | stopped after 2 tasks |" in page
    assert "10 % of each class's training images, held out" in page
    assert "overlap: 3." in describe_best(document)  # 0.87 + 0.015 reaches 0.90 - 0.02; 0.80 + 0.01 does not
    assert "scholars run quickstart --set solver.width=16 replay.ratio=0.5 --seed 0 1 2" in describe_best(document)
    assert (tmp_path / "sweep.png").stat().st_size > 5000
    nothing = {**document, "best": None, "trials": [document["trials"][3]]}
    assert describe_best(nothing) == "No trial has finished."
