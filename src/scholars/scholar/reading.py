"""Read the parts of a scholar from its folder, each checked before it is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from scholars.backbones import Backbone
from scholars.compute.device import device_for, to_device
from scholars.errors import InputError
from scholars.generators import Generator, read_generator
from scholars.ood import OODDetector
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver, build_solver
from scholars.storage import scholar_folder
from scholars.storage.privacy_account import PrivacyAccount
from scholars.storage.records import LineageRecord, ScholarDescription
from scholars.storage.weights import build_from_weights


class Parts(NamedTuple):
    """The fields of a `Scholar`, in their order."""

    solver: Solver
    generator: Generator | None
    classes: tuple[str, ...]
    lineage: tuple[LineageRecord, ...]
    settings: Settings
    ood: OODDetector | None
    backbone: Backbone | None
    privacy: PrivacyAccount | None


def read_parts(folder: Path, compute: ComputeSettings) -> Parts:
    """Read the scholar in ``folder``; runs no code from it. Raises InputError where it is missing, damaged or newer."""
    description, weights = scholar_folder.read_scholar(folder)
    known = ScholarDescription.parse(description, f"{folder}/{scholar_folder.DESCRIPTION}")
    if "solver" not in weights:
        raise InputError(f"{folder} has no solver weights")
    settings = known.lineage[-1].settings.model_copy(update={"compute": compute})
    device, image = device_for(compute).device, settings.image
    backbone = _read_backbone(folder, known, weights, compute)
    features = backbone.record.features if backbone else None

    solver = build_from_weights(
        lambda: build_solver(settings.solver, image, len(known.classes), features),
        weights["solver"],
        f"{folder}/solver",
    )
    to_device(solver, device)
    generator = None
    if "generator" in weights:
        conditions = sum(len(record.classes) for record in known.lineage)
        generator = read_generator(settings, conditions, features, weights["generator"], f"{folder}/generator")
        to_device(generator, device)
    ood = None
    if "ood" in weights:
        ood = OODDetector.from_tensors(weights["ood"], features or _depth(solver, settings), f"{folder}/ood")
    return Parts(solver, generator, known.classes, known.lineage, settings, ood, backbone, known.privacy)


def _read_backbone(
    folder: Path, known: ScholarDescription, weights: Mapping[str, Mapping[str, Tensor]], compute: ComputeSettings
) -> Backbone | None:
    if (known.backbone is None) != ("backbone" not in weights):
        raise InputError(f"{folder}: a backbone's weights and its description belong together, and one of them is gone")
    if known.backbone is None:
        return None
    file = folder.resolve() / f"backbone{scholar_folder.SUFFIX}"
    return Backbone.load(known.backbone, weights["backbone"], compute, file)


def _depth(solver: Solver, settings: Settings) -> int:
    """Return the number of features that a solver of images has."""
    image, device = settings.image, device_for(settings.compute).device
    blank = torch.zeros(1, image.channels, image.size, image.size, dtype=torch.uint8, device=device)
    with torch.inference_mode():
        return solver.eval().features(blank).shape[1]
