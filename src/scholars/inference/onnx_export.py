"""Export a scholar as an ONNX file, which other programs can run without this package."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from scholars.compute.onnx_graph import export_graph
from scholars.errors import InputError, ScholarsError, one_line
from scholars.inference.onnx_metadata import metadata
from scholars.inference.resize_in_graph import FitSquare
from scholars.scholar import Scholar
from scholars.scholar.inputs import convert
from scholars.storage import files

# Largest allowed difference of a probability between PyTorch, in fp32, and the exported file.
MAX_DIFFERENCE = 1e-4
# The same between pictures that the file resized and those that Pillow did: some pixels are rounded otherwise.
MAX_RESIZE_DIFFERENCE = 0.05
# Of the probabilities' logarithms, as a share of the largest one: to a scholar that is sure of everything, as of noise,
# probabilities are 0 and 1 whatever is wrong. Swapped colours or another filter make 0.02 and more.
_MAX_LOG_DIFFERENCE = 0.01
# An ONNX file is one message of protobuf, which holds less than 2 GiB; the rest is for the graph itself.
_MAX_BYTES = 2**31 - 2**24

Probabilities = npt.NDArray[np.float32]


class Differences(NamedTuple):
    """The largest differences of a probability that were found in an exported file.

    pytorch: from PyTorch, in fp32, on images that need no resizing
    resizing: between pictures resized by the file and by Pillow; None where it resizes nothing
    """

    pytorch: float
    resizing: float | None


class Classifier(nn.Module):
    """Maps uint8 images ``[B, H, W, C]``, the layout of files and cameras, to class probabilities ``[B, K]``.

    steps: from uint8 images ``[B, C, H, W]`` to logits
    """

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32."""
        return F.softmax(self.steps(images.permute(0, 3, 1, 2)).float(), dim=1)


def export_onnx(scholar: Scholar, path: Path, *, fixed: bool = False) -> Differences:
    """Write an ONNX file: input ``images``, uint8 ``[B, H, W, C]``; output ``probabilities``, float32 ``[B, K]``.

    Of a scholar with a backbone, the file holds that, too, and takes photographs ``[B, H, W, 3]`` of any size, one size
    a batch, which it resizes itself. With ``fixed``, and always of a scholar of pixels, H = W = S: who calls it has to
    resize. B is dynamic. Normalisation is part of the graph.

    The metadata name the classes and say how a photograph becomes what the file takes: see `metadata`. Before the file
    takes its place, ONNX Runtime's probabilities are compared with PyTorch's, and where the file resizes also with
    those for pictures that Pillow resized.

    Returns the largest differences; a scholar of pixels that computes in bf16 differs from both by about 0.01. Raises
    InputError for a path that does not end in .onnx and for a network that is too large for one file or that ONNX
    cannot express, ScholarsError where a difference is larger than `MAX_DIFFERENCE` or `MAX_RESIZE_DIFFERENCE`, and
    where logarithms of probabilities differ.
    """
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: an exported scholar is a file that ends in .onnx")
    resizes = scholar.backbone is not None and not fixed
    model, images = _build(scholar, resizes), _examples(scholar)
    with files.atomic_write(path) as temporary:
        proto = _export(model, images[:2], resizes)
        onnx.helper.set_model_props(proto, metadata(scholar))
        onnx.checker.check_model(proto)
        temporary.write_bytes(proto.SerializeToString())
        session = onnxruntime.InferenceSession(temporary.read_bytes(), providers=["CPUExecutionProvider"])
        return Differences(
            _compare_with_pytorch(session, model, images),
            _compare_resizing(session, model, scholar) if resizes else None,
        )


def _build(scholar: Scholar, resizes: bool) -> Classifier:
    """Return the scholar's networks in fp32 on the CPU, as one. Raises InputError where one file cannot hold them."""
    steps: list[nn.Module] = [scholar.solver]
    if backbone := scholar.backbone:
        steps.insert(0, backbone.encoder())
        if resizes:
            record = backbone.record
            steps.insert(0, FitSquare(record.size, record.interpolation, scholar.settings.image.fit))
    count = sum(value.numel() for step in steps for value in step.state_dict().values())
    if 4 * count > _MAX_BYTES:
        raise InputError(f"{count:,} weights are more than one ONNX file can hold, {_MAX_BYTES // 4:,}")
    return Classifier(*(copy.deepcopy(step).cpu().float() for step in steps)).eval()


