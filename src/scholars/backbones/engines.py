"""Run a backbone: by ONNX Runtime on a CPU, where it is two to three times as fast as PyTorch; else by PyTorch.

Either looks at one fixed number of images at a time: bits differ between batch shapes, not within one.
"""

import copy
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from scholars.backbones.networks import Encoder, fold_norms, probe_images
from scholars.compute.device import to_device
from scholars.compute.onnx_graph import export_graph
from scholars.storage.files import atomic_write
from scholars.storage.records import BackboneRecord
from scholars.tasks.array_cache import resolve_cache_folder

EngineName = Literal["onnxruntime", "torch"]
# Images at a time: on a CPU the activations of more do not fit its caches, on others fewer do not fill it.
_CPU_BATCH, _DEVICE_BATCH = 16, 128
# Largest difference from PyTorch's features, as a share of the largest one.
_MAX_DIFFERENCE = 1e-3
# Larger networks do not fit the one file that a graph is kept in (protobuf: 2 GiB).
_MAX_PARAMETERS = 400_000_000
# Graphs in the cache: every size, and every version of PyTorch, has its own.
_KEPT_GRAPHS = 12


class Engine(Protocol):
    """Runs a backbone.

    name: what it is
    version: its name and version, on which the bits of features depend
    batch: how many images it takes at a time
    """

    name: EngineName
    version: str
    batch: int

    def run(self, images: Tensor) -> Tensor:
        """Return the features ``[batch, D]`` float32, on the CPU, of uint8 images ``[batch, 3, S, S]``."""


class TorchEngine:
    """Runs a backbone by PyTorch: in fp32, channels last, with norms folded into the convolutions before them."""

    name: EngineName = "torch"
    version = f"torch {torch.__version__}"

    def __init__(self, encoder: Encoder, size: int, device: torch.device) -> None:
        self.batch = _CPU_BATCH if device.type == "cpu" else _DEVICE_BATCH
        self._device, self._lock = device, threading.Lock()
        encoder.network = fold_norms(encoder.network, probe_images(2, size).float() / 255)
        to_device(encoder, device)
        self._encoder = encoder.eval()

    def run(self, images: Tensor) -> Tensor:
        """Return the features; one thread at a time."""
        with self._lock, torch.inference_mode():
            seen = self._encoder(images.to(self._device).contiguous(memory_format=torch.channels_last))
            return torch.as_tensor(seen.float().cpu())


class OnnxEngine:
    """Runs a backbone by ONNX Runtime, in one thread for each caller: several threads may call at once."""

    name: EngineName = "onnxruntime"
    version = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    batch = _CPU_BATCH

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, images: Tensor) -> Tensor:
        """Return the features."""
        (seen,) = self._session.run(None, {"images": images.contiguous().numpy()})
        return torch.from_numpy(seen)


def choose_engine(build: Callable[[], Encoder], record: BackboneRecord, device: torch.device) -> Engine:
    """Return ONNX Runtime for a CPU, PyTorch for another device, and for a network that ONNX cannot express."""
    if device.type == "cpu" and (engine := _onnx_engine(build, record)) is not None:
        return engine
    return TorchEngine(build(), record.size, device)


def _onnx_engine(build: Callable[[], Encoder], record: BackboneRecord) -> OnnxEngine | None:
    """Return what runs a backbone's ONNX graph, which is kept in the user's cache; None where there is no graph."""
    versions = torch.__version__, onnxruntime.__version__, _CPU_BATCH
    key = hashlib.sha256(repr((record.key, versions)).encode()).hexdigest()
    kept = resolve_cache_folder() / "graphs" / f"{key}.onnx"
    try:
        if kept.is_file():
            return OnnxEngine(kept.read_bytes())
    except Exception:  # ONNX Runtime has an exception for each damage; the graph is made anew
        pass
    encoder = build()
    if sum(value.numel() for value in encoder.parameters()) > _MAX_PARAMETERS:
        return None
    graph = _export(encoder, record.size)
    if graph is None:
        return None
    _keep(kept, graph)
    return OnnxEngine(graph)


def _keep(path: Path, graph: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_bytes(graph)
        by_age = sorted(path.parent.glob("*.onnx"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in by_age[_KEPT_GRAPHS:]:
            old.unlink(missing_ok=True)
    except OSError:
        pass  # made again the next time


def _export(encoder: Encoder, size: int) -> bytes | None:
    """Return the graph for `_CPU_BATCH` images, compared with PyTorch; None where that fails."""
    images = probe_images(_CPU_BATCH, size)
    try:
        # Half of the time: fewer layers to translate.
        folded = copy.deepcopy(encoder.eval())
        folded.network = fold_norms(folded.network, images[:2].float() / 255)
        graph: bytes = export_graph(folded, images, "features").SerializeToString()
        found = OnnxEngine(graph).run(images).numpy()
    except Exception:  # whatever the exporter raises about a network that it cannot express
        return None
    with torch.inference_mode():
        expected = encoder(images).numpy()
    return graph if bool(np.abs(found - expected).max() <= _MAX_DIFFERENCE * np.abs(expected).max()) else None
