"""Long photographs with what matters at an edge: cropping loses it, and says so; padding and stretching do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import scholars
from photographs import QUICK, THINGS
from PIL import Image, ImageDraw

from scholars import Scholar
from scholars.errors import InputError
from scholars.experiments.recipe import Recipe
from scholars.experiments.stream import open_stream
from scholars.learning.looking import choose_settings, resolve_backbone
from scholars.settings.overrides import build, changed
from scholars.tasks.open import open_task

CLASSES = ("disc", "box", "leaf")
SMALL = [word for key, value in (QUICK | {"audit.dreams": 0}).items() for word in ("--set", f"{key}={value}")]
SAYS = "lose more than a third of their longer side"


def long_photograph(thing: str, seed: int) -> Image.Image:
    """Draw a thing at the left or right edge of a noisy background of 3:1, the same one for all things."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(90, 160, (18, 54, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((216, 72), Image.Resampling.BILINEAR)
    left = 4 if seed % 2 else 156
    ImageDraw.Draw(picture).rectangle((left, 8, left + 56, 64), fill=THINGS[thing][1])
    return picture


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for thing in CLASSES:
        for part, numbers in (("train", range(12)), ("test", range(12, 20))):
            (home / "photos" / part / thing).mkdir(parents=True)
            for number in numbers:
                # A seed of its own for each, for equal backgrounds would be told apart by nothing but the thing.
                seed = 100 * CLASSES.index(thing) + number
                long_photograph(thing, seed).save(home / "photos" / part / thing / f"{number}.png")
    return home


@pytest.fixture(scope="module")
def said(home: Path) -> dict[str, str]:
    """What is said while a scholar of each fit, named by it, learns these photos."""
    said = {}
    for name, words in (("crop", []), *((fit, ["--set", f"image.fit={fit}"]) for fit in ("pad", "stretch"))):
        done = scholars("learn", name, "photos", *SMALL, *words, cwd=home)
        assert done.returncode == 0, done.stderr
        said[name] = " ".join(done.stderr.split())
    return said


def accuracy(home: Path, name: str) -> float:
    done = scholars("evaluate", name, "photos", "--json", cwd=home)
    return float(json.loads(done.stdout)["results"][0]["accuracy"])


def test_cropping_loses_what_is_at_the_edge_and_says_so(home: Path, said: dict[str, str]) -> None:
    assert said["crop"].count(SAYS) == 1
    assert f"60 of 60 images {SAYS}" in said["crop"]
    assert "image.fit=pad" in said["crop"]
    assert "image.fit=stretch" in said["crop"]
    assert "backbone: efficientnet-lite0" in said["crop"]
    assert accuracy(home, "crop") < 0.67  # of three classes


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_padding_and_stretching_keep_it(home: Path, said: dict[str, str], fit: str) -> None:
    # A setting of the image, but none that only pixels have.
    assert "backbone: efficientnet-lite0" in said[fit]
    assert SAYS not in said[fit]
    assert accuracy(home, fit) > 0.9

    scholar = Scholar.load(home / fit)
    assert scholar.settings.image.fit == fit
    assert json.loads((home / fit / "scholar.json").read_text())["image"]["fit"] == fit
    assert f"fit: {fit}" in scholars("inspect", fit, cwd=home).stdout
    # Files, pictures and arrays are shown to it alike.
    done = scholars("predict", fit, "photos/test", "--json", "--top", "3", cwd=home)
    rows = json.loads(done.stdout)["predictions"]
    assert np.mean([row["guesses"][0]["class"] == Path(row["file"]).parent.name for row in rows]) > 0.9
    pictures = [Image.open(home / row["file"]) for row in rows]
    arrays = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
    for images in (pictures, arrays):
        found = scholar.predict_proba(images)
        for row, probabilities in zip(rows, found, strict=True):
            expected = {guess["class"]: guess["probability"] for guess in row["guesses"]}
            assert dict(zip(scholar.classes, probabilities.tolist(), strict=True)) == pytest.approx(expected, abs=1e-4)

    # Fixed by the first task: kept by the next one, and no other is taken.
    other = "stretch" if fit == "pad" else "pad"
    refused = scholars("learn", fit, "photos", "--name", "again", "--set", f"image.fit={other}", cwd=home)
    assert refused.returncode == 2
    assert f"image.fit is fixed by its first task: it is {fit}, not {other}" in " ".join(refused.stderr.split())
    again = scholars("learn", fit, "photos", "--name", "again", "--set", "audit.dreams=0", cwd=home)
    assert again.returncode == 0, again.stderr
    assert SAYS not in again.stderr
    assert [record.settings.image.fit for record in Scholar.load(home / fit).lineage] == [fit, fit]


