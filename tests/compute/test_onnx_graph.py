"""Graphs are made without a word of the exporter's, and take other lengths where they are said to."""

from __future__ import annotations

import logging

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from scholars.compute.onnx_graph import export_graph


class Doubled(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        """Return the images, doubled."""
        return 2 * images


def test_a_graph_of_any_batch(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    logger = logging.getLogger("torch.onnx")
    logger.setLevel(logging.INFO)
    graph = export_graph(Doubled(), torch.ones(2, 3), "twice", {0: torch.export.Dim("batch", min=1)})
    assert logger.level == logging.INFO
    assert capfd.readouterr().out == ""
    assert not recwarn.list
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == ["twice"]
    (found,) = session.run(None, {"images": np.full((5, 3), 4, np.float32)})
    assert found.tolist() == [[8, 8, 8]] * 5


def test_what_cannot_be_expressed_is_said_by_the_exporter() -> None:
    class Random(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            """Return as many rows as the images' values say."""
            return images[: int(images.sum().item())] if images.sum() > 0 else images

    with pytest.raises(torch.onnx.errors.OnnxExporterError):
        export_graph(Random(), torch.ones(2, 3), "found")
