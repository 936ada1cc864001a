"""Run every block of the documentation, with small data and small settings; `NOT_RUN` says what is not run, and why."""

from __future__ import annotations

import gc
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
import torch
import typer
import yaml
from lightning_fabric import Fabric
from pages import LANGUAGES, PAGES, ROOT, SMALL, Budget, Scene, blocks, do_python, lineage, type_in, typed
from photographs import own_features, photograph
from PIL import Image
from report.documents import results
from starlette.testclient import TestClient
from torch import Tensor, nn

from scholars import Pool, Session, Teacher, fit, learn
from scholars.cli.console import hoist_quiet, repeat_options, split_list
from scholars.cli.main import app
from scholars.errors import InputError
from scholars.experiments.recipe import Recipe, read_recipe
from scholars.experiments.sweeps.grid import plan_sweep
from scholars.learning.looking import PHOTOGRAPH_SIDE, Choice, choose_settings
from scholars.scholar import Scholar
from scholars.settings import DEFAULT_GENERATOR, Settings
from scholars.settings.overrides import build, parse_changes
from scholars.settings.registry import load_plugin
from scholars.studio.app import studio
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.task import Task

# Lines that are checked, but not run, by how they begin: (page, or * for any; beginning): why.
NOT_RUN = {
    ("*", "pip install"): "the tests run in what was installed",
    ("*", "make"): "installs, or runs these very tests",
    ("*", "curl"): "its requests are compared with the studio's own description; tests/studio makes them",
    ("*", "scholars serve"): "runs until it is stopped; tests/studio and tests/browser use it",
    ("CONTRIBUTING.md", "scholars doctor"): "the tutorial has it",
    ("docs/recipes.md", "scholars run article"): "takes minutes even so; tests/experiments runs it on small data",
    ("docs/scaling.md", "scholars run"): "needs four cores; tests/compute runs two processes",
    ("docs/scaling.md", "torchrun"): "the same",
    ("docs/sweep.md", "scholars sweep"): "starts a cluster, as tests/experiments does",
    ("docs/sweep.md", "scholars dream"): "draws a million; tests/inference draws some hundreds",
    ("docs/scaling.md", "srun"): "the same, and there is no SLURM",
    ("docs/photographs.md", "scholars learn sharper"): "downloads weights; tests/backbones has weights in files",
    ("docs/photographs.md", "scholars run caltech101"): "needs its photos; tests/experiments runs such a stream",
    ("README.md", "scholars run mnist-svhn"): "the tutorial has it, with other options",
    ("README.md", "scholars export"): "docs/life.md has it",
}