def test_it_is_said_once_where_pictures_are_opened_twice(tmp_path: Path) -> None:
    """First to see how large they are, then to decode them."""
    for thing in CLASSES[:2]:
        (tmp_path / "photos" / thing).mkdir(parents=True)
        for number in range(6):
            long_photograph(thing, number).resize((60, 20)).save(tmp_path / "photos" / thing / f"{number}.png")
    few = ("image.size=16", "solver.steps=2", "generator.kind=vae", "generator.steps=2", "audit.dreams=0")
    done = scholars("learn", "one", "photos", "--set", *few, "ood.dreams=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "backbone: none, for small pictures" in done.stderr
    assert done.stderr.count("image.fit=pad") == 1


def test_a_scholar_that_was_saved_before_crops(home: Path, said: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(home / "crop", tmp_path / "old")
    file = tmp_path / "old" / "scholar.json"
    about = json.loads(file.read_text())
    for image in (about["image"], *(record["settings"]["image"] for record in about["lineage"])):
        assert image.pop("fit") == "crop"
    file.write_text(json.dumps(about))
    assert Scholar.load(tmp_path / "old").settings.image.fit == "crop"


def test_the_settings_of_a_backbone_keep_it(home: Path) -> None:
    with pytest.warns(UserWarning, match=SAYS):
        task = open_task(home / "photos", decode=False)
    chosen = choose_settings(task, {"image.fit": "pad"})
    assert chosen.settings.backbone is not None
    settings, _ = resolve_backbone(None, changed(chosen.settings, {"backbone.size": 64}))
    assert settings.image.model_dump() == {"size": 64, "channels": 3, "fit": "pad"}


def test_an_unknown_fit_is_refused(home: Path) -> None:
    done = scholars("learn", "none", "photos", "--set", "image.fit=squeeze", cwd=home)
    assert done.returncode == 2
    assert "image.fit: input should be 'crop', 'pad' or 'stretch', got 'squeeze'" in " ".join(done.stderr.split())


@pytest.mark.parametrize(("fit", "seen"), [("crop", False), ("pad", True), ("stretch", True)])
def test_a_recipe_of_pixels_has_it(home: Path, fit: str, seen: bool) -> None:
    document: dict[str, Any] = {"name": "r", "image": {"size": 32}, "tasks": [str(home / "photos")]}
    recipe = build(Recipe, document, {"image.fit": fit}, where="tests")
    if fit == "crop":
        with pytest.warns(UserWarning, match=SAYS):
            (task,) = open_stream(recipe, 0)
    else:
        (task,) = open_stream(recipe, 0)
    boxes = task.train.images[task.train.labels == task.classes.index("box")]
    blue = (boxes[:, 2].astype(int) - boxes[:, 0] > 100).any(axis=(1, 2))
    assert bool(blue.all()) == seen
    assert bool(blue.any()) == seen


def test_features_of_another_fit_are_refused(home: Path, said: dict[str, str]) -> None:
    scholar, other = (Scholar.load(home / fit) for fit in ("pad", "stretch"))
    with pytest.warns(UserWarning, match=SAYS):
        part = open_task(home / "photos", decode=False).test
    with pytest.raises(InputError, match=r"of another backbone than this scholar's, .* with image\.fit=pad"):
        scholar.seen(other.seen(part))
