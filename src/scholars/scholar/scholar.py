"""A scholar: a generator and a solver that know the same tasks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scholars.backbones import Backbone
from scholars.compute.device import Fabric, derive_seed, device_for, fork_rng, to_device
from scholars.compute.processes import round_robin
from scholars.errors import InputError, did_you_mean
from scholars.generators import Generator, Mixture
from scholars.generators.sampling import check_class_found, sample_features, sample_images
from scholars.ood import OODDetector
from scholars.scholar.forward import feature_logits, image_features_and_logits
from scholars.scholar.inputs import convert, see, show
from scholars.scholar.reading import read_parts
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver
from scholars.storage import scholar_folder
from scholars.storage.audits import Audit
from scholars.storage.privacy_account import PrivacyAccount
from scholars.storage.records import LineageRecord, generations
from scholars.tasks.images import Images
from scholars.tasks.resize import ImageLike
from scholars.training.batches import Batch, concat_batches

# Images per pass without gradients: large enough to keep the cores busy, small enough for any memory. Dreams are seeded
# per chunk, so these numbers are part of what (seed, n) means.
CHUNK, CHUNK_SIDE, FEATURE_CHUNK = 250, 32, 1000


@dataclass(frozen=True, eq=False, repr=False)
class Scholar:
    """A generator and a solver that know the same tasks. Immutable once learned; made by `scholars.learn`.

    solver: uint8 images ``[B, C, H, W]`` -> logits ``[B, K]``; with a backbone, features ``[B, D]`` -> logits
    generator: draws images, or features; None for a scholar that was trained on stored data
    classes: the K class names, in the order of the solver's outputs
    lineage: every task learned, the first one first, and what was done without any; its own record is the last
    settings: how the last task was learned, and how the next one will be unless told otherwise
    ood: finds images that are unlike anything learned; None where it was not asked for
    backbone: turns images into features; None for a scholar of pixels
    privacy: what its private tasks cost; None without any
    """

    solver: Solver
    generator: Generator | None
    classes: tuple[str, ...]
    lineage: tuple[LineageRecord, ...]
    settings: Settings
    ood: OODDetector | None = None
    backbone: Backbone | None = None
    privacy: PrivacyAccount | None = None

    def __repr__(self) -> str:
        shape = [self.settings.image.channels, *[self.settings.image.size] * 2]
        return f"<Scholar, generation {self.generation}: {', '.join(self.classes)}; images {shape}>"

    @property
    def generation(self) -> int:
        """1 after the first task, and one more than its parents' after each other."""
        return generations(self.lineage)[-1]

    @property
    def tasks(self) -> tuple[LineageRecord, ...]:
        """The records of the tasks that it learned."""
        return tuple(record for record in self.lineage if record.kind == "learn")

    @property
    def conditions(self) -> tuple[tuple[int, int], ...]:
        """(task, output) for every class of every task: what a conditional generator can be asked for.

        task is the place in the lineage, output that of the class.
        """
        outputs = {name: output for output, name in enumerate(self.classes)}
        return tuple((task, outputs[name]) for task, record in enumerate(self.lineage) for name in record.classes)

    @property
    def dream_order(self) -> Sequence[int]:
        """The conditions in the order in which it dreams: of a mixture one that does not depend on history."""
        indices = range(len(self.conditions))
        if not isinstance(self.generator, Mixture):
            return indices
        ranks = self.generator.ranks
        return sorted(indices, key=lambda index: (self.classes[self.conditions[index][1]], ranks[index]))

    @property
    def nbytes(self) -> int:
        """Bytes of all weights but the backbone's: what must be kept of its own to use it and to learn on."""
        return sum(value.nbytes for part in self._weights().values() for value in part.values())

    @property
    def chunk_size(self) -> int:
        """The number of images that go through the networks at a time: `CHUNK`, and fewer where they are large."""
        if self.backbone:
            return FEATURE_CHUNK
        return max(1, min(CHUNK, CHUNK * CHUNK_SIDE**2 // self.settings.image.size**2))

    def predict(self, images: ImageLike, among: str | None = None) -> list[str]:
        """Return the most probable class name of each image; arguments as for `predict_proba`."""
        return [self.classes[i] for i in self.predict_proba(images, among).argmax(axis=1)]

    def predict_proba(self, images: ImageLike, among: str | None = None) -> npt.NDArray[np.float32]:
        """Return class probabilities ``[B, K]``, columns in the order of ``classes``.

        images: ``[B, C, H, W]`` uint8 of any size, with 1 or 3 channels, or PIL images
        among: the name of a learned task; only its classes are considered then (task-incremental)
        """
        return self.restrict_to_task(self.probabilities(self._converted(images)), among).numpy()

    def score(self, images: ImageLike, labels: Sequence[str]) -> float:
        """Return the share of images, in [0, 1], whose predicted class name is the one in ``labels``."""
        if unknown := set(labels) - set(self.classes):
            name = min(map(str, unknown))
            raise InputError(f"score: {name!r} is no class name of this scholar. {did_you_mean(name, self.classes)}")
        predicted = self.predict(images)
        if len(predicted) != len(labels) or not predicted:
            raise InputError(f"score needs one label per image, got {len(predicted)} images and {len(labels)} labels")
        return float(np.mean([a == b for a, b in zip(predicted, labels, strict=True)]))

    def unfamiliar(self, images: ImageLike) -> npt.NDArray[np.bool_]:
        """Return which images are unlike anything learned, ``[B]``; images as for `predict_proba`.

        Raises InputError for a scholar that cannot say: one without dreams, or learned with ood.dreams=0.
        """
        if self.ood:
            return self.ood.unfamiliar(*self.features_and_logits(self._converted(images))).numpy()
        raise InputError("this scholar cannot say what is unfamiliar: it was learned with ood.dreams=0")

    def dream(self, count: int, *, seed: int = 0, of: str | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``count`` dreams: images ``[n, C, H, W]`` uint8 and the solver's probabilities ``[n, K]``.

        of: the name of a class: only dreams that the solver takes for it; default: of all in turn, if the generator is
            conditional, else as they come

        The same seed gives the same dreams, and fewer of them are the first of more. Raises InputError for a scholar
        without a generator, and for a class of which it hardly ever dreams.
        """
        batch = concat_batches(self.iter_dreams(count, seed=seed, of=of))
        return batch.inputs, batch.targets

    def iter_dreams(
        self,
        count: int,
        *,
        seed: int = 0,
        of: str | None = None,
        fabric: Fabric | None = None,
        chunks: range | None = None,
        only: Sequence[int] | None = None,
    ) -> Iterator[Batch]:
        """Yield the same dreams as `dream`, in chunks, so that memory stays small however many there are.

        Their conditions are those that the generator was asked for. With the ``fabric`` of several processes each
        draws a part, and all get all.

        chunks: look at these chunks only, each of `chunk_size` dreams, and yield up to ``count`` that are in them,
            however few
        only: the conditions that the generator is asked for
        """
        if count < 1:
            raise InputError(f"cannot dream {count} images: ask for one or more")
        if of is not None and of not in self.classes:
            raise InputError(f"this scholar knows no class {of!r}. {did_you_mean(of, self.classes)}")
        pairs = self.conditions
        order = [i for i in self.dream_order if only is None or i in only]
        asked = torch.tensor([i for i in order if of is None or self.classes[pairs[i][1]] == of])
        size = self.chunk_size

        def draw(chunk: int) -> Batch:
            with fork_rng(device_for(self.settings.compute).device):
                torch.manual_seed(derive_seed(seed, "dream", chunk))
                return self.sample(asked[torch.arange(chunk * size, (chunk + 1) * size) % len(asked)])

        found = chunk = 0
        start = chunks.start if chunks else 0
        for whole in islice(round_robin(fabric, lambda index: draw(start + index)), len(chunks) if chunks else None):
            wanted = torch.ones(size, dtype=torch.bool) if of is None else whole.labels == self.classes.index(of)
            batch = Batch(*(part[wanted][: count - found] for part in whole))
            found, chunk = found + len(batch.inputs), chunk + 1
            if found < count and chunks is None:
                check_class_found(of, found, chunk * size)
            yield batch
            if found == count:
                return

    def sample(self, conditions: Tensor) -> Batch:
        """Draw one dream per condition ``[B]``, labelled by the solver, under torch's global generator."""
        if self.generator is None:
            raise InputError("this scholar has no generator: it was trained on stored data, and cannot dream")
        draw = sample_features if self.backbone else sample_images
        drawn = draw(self.generator, conditions, self.settings)
        return Batch(drawn, self.probabilities(drawn), conditions, torch.ones(len(drawn)))

    def features_and_logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the solver's last layer sees and gives, ``[N, D]`` and ``[N, K]``, on the CPU.

        With a backbone: what the backbone sees, and the solver gives.

        inputs: images ``[N, C, H, W]`` uint8 of the scholar's own shape, or features ``[N, D]`` of its backbone
        """
        if self.backbone:
            seen = self.backbone.features(inputs) if inputs.dtype == torch.uint8 else inputs.float()
            return seen, feature_logits(self.solver, seen, self.settings.compute)
        return image_features_and_logits(self.solver, inputs, self.settings.compute, self.chunk_size)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return class probabilities ``[N, K]`` on the CPU; inputs as for `features_and_logits`."""
        return self.features_and_logits(inputs)[1].softmax(1)

    def restrict_to_task(self, probabilities: Tensor, task: str | None) -> Tensor:
        """Return the probabilities ``[B, K]`` given that the class is one of a learned task's; None: of any task.

        Raises InputError for a task that was never learned.
        """
        if task is None:
            return probabilities
        # A task may have been learned again, with other classes.
        if not (names := [name for record in self.lineage if record.name == task for name in record.classes]):
            tasks = [record.name for record in self.tasks]
            raise InputError(f"this scholar never learned a task {task!r}. {did_you_mean(task, tasks)}")
        return self.restrict_to(probabilities, names)

    def restrict_to(self, probabilities: Tensor, names: Sequence[str]) -> Tensor:
        """Return the probabilities ``[B, K]`` given that the class is one of ``names``."""
        allowed = torch.tensor([name in names for name in self.classes])
        # Where none of them has any probability left, in float32, one is as likely as another.
        kept = (probabilities + torch.finfo(probabilities.dtype).tiny) * allowed
        return kept / kept.sum(dim=1, keepdim=True)

    def _converted(self, images: ImageLike) -> Tensor:
        return convert(images, self.settings.image, self.backbone)

    def seen(self, images: Images) -> Images:
        """Return images in the scholar's shape or, with a backbone, with the features of their plain view.

        Raises InputError for unreadable files, and for features of another backbone.
        """
        return see(images, self.settings.image, self.backbone)

    def pixels(self, images: Images) -> Tensor:
        """Return a few images in the scholar's shape, ``[N, C, S, S]`` uint8, to be shown."""
        return show(images, self.settings.image, self.backbone)

    def on(self, compute: ComputeSettings) -> Scholar:
        """Return the same scholar on another device; itself, if it is there already. This one stays where it is."""
        if compute == self.settings.compute:
            return self
        device, settings = device_for(compute).device, self.settings.model_copy(update={"compute": compute})
        solver, generator = copy.deepcopy((self.solver, self.generator))
        for network in filter(None, (solver, generator)):
            to_device(network, device)
        backbone = self.backbone.on(compute) if self.backbone else None
        return replace(self, solver=solver, generator=generator, settings=settings, backbone=backbone)

    def with_audit(self, audit: Audit) -> Scholar:
        """Return the same scholar, with an audit of its dreams written into its lineage."""
        *earlier, last = self.lineage
        return replace(self, lineage=(*earlier, last.model_copy(update={"audit": audit})))

    def save(self, folder: str | Path) -> None:
        """Write the scholar as a folder (format: docs/format.md), atomically; a scholar that is there is replaced."""
        description = {
            "classes": list(self.classes),
            "image": self.settings.image.model_dump(mode="json"),
            "backbone": self.backbone.record.model_dump(mode="json") if self.backbone else None,
            "generation": self.generation,
            "privacy": self.privacy.model_dump(mode="json") if self.privacy else None,
            "lineage": [record.model_dump(mode="json") for record in self.lineage],
        }
        weights, linked = self._weights(), {}
        if self.backbone:
            weights["backbone"], linked["backbone"] = dict(self.backbone.weights), self.backbone.file
        scholar_folder.write_scholar(Path(folder), description, weights, linked)

    def _weights(self) -> dict[str, dict[str, Tensor]]:
        """Return what is kept of each part, under the name of its file."""
        weights: dict[str, dict[str, Tensor]] = {"solver": self.solver.state_dict()}
        if self.generator is not None:
            weights["generator"] = self.generator.state_dict()
        if self.ood is not None:
            weights["ood"] = self.ood.tensors()
        return weights

    @classmethod
    def load(cls, folder: str | Path, compute: ComputeSettings | None = None) -> Scholar:
        """Open a scholar's folder; runs no code from it. Raises InputError where it is missing, damaged or newer.

        compute: device and precision to use here; where it was learned does not matter
        """
        return cls(*read_parts(Path(folder), compute or ComputeSettings()))
