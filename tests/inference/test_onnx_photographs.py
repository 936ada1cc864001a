"""Exported scholars of photographs: backbone and head in one file, which resizes as Pillow does, or says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as runtime
import pytest
import torch
from command_line import scholars
from PIL import Image

from scholars import Scholar, learn, open_task
from scholars.errors import ScholarsError
from scholars.inference.onnx_export import Differences, export_onnx
from scholars.inference.resize_in_graph import FitSquare
from scholars.settings import Fit, Settings
from scholars.settings.overrides import changed
from scholars.tasks.squares import Interpolation, fit_square

SIZE = 64
# (height, width): square, wide and tall; larger than the backbone's size, as large, and smaller.
SHAPES = [(96, 80), (80, 97), (64, 64), (64, 71), (40, 51), (240, 181)]


def photograph(kind: int, height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    """Noise over a ramp that runs to the right and is red, or downwards and is blue."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, width)[None, :] if kind else np.linspace(0, 200, height)[:, None]
    colour = np.array((1, 0.5, 0.2) if kind else (0.2, 0.5, 1))
    picture: npt.NDArray[np.uint8] = (ramp[..., None] * colour + rng.integers(0, 55, (height, width, 3))).astype(
        np.uint8
    )
    return picture


@pytest.fixture(scope="module")
def scholar(tmp_path_factory: pytest.TempPathFactory) -> Scholar:
    folder = tmp_path_factory.mktemp("photographs")
    for kind, name in enumerate(("blue", "red")):
        (folder / name).mkdir()
        for number in range(12):
            Image.fromarray(photograph(kind, 96, 80, 2 * number + kind)).save(folder / name / f"{number}.jpg")
    few = {"backbone.size": SIZE, "solver.steps": 20, "ood.dreams": 0}
    return learn(
        open_task(str(folder), decode=False),
        settings=changed(Settings.model_validate({"backbone": {"views": 0}}), few),
    )


@pytest.fixture(scope="module")
def exported(scholar: Scholar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "scholar.onnx"
    found = export_onnx(scholar, path)
    assert found.pytorch <= 1e-4
    assert found.resizing is not None and found.resizing <= 0.05
    return path


def run(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    (found,) = runtime.InferenceSession(path).run(None, {"images": images})
    assert isinstance(found, np.ndarray)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_of_any_size_get_the_scholars_probabilities(
    shape: tuple[int, int], count: int, scholar: Scholar, exported: Path
) -> None:
    pictures = [photograph(number % 2, *shape, seed=100 + number) for number in range(count)]
    found = run(exported, np.stack(pictures))
    expected = scholar.predict_proba([Image.fromarray(picture) for picture in pictures])
    assert found.shape == (count, 2)
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
    assert np.abs(np.log(found) - np.log(expected)).max() < 0.02
    # What would go wrong unseen if all pictures looked alike to it.
    swapped = scholar.predict_proba([Image.fromarray(picture[..., ::-1]) for picture in pictures])
    assert np.abs(np.log(swapped) - np.log(expected)).max() > 0.1


def test_the_metadata_say_what_it_is_and_how_it_resizes(scholar: Scholar, exported: Path) -> None:
    assert scholar.backbone is not None
    notes = {
        name: json.loads(text)
        for name, text in runtime.InferenceSession(exported).get_modelmeta().custom_metadata_map.items()
    }
    assert notes["classes"] == list(scholar.classes)
    assert notes["tasks"] == [scholar.lineage[0].name]
    record = scholar.backbone.record
    assert notes["backbone"] == {"name": "efficientnet-lite0", "sha256": record.sha256, "licence": "Apache-2.0"}
    recipe = {"size": SIZE, "channels": 3, "fit": "crop", "interpolation": "bicubic", "antialias": True}
    recipe |= {"colours": "RGB", "orientation": "upright, by EXIF", "transparency": "over white"}
    recipe |= {"grey": "repeated to three channels", "range": [0, 255], "normalisation": "in the graph"}
    assert recipe.items() <= notes["image"].items()


def test_a_fixed_file_and_its_recipe_are_enough(scholar: Scholar, tmp_path: Path) -> None:
    """Whoever resizes by the Pillow line in the metadata gets what the scholar says."""
    path = tmp_path / "fixed.onnx"
    assert export_onnx(scholar, path, fixed=True).resizing is None
    session = runtime.InferenceSession(path)
    (entry,) = session.get_inputs()
    assert entry.type == "tensor(uint8)"
    assert entry.shape[1:] == [SIZE, SIZE, 3]
    recipe = json.loads(session.get_modelmeta().custom_metadata_map["image"])
    for shape in SHAPES:
        image = Image.fromarray(photograph(1, *shape, seed=7))
        names: dict[str, Any] = {"Image": Image, "image": image, "width": image.width, "height": image.height}
        exec(recipe["pillow"], names)
        square = np.asarray(names["square"])
        expected = scholar.predict_proba([image])
        assert np.abs(run(path, square[None]) - expected).max() < 1e-4
    for count in (1, 3):
        images = np.stack([photograph(1, SIZE, SIZE, seed) for seed in range(count)])
        assert run(path, images).shape == (count, 2)


def test_a_file_that_resizes_otherwise_is_not_written(
    scholar: Scholar, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is the other side that does: it cuts nothing out, and takes the nearest pixel."""

    def nearest(pictures: list[Image.Image], *_: object) -> torch.Tensor:
        squares = [picture.resize((SIZE, SIZE), Image.Resampling.NEAREST) for picture in pictures]
        return torch.from_numpy(np.stack([np.asarray(square).transpose(2, 0, 1) for square in squares]))

    monkeypatch.setattr("scholars.inference.onnx_export._export", lambda *_: onnx.load(exported))
    monkeypatch.setattr("scholars.inference.onnx_export.convert", nearest)
    with pytest.raises(ScholarsError, match="where the exported file resizes pictures"):
        export_onnx(scholar, tmp_path / "other.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command_reports_both_differences(
    scholar: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scholar.save(tmp_path / "scholar")
    done = scholars("export", "scholar", "any.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 classes" in done.stdout
    assert "where it resizes instead of Pillow" in " ".join(done.stdout.split())
    assert run(tmp_path / "any.onnx", np.zeros((1, 30, 50, 3), np.uint8)).shape == (1, 2)

    asked: list[bool] = []

    def export(_: Scholar, path: Path, *, fixed: bool) -> Differences:
        asked.append(fixed)
        return Differences(1e-6, None)

    monkeypatch.setattr("scholars.inference.onnx_export.export_onnx", export)
    done = scholars("export", "scholar", "fixed.onnx", "--fixed", cwd=tmp_path)
    assert (done.returncode, asked) == (0, [True])
    assert "by 1e-06 at most" in " ".join(done.stdout.split())
    assert "Pillow" not in done.stdout


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (1, 9), (300, 20), (64, 192), (5, 900)])
def test_squares_are_pillows(shape: tuple[int, int], interpolation: Interpolation, fit: Fit) -> None:
    """By one level where a value is halfway between two; of tall ones Pillow 13 may make the columns first."""
    picture = photograph(1, *shape, seed=3)
    height, width = shape
    expected = np.asarray(fit_square(Image.fromarray(picture), SIZE, interpolation, fit))
    images = torch.from_numpy(picture).permute(2, 0, 1)[None]
    found = FitSquare(SIZE, interpolation, fit)(images)[0].permute(1, 2, 0).numpy()
    off = np.abs(found.astype(int) - expected)
    tall = height > width
    assert off.max() <= (3 if tall else 1)
    assert (off > 0).mean() <= (0.4 if tall else 0.06)
