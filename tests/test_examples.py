"""The examples that are scripts do what they say; the plugins among them are run by the pages that name them."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import scholars
from conftest import with_changes
from photographs import arrays, quick
from PIL import Image

from scholars import Scholar, Settings, Task, learn
from scholars.compute import device
from scholars.inference.onnx_export import export_onnx

EXAMPLES = Path(__file__).parents[1] / "examples"
# Runs the script that the first argument names where nothing of Scholars, nor PyTorch, can be imported.
NO_SCHOLARS = """
import runpy, sys
sys.modules["scholars"] = sys.modules["torch"] = None
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_two_tasks_are_known_with_dreams_and_not_without(capsys: pytest.CaptureFixture[str]) -> None:
    two = runpy.run_path(str(EXAMPLES / "two_tasks.py"))["two"]
    assert two.generation == 2
    assert two.classes == tuple("0123456789")
    printed = capsys.readouterr().out
    (naive_low, naive_high), (low, high) = re.findall(r": ([\d.]+)% of .*, ([\d.]+)% of", printed)
    assert float(naive_low) < 30
    assert min(float(naive_high), float(low), float(high)) > 60


def test_replay_by_hand_keeps_what_naive_training_forgets(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "replay_by_hand.py"))
    naive, replay = (
        [float(value) for value in re.findall(r"([\d.]+)%", line)] for line in capsys.readouterr().out.splitlines()
    )
    assert len(naive) == len(replay) == 5
    assert naive[-1] < 30
    assert replay[-1] > 70


def test_examples_import_nothing_but_the_public_interface() -> None:
    for example in EXAMPLES.glob("*.py"):
        assert "scholars." not in re.sub(r'""".*?"""', "", example.read_text(), flags=re.DOTALL), example.name


def save_pictures(folder: Path) -> list[Path]:
    """Save pictures in all that a client must undo: turned by EXIF, transparent, grey, large; return the files."""
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.linspace(0, 120, 90), np.linspace(0, 80, 161))[..., None] * (1, 0.7, 0.4)
    colours = (ramp + rng.integers(0, 55, (90, 161, 3))).astype(np.uint8)
    colours[10:40, 5:35] = (220, 40, 40)  # near an edge, so that it matters how they become squares, and which is up
    picture = Image.fromarray(colours)
    clear = picture.copy()
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    exif = Image.Exif()
    exif[0x0112] = 6
    large = picture.resize((1280, 720), Image.Resampling.BICUBIC)
    picture.save(folder / "plain.png")
    picture.save(folder / "turned.jpg", exif=exif, quality=95)
    clear.save(folder / "clear.png")
    picture.convert("L").save(folder / "grey.png")
    picture.convert("L").convert("RGB").save(folder / "grey-as-colour.png")
    picture.quantize(64).save(folder / "palette.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "tall.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    picture.convert("1").save(folder / "bits.png")
    large.save(folder / "large.jpg", quality=95)
    return sorted(folder.iterdir())


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute as an exported file does: bf16 knows three digits."""
    monkeypatch.setattr(device, "_multiplies_bf16", lambda device: False)
    for cached in (device.device_for, device.open_fabric):
        cached.cache_clear()
    yield
    for cached in (device.device_for, device.open_fabric):
        cached.cache_clear()


@pytest.mark.usefixtures("in_fp32")
@pytest.mark.parametrize("kind", ["photographs", "colour", "grey"])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_client_of_an_exported_file_says_what_predict_says(
    kind: str, fit: str, tmp_path: Path, low: Task, tiny: Settings
) -> None:
    if kind == "photographs":
        settings, task = quick(image__fit=fit), arrays(("disc", "box", "leaf"), 6)
    else:
        settings, task = with_changes(tiny, image__fit=fit, image__channels=1 if kind == "grey" else 3), low
    learn(task, settings=settings).save(tmp_path / "scholar")
    (tmp_path / "pictures").mkdir()
    files = [str(file) for file in save_pictures(tmp_path / "pictures")]
    done = scholars("predict", "scholar", *files, "--json", cwd=tmp_path)
    rows = json.loads(done.stdout)["predictions"]
    expected = {row["file"]: (row["guesses"][0]["class"], row["guesses"][0]["probability"]) for row in rows}
    assert list(expected) == files
    for words in (["--fixed"], []):
        assert scholars("export", "scholar", "model.onnx", *words, cwd=tmp_path).returncode == 0
        # Without this package, as it says.
        client = subprocess.run(
            [sys.executable, "-c", NO_SCHOLARS, str(EXAMPLES / "onnx_client.py"), str(tmp_path / "model.onnx"), *files],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = client.stdout.splitlines()
        assert [line.partition(": ")[0] for line in lines] == files
        for line in lines:
            file, said = line.split(": ")
            name, share = said.removesuffix(" %").rsplit(" ", 1)
            assert name == expected[file][0], file
            assert float(share) / 100 == pytest.approx(expected[file][1], abs=0.002), file


def test_the_client_refuses_what_it_would_read_otherwise(tmp_path: Path, one: Scholar) -> None:
    export_onnx(one, tmp_path / "one.onnx")
    Image.fromarray(np.full((20, 20), 30_000, np.uint16)).save(tmp_path / "deep.png")
    words = [str(EXAMPLES / "onnx_client.py"), str(tmp_path / "one.onnx"), str(tmp_path / "deep.png")]
    client = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert client.returncode == 1
    assert "deep.png: has more than 8 bits a channel" in client.stderr
