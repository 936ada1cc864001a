"""A backbone: a frozen, pretrained network, and how it looks at images."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.backbones.engines import Engine, choose_engine
from scholars.backbones.networks import Encoder, build_network, digest_weights
from scholars.compute.device import device_for
from scholars.errors import InputError
from scholars.settings import ComputeSettings
from scholars.storage.records import BackboneRecord
from scholars.storage.weights import build_from_weights


@dataclass(frozen=True, eq=False, repr=False)
class Backbone:
    """A frozen, pretrained network: uint8 images ``[N, 3, S, S]`` -> features ``[N, D]``.

    record: what it is, and how it looks at images
    weights: the network's, under timm's names
    compute: where it runs; on a CPU by ONNX Runtime
    file: the file that holds the weights, where they are of a scholar
    """

    record: BackboneRecord
    weights: Mapping[str, Tensor]
    compute: ComputeSettings
    file: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What runs it is made anew in another process.
        return {name: value for name, value in self.__dict__.items() if name != "engine"}

    def __repr__(self) -> str:
        return f"<Backbone {self.record.name}: {self.record.features} features of {self.record.size} pixels a side>"

    @classmethod
    def load(
        cls, record: BackboneRecord, weights: Mapping[str, Tensor], compute: ComputeSettings, file: Path
    ) -> Backbone:
        """Return a scholar's backbone. Raises InputError where the weights are not those of the record."""
        if digest_weights(weights) != record.sha256:
            raise InputError(f"{file}: these are not the weights of {record.name}: their SHA-256 differs")
        return cls(record, weights, compute, file)

    @cached_property
    def engine(self) -> Engine:
        """The engine that runs the network, made at the first use."""
        return choose_engine(self.encoder, self.record, device_for(self.compute).device)

    def features(self, images: Tensor) -> Tensor:
        """Return the features ``[N, D]`` float32, on the CPU, of uint8 images ``[N, 3, S, S]``.

        The same image has the same features, bit for bit, whatever else is looked at with it. Raises InputError for
        images of another shape, and for a network that does not fit its record.
        """
        size, batch = self.record.size, self.engine.batch
        if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
            found = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"{self.record.name} looks at uint8 images [N, 3, {size}, {size}], not {found}")
        if not len(images):
            return torch.empty(0, self.record.features)
        parts = torch.split(images, batch)
        threads = min(len(parts), torch.get_num_threads())
        if threads == 1:
            return torch.cat([self._look(part) for part in parts])
        with ThreadPoolExecutor(threads) as pool:
            return torch.cat(list(pool.map(self._look, parts)))

    def _look(self, images: Tensor) -> Tensor:
        count, record = len(images), self.record
        seen = self.engine.run(F.pad(images, (0, 0) * 3 + (0, self.engine.batch - count)))[:count]
        if seen.shape[1:] != (record.features,):
            raise InputError(
                f"backbone {record.name}: its network gives {list(seen.shape[1:])} features, not {record.features} as "
                "its description says"
            )
        return seen

    def on(self, compute: ComputeSettings) -> Backbone:
        """Return the same backbone on another device."""
        return self if compute == self.compute else replace(self, compute=compute)

    def encoder(self) -> Encoder:
        """Build the network, with its weights, as a PyTorch module. Raises InputError where they do not fit it."""
        record = self.record
        network = build_from_weights(
            lambda: build_network(record.architecture, record.size), self.weights, f"backbone {record.name}"
        )
        return Encoder(network, record).eval()