def picture(path: Path, kind: str, seed: int) -> None:
    """Write a picture: stripes across are a cat, stripes down a dog, a fox has neither."""
    rng = np.random.default_rng(seed)
    grid = np.indices((24, 24))
    stripes = {"cat": grid[0] // 3 % 2, "dog": grid[1] // 3 % 2, "fox": grid.sum(0) // 24}[kind]
    pixels = np.clip(stripes * 160 + 40 + rng.normal(0, 20, (24, 24)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photos(home: Path, **folders: tuple[str, ...]) -> None:
    """Write ``photos/NAME`` with 20 pictures of each kind, and one of each kind to ``holiday``."""
    for seed, (name, kinds) in enumerate(folders.items()):
        for kind in kinds:
            for number in range(20):
                path = home / "photos" / name.removeprefix("_") / kind / f"{number}.png"
                picture(path, kind, 1000 * seed + number)
    for kind in ("cat", "dog", "fox"):
        picture(home / "holiday" / f"{kind}.png", kind, 9000)


def two_years(home: Path) -> None:
    photos(home, _2025=("cat", "dog"), _2026=("dog", "fox"))


# Classes of photographs, and what is drawn for them.
ANIMALS = {"flamingo": "disc", "kangaroo": "box", "llama": "leaf", "elephant": "ring"}
# Few settings: what chooses a backbone, and how it looks, is what pages describe. `home` has few dreams and steps.
PHOTOGRAPHED = Budget({"audit.dreams": 60, "ood.dreams": 60}, {"own": {}}, kind="mixture")


def two_months(home: Path) -> None:
    """Write photographs of three classes to ``photos/may``, of two to ``photos/june``, and one of each to holiday."""
    months = {"may": ("flamingo", "kangaroo", "llama"), "june": ("llama", "elephant")}
    for place, (month, names) in enumerate(months.items()):
        for name in names:
            folder = home / "photos" / month / name
            folder.mkdir(parents=True)
            for number in range(16):
                photograph(ANIMALS[name], 100 * place + number).save(folder / f"{number}.jpg", quality=90)
    (home / "holiday").mkdir()
    for name, thing in ANIMALS.items():
        photograph(thing, 9000).save(home / "holiday" / f"{name}.jpg", quality=90)


def runs(home: Path, *names: str) -> None:
    """Write folders of runs, as far as a comparison of them needs."""
    for name in names:
        (home / "runs" / name).mkdir(parents=True)
        (home / "runs" / name / "results.json").write_text(json.dumps(results()))


# README.md


def readme_before(home: Path) -> None:
    two_months(home)
    runs(home, "wgan-gp", "hard")
    learn(open_task("digits")).save(home / "runs" / "mnist-svhn" / "scholars" / "2")


def readme_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert (home / "comparison.html").is_file()
    assert (home / "animals.html").is_file()
    assert lineage(home / "animals") == ["may", "june"]
    assert Scholar.load(home / "animals").backbone
    assert names["two"].generation == 2


# docs/photographs.md


def photographs_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    animals = Scholar.load(home / "animals")
    assert lineage(home / "animals") == ["may", "june"]
    assert animals.classes == ("elephant", "flamingo", "kangaroo", "llama")
    assert animals.backbone
    assert animals.backbone.record.name == "efficientnet-lite0"
    guesses = [line.partition(": ") for line in printed["scholars predict animals holiday"].splitlines()]
    assert {Path(file).stem: text.split()[0] for file, _, text in guesses} == {name: name for name in animals.classes}
    assert float(re.findall(r"([\d.]+) %", printed["scholars evaluate animals photos/june"])[0]) > 80
    assert printed["scholars review animals holiday"].count("holiday/") == 4
    assert (home / "holiday" / "answers.csv").read_text(encoding="utf-8-sig").startswith("file,label,guess,")
    assert [one.file.suffix for one in names["unsure"]] == [".jpg"] * 3
    assert "efficientnet-lite0" in printed["scholars inspect animals"]
    assert "efficientnet-lite0" in printed["scholars backbones"]
    assert (home / "animals.onnx").is_file()
    assert (home / "dreams.safetensors").is_file()
    assert Scholar.load(home / "quick").settings.solver.kind == "lda"
    closer = Scholar.load(home / "closer").settings.backbone
    assert closer
    assert (closer.size, closer.views) == (224, 5)
    assert names["features"].shape == (8, 1280)
    assert names["targets"].shape == (8, 4)
    assert names["one"].backbone
    # The cache of features is removed when `learn` ends.
    kept = home / ".cache" / "features"
    assert [path.name for path in kept.iterdir()] == ["locks"]


# docs/tutorial.md


def tutorial_before(home: Path) -> None:
    photos(home, first=("cat", "dog"), second=("dog", "fox"))


def tutorial_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert (home / "dreams.png").is_file()
    assert (home / "comparison.html").is_file()
    assert Scholar.load(home / "my-scholar").classes == ("cat", "dog", "fox")
    assert names["two"].generation == 2


# docs/life.md

# Enough to classify stripes correctly, and to dream of them: a Gaussian for each class learns them in a moment.
LEARNS = Budget(
    {**SMALL.settings, "solver.steps": 40, "solver.shift": 0, "replay.bank": 200},
    {"own": {"steps": 80, "batch": 32}},
    kind="blobs",
)


def life_before(home: Path) -> None:
    two_years(home)
    lines = ["path,label"]
    for number in range(20):
        kind = ("cat", "fox")[number % 2]
        picture(home / "listed" / f"{number}.png", kind, number)
        lines.append(f"listed/{number}.png,{kind}")
    (home / "more.csv").write_text("\n".join(lines) + "\n")


def folders_before(home: Path) -> None:
    two_years(home)
    for name in ("photos/2025", "holiday"):
        shutil.make_archive(str(home / Path(name).parts[0]), "zip", home / name)
    for file in (home / "photos" / "2026").rglob("*.png"):
        link = home / "repository" / "photos" / file.relative_to(home / "photos" / "2026")
        kept = home / "repository" / ".store" / f"{link.parent.name}-{file.stem}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        file.rename(kept)
        link.symlink_to(kept)


def folders_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert lineage(home / "pets") == ["photos", "photos"]
    assert "holiday.zip/" in printed["scholars predict pets holiday.zip"]


def life_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert Scholar.load(home / "pets.gen-1").generation == 1
    assert lineage(home / "others") == ["2025", "2026"]
    assert {path.name for path in home.iterdir() if not path.name.startswith(".")} == {
        *("photos", "listed", "holiday", "more.csv"),
        *("pets", "pets.gen-1", "others", "foxes.png", "dreams", "pets.onnx", "nursery", "in-colour"),
    }
    rows = json.loads(printed["scholars predict pets 'holiday/*.png' --top 2 --among 2026 --json"])["predictions"]
    guessed = {Path(row["file"]).stem: row["guesses"][0]["class"] for row in rows}
    assert (guessed["dog"], guessed["fox"]) == ("dog", "fox")
    assert all(isinstance(row["unfamiliar"], bool) for row in rows)
    assert "% now" in printed["scholars inspect pets --test photos/2026"]
    score = printed["scholars evaluate pets photos/2026"]
    assert float(re.findall(r"([\d.]+) %", score)[0]) > 60
    # What the commands taught, and then the Python.
    assert lineage(home / "pets") == ["2025", "2026", "from-a-list", "2026"]
    assert Scholar.load(home / "nursery").generation == 5


# The others


def report_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert (home / "runs" / "q" / "report.html").is_file()
    assert (home / "runs" / "q" / "scholars" / "2.html").is_file()
    assert (home / "comparison.html").is_file()


def networks_before(home: Path) -> None:
    shutil.copytree(ROOT / "examples", home / "examples")
    picture(home / "images" / "cat.png", "cat", 0)


class Table(nn.Embedding):
    """An image of 4 x 4 pixels for each condition."""

    def forward(self, conditions: Tensor) -> Tensor:
        return super().forward(conditions).reshape(-1, 1, 4, 4)


def networks_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    images = Pool(torch.full((3, 1, 4, 4), 255, dtype=torch.uint8), torch.arange(3), 3, torch.arange(3))
    table, fabric = Table(3, 16), Fabric(accelerator="cpu", devices=1)
    trainee = names["trainee"](table, fabric, Teacher())
    before = float(table.weight.detach().mean())
    fit(trainee, lambda: images.draw(8), fabric=fabric, steps=20, seed=0, stage="table", session=Session())
    assert float(table.weight.detach().mean()) > before
    assert Scholar.load(home / "my-scholar").settings.solver.kind == "resnet18"
    document = json.loads((home / "runs" / "quickstart" / "results.json").read_text())
    assert document["generator"] == "blobs"


def contributing_before(home: Path) -> None:
    shutil.copytree(ROOT / "examples", home / "examples")


def contributing_names(home: Path) -> dict[str, Any]:
    """Return arrays of two classes."""
    task = open_task("digits").select_classes(("0", "1"))
    return {
        "train_images": task.train.images,
        "train_labels": task.train.labels,
        "test_images": task.test.images,
        "test_labels": task.test.labels,
    }


def contributing_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert Scholar.load(home / "my-scholar").settings.generator.kind == "blobs"
    assert names["one"].classes == ("stop", "yield")


def privacy_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert "privacy: epsilon 4" in printed["scholars inspect clinic"]
    assert names["clinic"].privacy.epsilon == pytest.approx(3, rel=1e-3)
    assert lineage(home / "clinic") == ["may", "june"]


def sweep_before(home: Path) -> None:
    photos(home, first=("cat", "dog"))
    shutil.rmtree(home / "holiday")
    learn(open_task("photos/first")).save(home / "my-scholar")


def sweep_after(home: Path, printed: Mapping[str, str], names: Mapping[str, Any]) -> None:
    assert [path.name for path in (home / "named").iterdir()] == ["00000.csv"]
    assert (home / "named" / "00000.csv").read_text().count("photos/first/") == 40


SCENES = {
    "CONTRIBUTING.md": Scene(contributing_before, contributing_names, contributing_after),
    "README.md": Scene(readme_before, after=readme_after, budget=PHOTOGRAPHED),
    "docs/algebra.md": Scene(),
    "docs/folders.md": Scene(folders_before, after=folders_after, budget=LEARNS),
    "docs/defaults.md": Scene(lambda home: photos(home, _a=("cat", "dog"))),
    "docs/life.md": Scene(life_before, after=life_after, budget=LEARNS),
    "docs/own-networks.md": Scene(
        networks_before,
        after=networks_after,
        budget=replace(SMALL, settings={**SMALL.settings, "audit.dreams": 0, "ood.dreams": 0}),
    ),
    "docs/photographs.md": Scene(two_months, after=photographs_after, budget=PHOTOGRAPHED),
    "docs/privacy.md": Scene(two_months, after=privacy_after, budget=PHOTOGRAPHED),
    "docs/recipes.md": Scene(),
    "docs/report.md": Scene(lambda home: runs(home, "a", "b", "c"), after=report_after),
    "docs/scaling.md": Scene(),
    "docs/studio.md": Scene(),
    "docs/sweep.md": Scene(sweep_before, after=sweep_after),
    "docs/tutorial.md": Scene(tutorial_before, after=tutorial_after),
}


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder to work in. Every known data set is at hand, with 120 images; the settings are small."""
    gc.freeze()  # `scholars run` collects garbage before each task, 0.3 s among all that the tests imported
    digits = open_task("digits")

    def few(data: Images) -> Images:
        return Images(data.images[:120], data.labels[:120])

    small = replace(digits, train=few(digits.train), test=few(digits.test))
    data = tmp_path_factory.mktemp("data")
    for name in ("mnist", "svhn"):
        arrays = {f"x_{part}": getattr(small, part).images[:, 0] for part in ("train", "test")}
        labels = {f"y_{part}": getattr(small, part).labels for part in ("train", "test")}
        np.savez(data / f"{name}.npz", **arrays, **labels)
    monkeypatch.setenv("SCHOLARS_DATA", str(data))
    monkeypatch.setattr("scholars.tasks.digits.read_digits", lambda: small)
    monkeypatch.setattr("scholars.tasks.printed.draw_printed", lambda: replace(small, name="printed"))
    tiny = build(Settings, {}, SMALL.changes(DEFAULT_GENERATOR), where="tests")

    def small_settings(task: Task) -> Choice:
        return choose_settings(task) if task.train.median_side >= PHOTOGRAPH_SIDE else Choice(tiny, "")

    monkeypatch.setattr("scholars.learning.algorithm.choose_settings", small_settings)
    monkeypatch.setattr("scholars.learning.heads._MOST_STEPS", 60)
    # A cache of its own, but for the graphs of backbones, which take seconds to make.
    own_features(monkeypatch, tmp_path / ".cache")
    load_plugin(str(ROOT / "examples" / "blobs.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_page_with_something_to_do_has_a_scene() -> None:
    assert set(SCENES) == {page for page in PAGES if blocks(page, "sh") or blocks(page, "python")}


@pytest.mark.parametrize("page", SCENES)
def test_the_page_does_what_it_says(page: str, home: Path) -> None:
    scene = SCENES[page]
    scene.before(home)
    printed = {line: type_in(line, home, scene.budget) for line in typed(page) if not reason(page, line)}
    scene.after(home, printed, do_python(page, scene.names(home)))


def reason(page: str, line: str) -> str | None:
    """Return why a line is not run; None for one that is."""
    found = [why for (where, start), why in NOT_RUN.items() if where in ("*", page) and line.startswith(start)]
    return found[0] if found else None


def test_nothing_is_excused_that_is_not_there() -> None:
    lines = [(page, line) for page in PAGES for line in typed(page)]
    for where, start in NOT_RUN:
        assert any(where in ("*", page) and line.startswith(start) for page, line in lines), (where, start)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    assert [block for block in blocks(page) if block.language not in LANGUAGES] == []
    assert (ROOT / page).read_text().count("```") == 2 * len(blocks(page))


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in SCENES for line in typed(page)])
def test_every_line_can_be_typed(page: str, line: str, request: pytest.FixtureRequest) -> None:
    """Also of lines that are not run: commands, options, settings, recipes, extras, targets and addresses exist."""
    program, *words = shlex.split(line)
    match program:
        case "scholars":
            command, given = parsed(words)
            if command in ("run", "learn", "sweep") and "--plugin" not in words:
                settings_exist(command, given)
        case "torchrun" | "srun":
            command, given = parsed(words[words.index("scholars") + 1 :])
            settings_exist(command, given)
        case "pip":
            assert words[0] == "install"
            name, _, extra = words[1].rstrip("]").partition("[")
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert name in (project["name"], ".")
            assert not extra or extra in project["optional-dependencies"]
        case "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case "curl":
            one: Scholar = request.getfixturevalue("one")
            folder: Path = request.getfixturevalue("tmp_path") / "scholar"
            one.save(folder)
            with TestClient(studio(folder), base_url="http://localhost:8000") as client:
                address_exists(words, client.get("/openapi.json").json())
        case _:
            assert program == "rm", f"{page}: {line}: what is that?"


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the command of a line and its arguments, as the command line reads them; raise where it refuses them."""
    root = typer.main.get_command(app)
    found: dict[str, dict[str, Any]] = {}

    def noting(name: str) -> Any:
        return lambda **given: found.update({name: given})

    assert isinstance(root, typer.core.TyperGroup)
    root.callback = lambda **_: None
    for name, command in root.commands.items():
        command.callback = noting(name)
    root(hoist_quiet(repeat_options(words)), standalone_mode=False)
    return next(iter(found.items()), ("", {}))


def settings_exist(command: str, given: Mapping[str, Any]) -> None:
    if command == "sweep":
        plan_sweep(given["recipe"], given["changes"] or [], given["seed"], split_list(given["methods"]))
        return
    changes = parse_changes(given["changes"] or [])
    if given["generator"]:
        changes["generator.kind"] = given["generator"]
    if given["backbone"]:
        changes["backbone.name"] = given["backbone"]
    if command == "learn":
        # As the first task's images decide: pixels or, where that is not possible, features.
        try:
            build(Settings, {}, changes, where="docs")
        except InputError:
            build(Settings, {"backbone": {}}, changes, where="docs")
        return
    if given["methods"]:
        changes["methods"] = split_list(given["methods"])
    if given["seed"]:
        changes["seeds"] = list(given["seed"])
    read_recipe(given["recipe"], changes)


def address_exists(words: list[str], description: Mapping[str, Any]) -> None:
    """Fail unless a request of curl's is one that the studio describes."""
    url = urlparse(next(word for word in words if word.startswith("http")))
    method = "post" if {"--data-binary", "-d"} & set(words) else "get"
    for path, methods in description["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", path), url.path):
            asked = {parameter["name"] for parameter in methods[method].get("parameters", [])}
            assert set(parse_qs(url.query)) <= asked
            return
    raise AssertionError(f"the studio has no {url.path}")


def test_what_does_not_exist_is_found() -> None:
    for line in ("inspct x", "run quickstart --sed 1", "learn", "predict s a.png --top many"):
        with pytest.raises(Exception, match=r"inspct|--sed|scholar|many|integer"):
            parsed(line.split())
    with pytest.raises(Exception, match="unknown key"):
        settings_exist(*parsed(["run", "quickstart", "--set", "solver.stepps=3"]))
    with pytest.raises(Exception, match="no recipe"):
        settings_exist(*parsed(["run", "quickstrat"]))


def test_every_recipe_in_the_docs_is_valid() -> None:
    found = [block for page in PAGES for block in blocks(page, "yaml")]
    assert found
    for block in found:
        build(Recipe, {"name": "docs", **yaml.safe_load(block.text)}, None, where="docs")


def named_in_passing() -> Iterator[tuple[str, str, str]]:
    """Yield (page, command, the rest) of every `scholars COMMAND ...` within a sentence."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
        for code in re.findall(r"`([^`]+)`", text):
            if found := re.match(r"scholars ([a-z]+)\b(.*)", code, re.DOTALL):
                yield page, found[1], found[2]


def test_every_command_named_in_passing_exists() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    seen = list(named_in_passing())
    assert len(seen) > 20
    for page, command, rest in seen:
        assert command in root.commands, f"{page}: scholars {command}"
        options = {option for parameter in root.commands[command].params for option in parameter.opts}
        unknown = set(re.findall(r"--[a-z][a-z-]*", rest)) - options - {"--quiet", "--help"}
        assert not unknown, f"{page}: scholars {command} has no {', '.join(unknown)}"


def test_every_script_named_in_passing_exists() -> None:
    for page in PAGES:
        for script in re.findall(r"`python (\S+\.py)", (ROOT / page).read_text()):
            assert (ROOT / script).is_file(), f"{page}: {script}"
