"""List backbones: what is at hand, and what would be downloaded."""

import fnmatch
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch

from scholars.backbones.embedded import FEATURES, LICENCE, SIZE
from scholars.backbones.networks import build_network, probe_images
from scholars.backbones.open import downloaded_file, open_backbone
from scholars.errors import InputError
from scholars.settings import EMBEDDED, BackboneSettings

# Of timm's 1,800 sets of weights, some that suit: small, larger, self-supervised.
SUGGESTED = (
    "mobilenetv3_large_100.ra_in1k",
    "resnet50.a1_in1k",
    "convnext_tiny.fb_in22k",
    "vit_small_patch14_dinov2.lvd142m",
    "vit_base_patch16_224.augreg_in21k",
)
# Images by which the speed of one that is at hand is measured, in batches of an engine's own size.
_TIMED_BATCHES = 4


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone that can be asked for.

    features: length of its feature vectors; None: this machine cannot say
    size: pixels a side of the images that it looks at, by default
    licence: of the weights, as far as timm knows
    at_hand: whether its weights are on this machine; else they would be downloaded
    images_per_second: measured on this machine, decoding not counted; None: not measured
    """

    name: str
    features: int | None
    size: int
    licence: str
    at_hand: bool
    images_per_second: float | None = None


def list_backbones(pattern: str | None = None, measure: bool = True) -> Iterator[BackboneEntry]:
    """Yield the embedded backbone, timm's that were downloaded, and some to begin with; or all whose names match.

    pattern: as in a shell, ``resnet*``: yields every name of timm's weights that matches
    measure: whether the speed of those at hand is measured

    Raises InputError for a pattern that nothing matches.
    """
    import timm

    names = [EMBEDDED, *timm.list_pretrained()]
    if pattern is not None:
        chosen = fnmatch.filter(names, pattern)
        if not chosen:
            raise InputError(f"no backbone matches {pattern!r}: give a pattern such as 'resnet*'")
    else:
        chosen = [EMBEDDED, *(name for name in names[1:] if name in SUGGESTED or downloaded_file(name) is not None)]
    for name in chosen:
        at_hand = name == EMBEDDED or downloaded_file(name) is not None
        speed = _images_per_second(name) if measure and at_hand else None
        if name == EMBEDDED:
            yield BackboneEntry(name, FEATURES, SIZE, LICENCE, at_hand, speed)
            continue
        config: Any = timm.get_pretrained_cfg(name)
        architecture, size = name.partition(".")[0], int(config.input_size[-1])
        yield BackboneEntry(
            name, _feature_length(architecture, size), size, config.license or "unknown", at_hand, speed
        )


def _feature_length(architecture: str, size: int) -> int | None:
    """Return the number of features of a network, which is built without memory for its weights."""
    try:
        with torch.device("meta"):
            return cast(int, build_network(architecture, size).num_features)
    except (InputError, NotImplementedError, RuntimeError, AttributeError, TypeError):
        return None


def _images_per_second(name: str) -> float | None:
    try:
        backbone = open_backbone(BackboneSettings(name=name))
    except InputError:
        return None
    images = probe_images(_TIMED_BATCHES * backbone.engine.batch, backbone.record.size)
    backbone.features(images)  # the first time is not like the others
    start = time.perf_counter()
    backbone.features(images)
    return len(images) / (time.perf_counter() - start)
