"""The exported file says what the scholar says, to programs that know nothing of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from scholars import Scholar
from scholars.errors import InputError, ScholarsError
from scholars.inference.onnx_export import export_onnx

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")


def test_the_file_alone_is_enough(two: Scholar, tmp_path: Path) -> None:
    assert export_onnx(two, tmp_path / "two.onnx") <= 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == ["two.onnx"]
    session = runtime.InferenceSession(tmp_path / "two.onnx")
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(two.classes)
    assert json.loads(notes["image"]) == {"size": 16, "channels": 1}
    assert [(entry.name, entry.type) for entry in session.get_inputs()] == [("images", "tensor(uint8)")]
    for count in (1, 7):
        images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 1), dtype=np.uint8)
        (found,) = session.run(None, {"images": images})
        # The scholar itself may compute in bf16, which knows three digits.
        expected = two.predict_proba(images.transpose(0, 3, 1, 2))
        assert found.shape == (count, 10)
        assert np.abs(found - expected).max() < 0.05
        assert found.sum(1) == pytest.approx(1, abs=1e-5)


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


def test_what_is_missing_is_named(one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export_onnx(one, tmp_path / "one.pt")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install '\.\[onnx\]'"):
        export_onnx(one, tmp_path / "one.onnx")
