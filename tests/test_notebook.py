"""The notebook of the founding experiment runs from top to bottom, with so small a budget that it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import yaml
from conftest import TINY
from nbclient import NotebookClient

from scholars.tasks import open_task

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook" / "founding-experiment.ipynb"


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_runs_from_top_to_bottom(notebook: Any, tmp_path: Path) -> None:
    digits = open_task("digits")
    np.savez(
        tmp_path / "dark.npz",
        x_train=255 - digits.train.images[:400, 0],
        y_train=digits.train.labels[:400],
        x_test=255 - digits.test.images[:100, 0],
        y_test=digits.test.labels[:100],
    )
    tasks = ["digits", {"source": str(tmp_path / "dark.npz"), "limit": 300}]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"tasks": tasks, **TINY}))
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    given = {"EXPERIMENT": str(tmp_path / "tiny.yaml"), "DATA_DIR": None, "CHANGES": {"solver.steps": 30}}
    assert {line.split(" = ")[0] for line in parameters.source.splitlines()} == set(given)
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    for cell in notebook.cells:
        cell.outputs = []
    done = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    printed = "".join(output.get("text", "") for cell in done.cells for output in cell.get("outputs", []))
    assert "learned: digits, then dark, then blackboard" in printed
    assert "naive: digits fell by" in printed
    assert "scholar.json" in printed
    pictures = [
        output for cell in done.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5


def test_what_is_kept_in_it_is_small_and_whole(notebook: Any) -> None:
    """Its outputs are those of one run of the cells as they are: in their order, none missing, none of an error."""
    assert NOTEBOOK.stat().st_size < 400_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kept = [output for cell in code for output in cell.outputs]
    assert not [output for output in kept if output.output_type == "error"]
    assert len([output for output in kept if "image/png" in output.get("data", {})]) == 5
    assert 'EXPERIMENT = "quickstart"' in code[0].source  # whose images may be shown: nobody's but the project's own
