"""The exported file says what the scholar says, to programs that know nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as runtime
import pytest
import torch

from scholars import Scholar
from scholars.errors import InputError, ScholarsError
from scholars.inference.onnx_export import export_onnx


def test_the_file_alone_is_enough(two: Scholar, tmp_path: Path) -> None:
    found = export_onnx(two, tmp_path / "two.onnx")
    assert found.pytorch <= 1e-4
    assert found.resizing is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["two.onnx"]
    session = runtime.InferenceSession(tmp_path / "two.onnx")
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(two.classes)
    assert "backbone" not in notes
    recipe = json.loads(notes["image"])
    assert {"size": 16, "channels": 1, "interpolation": "bilinear", "antialias": True}.items() <= recipe.items()
    assert [(entry.name, entry.type) for entry in session.get_inputs()] == [("images", "tensor(uint8)")]
    for count in (1, 7):
        images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 1), dtype=np.uint8)
        (found_here,) = session.run(None, {"images": images})
        # The scholar itself may compute in bf16, which knows three digits.
        expected = two.predict_proba(images.transpose(0, 3, 1, 2))
        assert found_here.shape == (count, 10)
        assert np.abs(found_here - expected).max() < 0.05
        assert found_here.sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("off", "said"), [(2e-4, r"0\.0002"), (float("nan"), "nan")])
def test_a_file_that_differs_is_not_written(
    off: float, said: str, one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runtime.InferenceSession.run
    monkeypatch.setattr(
        runtime.InferenceSession, "run", lambda *words: [found + np.float32(off) for found in real(*words)]
    )
    with pytest.raises(ScholarsError, match=f"differ from PyTorch's in fp32 by up to {said}"):
        export_onnx(one, tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_differs_where_it_is_sure_is_not_written(
    one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All probabilities are 0 or 1 to four digits, and yet something is wrong."""
    from scholars.inference import onnx_export

    logits = torch.tensor([[40.0, 10.0], [5.0, 35.0]])
    monkeypatch.setattr(onnx_export, "_probabilities", lambda *_: logits.softmax(1).numpy())
    monkeypatch.setattr(onnx_export, "_run", lambda *_: (logits / 1.2).softmax(1).numpy())
    with pytest.raises(ScholarsError, match=r"their logarithms by 0\.17 of the largest"):
        export_onnx(one, tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(one: Scholar, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export_onnx(one, tmp_path / "one.pt")


def test_what_onnx_cannot_express_is_one_message(one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no operator\nfor this")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(InputError, match="ONNX cannot express this scholar's networks: no operator for this"):
        export_onnx(one, tmp_path / "one.onnx")
    assert not list(tmp_path.iterdir())


def test_what_one_file_cannot_hold_is_refused(one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scholars.inference.onnx_export._MAX_BYTES", 400)
    with pytest.raises(InputError, match="more than one ONNX file can hold, 100"):
        export_onnx(one, tmp_path / "one.onnx")
