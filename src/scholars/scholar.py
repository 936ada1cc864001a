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
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from scholars.compute.device import Fabric, derive_seed, device_for, fork_rng, to_device
from scholars.compute.processes import round_robin
from scholars.errors import InputError, did_you_mean
from scholars.generators import Generator, build_generator
from scholars.generators.sampling import check_class_found, sample_images
from scholars.ood import OODDetector
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver, build_solver
from scholars.storage import scholar_folder
from scholars.storage.records import Audit, ScholarDescription, TaskRecord
from scholars.storage.weights import build_from_weights
from scholars.tasks.resize import as_tensor, convert_images
from scholars.training.batches import Batch, concat_batches

# Images per pass without gradients: large enough to keep the cores busy, small enough for any memory. Dreams are seeded
# per chunk, so these numbers are part of what (seed, n) means.
CHUNK, CHUNK_SIDE = 250, 32

# Images as people have them: see `Scholar.predict_proba`.
ImageLike = npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image]


@dataclass(frozen=True, eq=False, repr=False)
class Scholar:
    """A generator and a solver that know the same tasks. Immutable once learned; made by `scholars.learn`.

    solver: uint8 images ``[B, C, H, W]`` -> logits ``[B, K]``
    generator: draws images; None for a scholar that was trained on stored data
    classes: the K class names, in the order of the solver's outputs
    lineage: every task learned, the first one first
    settings: how the last task was learned, and how the next one will be unless told otherwise
    ood: finds images that are unlike anything learned; None where it was not asked for
    """

    solver: Solver
    generator: Generator | None
    classes: tuple[str, ...]
    lineage: tuple[TaskRecord, ...]
    settings: Settings
    ood: OODDetector | None = None

    def __repr__(self) -> str:
        shape = [self.settings.image.channels, *[self.settings.image.size] * 2]
        return f"<Scholar, generation {self.generation}: {', '.join(self.classes)}; images {shape}>"

    @property
    def generation(self) -> int:
        """The place in the lineage: 1 after the first task."""
        return len(self.lineage)

    @property
    def conditions(self) -> tuple[tuple[int, int], ...]:
        """(task, output) for every class of every task: what a conditional generator can be asked for.

        task is the place in the lineage, output that of the class.
        """
        outputs = {name: output for output, name in enumerate(self.classes)}
        return tuple((task, outputs[name]) for task, record in enumerate(self.lineage) for name in record.classes)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights: what must be kept to use the scholar and to learn on."""
        return sum(value.nbytes for part in self._weights().values() for value in part.values())

    @property
    def chunk_size(self) -> int:
        """The number of images that go through the networks at a time: `CHUNK`, and fewer where they are large."""
        return max(1, min(CHUNK, CHUNK * CHUNK_SIDE**2 // self.settings.image.size**2))

    def predict(self, images: ImageLike, among: str | None = None) -> list[str]:
        """Return the most probable class name of each image; arguments as for `predict_proba`."""
        return [self.classes[i] for i in self.predict_proba(images, among).argmax(axis=1)]

    def predict_proba(self, images: ImageLike, among: str | None = None) -> npt.NDArray[np.float32]:
        """Return class probabilities ``[B, K]``, columns in the order of ``classes``.

        images: ``[B, C, H, W]`` uint8 of any size, with 1 or 3 channels, or PIL images
        among: the name of a learned task; only its classes are considered then (task-incremental)
        """
        return self.restrict_to_task(self.probabilities(self._own_shape(images)), among).numpy()

    def score(self, images: ImageLike, labels: Sequence[str]) -> float:
        """Return the share of images, in [0, 1], whose predicted class name is the one in ``labels``."""
        for name in set(labels):
            if name not in self.classes:
                raise InputError(
                    f"score: {name!r} is no class name of this scholar. {did_you_mean(str(name), self.classes)}"
                )
        predicted = self.predict(images)
        if len(predicted) != len(labels) or not predicted:
            raise InputError(f"score needs one label per image, got {len(predicted)} images and {len(labels)} labels")
        return float(np.mean([a == b for a, b in zip(predicted, labels, strict=True)]))

    def unfamiliar(self, images: ImageLike) -> npt.NDArray[np.bool_]:
        """Return which images are unlike anything learned, ``[B]``; images as for `predict_proba`.

        Raises InputError for a scholar that cannot say: one without dreams, or learned with ood.dreams=0.
        """
        if self.ood is None:
            raise InputError("this scholar cannot say what is unfamiliar: it was learned with ood.dreams=0")
        return self.ood.unfamiliar(*self.features_and_logits(self._own_shape(images))).numpy()

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
    ) -> Iterator[Batch]:
        """Yield the same dreams as `dream`, in chunks, so that memory stays small however many there are.

        Their conditions are those that the generator was asked for. With the ``fabric`` of several processes each
        draws a part, and all get all.

        chunks: look at these chunks only, each of `chunk_size` dreams, and yield up to ``count`` that are in them,
            however few
        """
        if count < 1:
            raise InputError(f"cannot dream {count} images: ask for one or more")
        if of is not None and of not in self.classes:
            raise InputError(f"this scholar knows no class {of!r}. {did_you_mean(of, self.classes)}")
        pairs = self.conditions
        asked = torch.tensor([i for i, (_, output) in enumerate(pairs) if of is None or self.classes[output] == of])
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
        images = sample_images(self.generator, conditions, self.settings)
        return Batch(images, self.probabilities(images), conditions, torch.ones(len(images)))

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the solver's last layer sees and gives, ``[N, D]`` and ``[N, K]``, on the CPU.

        images: ``[N, C, H, W]`` uint8 of the scholar's own shape
        """
        device = device_for(self.settings.compute)
        self.solver.eval()
        features, logits = [], []
        with torch.inference_mode(), device.autocast():
            for part in torch.split(images, self.chunk_size):  # of no images: one empty part
                seen = self.solver.features(part.to(device.device))
                features.append(seen.float().cpu())
                logits.append(self.solver.classify(seen).float().cpu())
        return torch.cat(features), torch.cat(logits)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return class probabilities ``[N, K]`` on the CPU; images as for `features_and_logits`."""
        return F.softmax(self.features_and_logits(images)[1], dim=1)

    def restrict_to_task(self, probabilities: Tensor, task: str | None) -> Tensor:
        """Return the probabilities ``[B, K]`` given that the class is one of a learned task's; None: of any task.

        Raises InputError for a task that was never learned.
        """
        if task is None:
            return probabilities
        # A task may have been learned again, with other classes.
        if not (names := [name for record in self.lineage if record.name == task for name in record.classes]):
            tasks = [record.name for record in self.lineage]
            raise InputError(f"this scholar never learned a task {task!r}. {did_you_mean(task, tasks)}")
        return self.restrict_to(probabilities, names)

    def restrict_to(self, probabilities: Tensor, names: Sequence[str]) -> Tensor:
        """Return the probabilities ``[B, K]`` given that the class is one of ``names``."""
        allowed = torch.tensor([name in names for name in self.classes])
        # Where none of them has any probability left, in float32, one is as likely as another.
        kept = (probabilities + torch.finfo(probabilities.dtype).tiny) * allowed
        return kept / kept.sum(dim=1, keepdim=True)

    def _own_shape(self, images: ImageLike) -> Tensor:
        shape = self.settings.image
        return as_tensor(convert_images(images, shape.channels, shape.size))

    def on(self, compute: ComputeSettings) -> Scholar:
        """Return the same scholar on another device; itself, if it is there already. This one stays where it is."""
        if compute == self.settings.compute:
            return self
        device, settings = device_for(compute).device, self.settings.model_copy(update={"compute": compute})
        solver, generator = copy.deepcopy((self.solver, self.generator))
        to_device(solver, device)
        if generator:
            to_device(generator, device)
        return replace(self, solver=solver, generator=generator, settings=settings)

    def with_audit(self, audit: Audit) -> Scholar:
        """Return the same scholar, with an audit of its dreams written into its lineage."""
        *earlier, last = self.lineage
        return replace(self, lineage=(*earlier, last.model_copy(update={"audit": audit})))

    def save(self, folder: str | Path) -> None:
        """Write the scholar as a folder (format: docs/format.md), atomically; a scholar that is there is replaced."""
        description = {
            "classes": list(self.classes),
            "image": self.settings.image.model_dump(mode="json"),
            "generation": self.generation,
            "lineage": [record.model_dump(mode="json") for record in self.lineage],
        }
        scholar_folder.write_scholar(Path(folder), description, self._weights())

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
        description, weights = scholar_folder.read_scholar(Path(folder))
        known = ScholarDescription.parse(description, f"{folder}/{scholar_folder.DESCRIPTION}")
        if "solver" not in weights:
            raise InputError(f"{folder} has no solver weights")
        settings = known.lineage[-1].settings.model_copy(update={"compute": compute or ComputeSettings()})
        device, image = device_for(settings.compute).device, settings.image

        solver = build_from_weights(
            lambda: build_solver(settings.image_solver, image, len(known.classes)),
            weights["solver"],
            f"{folder}/solver",
        )
        to_device(solver, device)
        generator = None
        if "generator" in weights:
            conditions = sum(len(record.classes) for record in known.lineage)
            generator = build_from_weights(
                lambda: build_generator(settings.trained_generator, image, conditions),
                weights["generator"],
                f"{folder}/generator",
            )
            to_device(generator, device)
        ood = None
        if "ood" in weights:
            blank = torch.zeros(1, image.channels, image.size, image.size, dtype=torch.uint8, device=device)
            with torch.inference_mode():
                depth = solver.eval().features(blank).shape[1]
            ood = OODDetector.from_tensors(weights["ood"], depth, f"{folder}/ood")
        return cls(solver, generator, known.classes, known.lineage, settings, ood)
