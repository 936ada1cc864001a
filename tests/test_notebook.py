"""The notebook of the founding experiment runs from top to bottom, with so small settings that it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import yaml
from pages import SMALL

from scholars.tasks.open import open_task

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook" / "founding-experiment.ipynb"


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_runs_from_top_to_bottom(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, not in a kernel, which would import torch again."""
    digits = open_task("digits")
    np.savez(
        tmp_path / "dark.npz",
        x_train=255 - digits.train.images[:200, 0],
        y_train=digits.train.labels[:200],
        x_test=255 - digits.test.images[:100, 0],
        y_test=digits.test.labels[:100],
    )
    tasks = ["digits", {"source": str(tmp_path / "dark.npz"), "limit": 150}]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"tasks": tasks, "generator": {"kind": "flow"}}))
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    given = {"EXPERIMENT": str(tmp_path / "tiny.yaml"), "DATA_DIR": None, "CHANGES": SMALL.changes("flow")}
    assert {line.split(" = ")[0] for line in parameters.source.splitlines()} == set(given)
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())

    pictures = 0

    def show() -> None:
        nonlocal pictures
        pictures += len(plt.get_fignums())
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"cell {number} of {NOTEBOOK.name}", "exec"), scope)

    printed = capsys.readouterr().out
    assert "learned: digits, then dark, then blackboard" in printed
    assert "naive: digits fell by" in printed
    assert "scholar.json" in printed
    assert pictures == 5


def test_what_is_kept_in_it_is_small_and_whole(notebook: Any) -> None:
    """Its outputs are those of one run of the cells as they are: in their order, none missing, none of an error."""
    assert NOTEBOOK.stat().st_size < 400_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kept = [output for cell in code for output in cell.outputs]
    assert not [output for output in kept if output.output_type == "error"]
    assert len([output for output in kept if "image/png" in output.get("data", {})]) == 5
    assert 'EXPERIMENT = "quickstart"' in code[0].source  # whose images may be shown: nobody's but the project's own
