"""Every command and all the Python of the tutorial, with small data and small budgets."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, flat
from PIL import Image
from test_cli import scholars

from scholars.scholar import Scholar
from scholars.tasks import Images, Task, open_task

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
SMALL = [f"{key}={value}" for key, value in flat(TINY).items() if key != "generator.kind"]


def few(task: Task) -> Task:
    def first(data: Images) -> Images:
        return Images(data.images[:300], data.labels[:300])

    return replace(task, train=first(task.train), test=first(task.test))


def test_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = few(open_task("digits"))

    def opened(source: str, **_: Any) -> Task:
        """Whatever an experiment asks for: what is large, or needs a network, is not the point here."""
        return replace(digits, name=source)

    monkeypatch.setattr("scholars.streams.open_task", opened)
    for part, names in (("first", "012"), ("second", "345")):
        for name in names:
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for index, image in enumerate(digits.train.images[digits.train.labels == int(name)][:20]):
                Image.fromarray(image[0]).save(tmp_path / "photos" / part / name / f"{index}.png")
    (tmp_path / "holiday").mkdir()
    Image.fromarray(digits.test.images[0][0]).save(tmp_path / "holiday" / "one.png")

    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) > 10
    for line in lines:
        program, *words = shlex.split(line)
        if program == "pip":
            continue
        if words[0] == "run" or words[1:] == ["my-scholar", "photos/first"]:
            words += ["--set", *(word for word in SMALL if word.partition("=")[0] not in " ".join(words))]
        done = scholars(*words, cwd=tmp_path)
        assert done.returncode == 0, (line, done.stderr)

    assert (tmp_path / "dreams.png").is_file()
    assert (tmp_path / "comparison.html").is_file()
    assert Scholar.load(tmp_path / "my-scholar").classes == tuple("012345")
    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    tiny = Scholar.load(tmp_path / "my-scholar").settings
    monkeypatch.setattr("scholars.learning.Settings", lambda: tiny)
    scope: dict[str, Any] = {}
    exec(python, scope)
    assert scope["two"].generation == 2