def _export(model: Classifier, images: Tensor, resizes: bool) -> Any:
    """Return the ONNX model. Raises InputError where ONNX cannot express it."""
    dynamic = {0: torch.export.Dim("batch", min=1)}
    if resizes:
        dynamic |= {1: torch.export.Dim("height", min=1), 2: torch.export.Dim("width", min=1)}
        # A size of its own for each: the exporter takes equal ones for the same.
        images = F.pad(images, (0, 0, 0, 1, 0, 2))
    try:
        return export_graph(model, images, "probabilities", dynamic)
    except Exception as error:  # whatever the exporter raises about a network that it cannot express
        raise InputError(f"ONNX cannot express this scholar's networks: {one_line(error)[:300]}") from error


def _examples(scholar: Scholar) -> Tensor:
    """Return images to compare on: noise of all amplitudes, and dreams if it dreams images. ``[B, S, S, C]`` uint8."""
    shape = scholar.settings.image
    rng = np.random.default_rng(0)
    high = rng.integers(1, 257, (16, 1, 1, 1))
    noise = rng.integers(0, high, (16, shape.channels, shape.size, shape.size)).astype(np.uint8)
    images = torch.from_numpy(noise)
    if scholar.generator is not None and scholar.backbone is None:
        images = torch.cat([images, scholar.dream(64)[0]])
    return images.permute(0, 2, 3, 1).contiguous()


def _pictures(size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield pictures ``[H, W, 3]``: ramps under noise; wide and high, larger and smaller than ``size``."""
    rng = np.random.default_rng(0)
    for long, short in ((3 * size + 1, 2 * size + 5), (size + 2, size + 1), (size, size // 2 + 1)):
        for height, width in ((long, short), (short, long)):
            ramps = np.add.outer(np.linspace(0, 90, height), np.linspace(0, 90, width))[..., None] * (1, 0.7, 0.4)
            yield (ramps + rng.integers(0, 70, (height, width, 3))).astype(np.uint8)


def _compare_with_pytorch(session: Any, model: Classifier, images: Tensor) -> float:
    """Return the largest difference of a probability, on one image and on all. Raises ScholarsError."""
    parts = images[:1], images
    return _check(
        [_run(session, part) for part in parts],
        [_probabilities(model, part) for part in parts],
        MAX_DIFFERENCE,
        "the exported file's probabilities differ from PyTorch's in fp32",
    )


def _compare_resizing(session: Any, model: Classifier, scholar: Scholar) -> float:
    """Return the largest difference of a probability from pictures that Pillow resized. Raises ScholarsError."""
    pictures = list(_pictures(scholar.settings.image.size))
    squares = convert([Image.fromarray(picture) for picture in pictures], scholar.settings.image, scholar.backbone)
    return _check(
        [_run(session, torch.from_numpy(picture)[None]) for picture in pictures],
        [_probabilities(model, squares.permute(0, 2, 3, 1))],
        MAX_RESIZE_DIFFERENCE,
        "where the exported file resizes pictures, its probabilities differ from those where Pillow does",
    )


def _run(session: Any, images: Tensor) -> Probabilities:
    (found,) = session.run(None, {"images": images.numpy()})
    return cast(Probabilities, found)


def _probabilities(model: Classifier, images: Tensor) -> Probabilities:
    with torch.inference_mode():
        return cast(Probabilities, model(images).numpy())


def _check(found: list[Probabilities], expected: list[Probabilities], limit: float, what: str) -> float:
    """Return the largest difference of a probability. Raises ScholarsError where that or a logarithm's is too large."""
    (p, log_p), (q, log_q) = (
        (together, np.log(np.maximum(together, np.finfo(np.float32).tiny)))
        for together in (np.concatenate(found), np.concatenate(expected))
    )
    worst = float(np.abs(p - q).max())
    relative = float(np.abs(log_p - log_q).max() / max(1, np.abs(log_q).max()))
    if not (worst <= limit and relative <= _MAX_LOG_DIFFERENCE):  # NaN is refused, too
        raise ScholarsError(
            f"{what} by up to {worst:.2g} (allowed: {limit:g}), their logarithms by {relative:.2g} of the largest "
            f"(allowed: {_MAX_LOG_DIFFERENCE:g}): nothing was written. Please report this, with the versions of torch "
            "and onnxruntime"
        )
    return worst
