"""Translate a PyTorch module to an ONNX graph."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import Tensor, nn


def export_graph(
    module: nn.Module, images: Tensor, output: str, dynamic: Mapping[int, Any] | None = None
) -> onnx.ModelProto:
    """Return the graph of a module that maps ``images`` to one tensor.

    output: its name in the graph; that of the input is "images"
    dynamic: axes of the images that may have other lengths, as `torch.export` takes them; None: none

    Raises whatever PyTorch's exporter raises about a module that it cannot express.
    """
    # The exporter warns of, and logs, its own internals.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                input_names=["images"],
                output_names=[output],
                dynamic_shapes=None if dynamic is None else (dynamic,),
                verbose=False,
            )
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert program is not None  # only the older exporter returns None
    return program.model_proto
