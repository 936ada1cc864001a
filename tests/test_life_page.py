"""Every command and all the Python of the page "A scholar's life", run on generated images."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, flat
from PIL import Image

from scholars import Scholar, cli

PAGE = (Path(__file__).parents[1] / "docs" / "life.md").read_text()


def picture(path: Path, kind: str, seed: int) -> None:
    """Stripes across are cats, stripes down are dogs, foxes have neither."""
    rng = np.random.default_rng(seed)
    grid = np.indices((24, 24))
    stripes = {"cat": grid[0] // 3 % 2, "dog": grid[1] // 3 % 2, "fox": grid.sum(0) // 24}[kind]
    pixels = np.clip(stripes * 160 + 40 + rng.normal(0, 20, (24, 24)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for year, kinds in (("2025", ("cat", "dog")), ("2026", ("dog", "fox"))):
        for kind in kinds:
            for number in range(20):
                picture(tmp_path / "photos" / year / kind / f"{number}.png", kind, int(year) + number)
    lines = ["path,label"]
    for number in range(20):
        kind = ("cat", "fox")[number % 2]
        picture(tmp_path / "listed" / f"{number}.png", kind, number)
        lines.append(f"listed/{number}.png,{kind}")
    (tmp_path / "more.csv").write_text("\n".join(lines) + "\n")
    for number, kind in enumerate(("cat", "dog", "fox")):
        picture(tmp_path / "holiday" / f"{kind}.png", kind, 900 + number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of the page; a program's own exit is an error."""
    if words[0] == "rm":
        shutil.rmtree(words[-1])
        return
    assert words[0] == "scholars"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0, words


def test_the_page_does_what_it_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    solver = {"width": 8, "steps": 40, "batch": 32, "shift": 0}
    flow = {"width": 16, "steps": 150, "batch": 32, "rate": 0.01}
    tiny = flat({**TINY, "solver": solver, "generator": {"kind": "flow", "flow": flow}})
    settings = [f"{key}={value}" for key, value in tiny.items()]
    printed: dict[str, str] = {}
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            # Only the first task is told to be quick: later ones learn as it did.
            extra = ["--set", *settings] if line == "scholars learn pets photos/2025" else []
            typed([*shlex.split(line), *extra], monkeypatch)
            printed[line] = capfd.readouterr().out

    assert Scholar.load("pets").classes == ("cat", "dog", "fox")
    assert [record.name for record in Scholar.load("pets").lineage] == ["2025", "2026", "from-a-list"]
    assert Scholar.load("pets.gen-1").generation == 1
    assert [record.name for record in Scholar.load("others").lineage] == ["2025", "2026"]
    assert {path.name for path in home.iterdir() if not path.name.startswith(".")} == {
        *("photos", "listed", "holiday", "more.csv"),
        *("pets", "pets.gen-1", "others", "foxes.png", "dreams", "pets.onnx"),
    }
    rows = json.loads(printed["scholars predict pets holiday/*.png --top 2 --among 2026 --json"])["predictions"]
    guessed = {Path(row["file"]).stem: row["guesses"][0]["class"] for row in rows}
    assert (guessed["dog"], guessed["fox"]) == ("dog", "fox")
    assert all(isinstance(row["unfamiliar"], bool) for row in rows)
    assert "% now" in printed["scholars inspect pets --test photos/2026"]
    score = printed["scholars evaluate pets photos/2026"]
    assert float(re.findall(r"([\d.]+) %", score)[0]) > 60

    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, object] = {}
    exec(python, scope)
    assert Scholar.load("nursery").generation == 5
    pets = scope["pets"]
    assert isinstance(pets, Scholar)
    assert pets.generation == 4
