"""Export a scholar's solver as an ONNX file, which other programs can run without this package."""

import copy
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scholars.errors import InputError, ScholarsError, import_extra
from scholars.scholar import Scholar
from scholars.solvers import Solver
from scholars.storage import files

# Largest allowed difference of a probability between PyTorch, in fp32, and the exported file.
MAX_DIFFERENCE = 1e-4


class Classifier(nn.Module):
    """Maps uint8 images ``[B, H, W, C]``, the layout of files and cameras, to class probabilities ``[B, K]``."""

    def __init__(self, solver: Solver) -> None:
        super().__init__()
        self.solver = solver

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32."""
        logits: Tensor = self.solver(images.permute(0, 3, 1, 2))
        return F.softmax(logits.float(), dim=1)


def export_onnx(scholar: Scholar, path: Path) -> float:
    """Write an ONNX file: input ``images``, uint8 ``[B, S, S, C]``; output ``probabilities``, float32 ``[B, K]``.

    B is dynamic. Normalisation is part of the graph. The metadata holds JSON: ``classes``, in the order of the outputs,
    ``tasks`` and ``image``. Before the file takes its place, ONNX Runtime's probabilities are compared with PyTorch's.

    Returns their largest difference in fp32, the precision of the file; a scholar that computes in bf16 differs from
    both by about 0.01. Raises InputError where the extra is missing, ScholarsError where the difference is larger than
    `MAX_DIFFERENCE`.
    """
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: an exported scholar is a file that ends in .onnx")
    onnx, runtime, _ = (
        import_extra(name, "onnx", f"there is no {name}: export") for name in ("onnx", "onnxruntime", "onnxscript")
    )
    model = Classifier(copy.deepcopy(scholar.solver).cpu().float()).eval()
    shape = scholar.settings.image
    images = _examples(scholar)
    with files.atomic_write(path) as temporary, warnings.catch_warnings():
        # The exporter warns of its own internals.
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
        assert program is not None  # only the older exporter returns None
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
        if not worst <= MAX_DIFFERENCE:  # NaN is refused, too
            raise ScholarsError(
                f"the exported file's probabilities differ from PyTorch's in fp32 by up to {worst:.2g}, more than "
                f"{MAX_DIFFERENCE:g}: nothing was written. Please report this, with the versions of torch and "
                "onnxruntime"
            )
    return worst


def _examples(scholar: Scholar) -> Tensor:
    """Return images to compare on: noise of all amplitudes, and dreams if it can dream. ``[B, S, S, C]`` uint8."""
    shape = scholar.settings.image
    rng = np.random.default_rng(0)
    high = rng.integers(1, 257, (16, 1, 1, 1))
    noise = rng.integers(0, high, (16, shape.channels, shape.size, shape.size)).astype(np.uint8)
    images = torch.from_numpy(noise)
    if scholar.generator is not None:
        images = torch.cat([images, scholar.dream(64)[0]])
    return images.permute(0, 2, 3, 1).contiguous()


def _difference(runtime: Any, path: Path, model: Classifier, images: Tensor) -> float:
    """Return the largest difference of a probability between ONNX Runtime and PyTorch."""
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst = 0.0
    with torch.inference_mode():
        for count in (1, len(images)):
            (found,) = session.run(None, {"images": images[:count].numpy()})
            worst = float(np.maximum(worst, np.abs(found - model(images[:count]).numpy()).max()))
    return worst
