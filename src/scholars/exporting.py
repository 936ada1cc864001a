"""A scholar's solver as an ONNX file, for programs that know nothing of this package."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars import store
from scholars.errors import InputError, ScholarsError, extra_missing
from scholars.scholar import Scholar
from scholars.solvers import Solver

# The largest difference of a probability between PyTorch, in fp32, and the exported file.
TOLERANCE = 1e-4


class Classifier(nn.Module):
    """uint8 images ``[B, H, W, C]``, as cameras and files have them -> class probabilities ``[B, K]``."""

    def __init__(self, solver: Solver) -> None:
        super().__init__()
        self.solver = solver

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.solver(images.permute(0, 3, 1, 2))
        return F.softmax(logits.float(), dim=1)


def export_onnx(scholar: Scholar, path: Path) -> float:
    """Write ``path``: input ``images``, uint8 ``[B, S, S, C]``; output ``probabilities``, float32 ``[B, K]``.

    B is free. The normalisation is inside. The metadata holds ``classes`` and ``tasks`` as JSON, in the order of the
    outputs. The file is run by ONNX Runtime beside PyTorch before it takes its place.

    Returns the largest difference of a probability from PyTorch's in fp32, which the file computes in; a scholar that
    computes in bf16 differs from both by about a hundredth. Raises InputError where the extra is missing, ScholarsError
    where the two differ by more than `TOLERANCE`.
    """
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: an exported scholar is a file that ends in .onnx")
    onnx, runtime = _library("onnx"), _library("onnxruntime")
    _library("onnxscript")
    model = Classifier(copy.deepcopy(scholar.solver).cpu().float()).eval()
    shape = scholar.settings.image
    images = _examples(scholar)
    with store.replacing(path) as temporary, warnings.catch_warnings():
        # What the exporter tells programmers of its own internals.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model,
            (images[:2],),
            dynamo=True,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
        assert program is not None  # it is None for the older exporter only
        proto = program.model_proto
        notes = {
            "classes": json.dumps(list(scholar.classes), ensure_ascii=False),
            "tasks": json.dumps([record.name for record in scholar.lineage], ensure_ascii=False),
            "image": json.dumps({"size": shape.size, "channels": shape.channels}),
        }
        onnx.helper.set_model_props(proto, notes)
        onnx.checker.check_model(proto)
        temporary.write_bytes(proto.SerializeToString())
        worst = _difference(runtime, temporary, model, images)
        if not worst <= TOLERANCE:  # nor what is no number
            raise ScholarsError(
                f"the exported file's probabilities differ from PyTorch's in fp32 by up to {worst:.2g}, more than "
                f"{TOLERANCE:g}: nothing was written. Please report this with the versions of torch and onnxruntime"
            )
    return worst


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise extra_missing(f"there is no {name}: export", "onnx") from None


def _examples(scholar: Scholar) -> Tensor:
    """Images to compare with: noise of all kinds, and dreams where there are any. ``[B, S, S, C]`` uint8."""
    shape = scholar.settings.image
    rng = np.random.default_rng(0)
    high = rng.integers(1, 257, (16, 1, 1, 1))
    noise = rng.integers(0, high, (16, shape.channels, shape.size, shape.size)).astype(np.uint8)
    images = torch.from_numpy(noise)
    if scholar.generator is not None:
        images = torch.cat([images, scholar.dream(64)[0]])
    return images.permute(0, 2, 3, 1).contiguous()


def _difference(runtime: Any, path: Path, model: Classifier, images: Tensor) -> float:
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst = 0.0
    with torch.inference_mode():
        for count in (1, len(images)):
            (found,) = session.run(None, {"images": images[:count].numpy()})
            worst = float(np.maximum(worst, np.abs(found - model(images[:count]).numpy()).max()))
    return worst
