"""What a scholar is: a generator and a solver that know the same tasks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from scholars import store
from scholars.compute import machine, place, randomness, seed_of, to_uint8
from scholars.errors import InputError, nearest
from scholars.familiarity import Familiarity
from scholars.generators import Generator, build_generator
from scholars.records import Audit, Contents, TaskRecord
from scholars.replay import Batch, joined
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver, build_solver
from scholars.tasks.shapes import as_array, as_tensor, fit_images
from scholars.team import in_turn
from scholars.weights import filled

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Images per pass without gradients: large enough to keep the cores busy, small enough for any memory. Dreams are seeded
# per chunk, so these numbers are part of what (seed, n) means.
CHUNK, CHUNK_SIDE = 250, 32

# How many dreams are looked at, at most, for each one of the class that was asked for.
LOOKED_FOR_EACH_FOUND = 250


@dataclass(frozen=True, eq=False, repr=False)
class Scholar:
    """A generator and a solver that know the same tasks. Immutable once learned; made by `scholars.learn`.

    solver: uint8 images ``[B, C, H, W]`` -> logits ``[B, K]``
    generator: draws images; None for a scholar that was learned from stored data
    classes: the K class names, in the order of the solver's outputs
    lineage: every task learned, the first one first
    settings: how the last task was learned, and how the next one will be unless told otherwise
    familiarity: what images are compared with that may be unlike anything learned; None if it was not learned
    """

    solver: Solver
    generator: Generator | None
    classes: tuple[str, ...]
    lineage: tuple[TaskRecord, ...]
    settings: Settings
    familiarity: Familiarity | None = None

    def __repr__(self) -> str:
        shape = [self.settings.image.channels, *[self.settings.image.size] * 2]
        return f"<Scholar, generation {self.generation}: {', '.join(self.classes)}; images {shape}>"

    @property
    def conditions(self) -> tuple[tuple[int, int], ...]:
        """What a conditional generator can be asked for: (place of the task in the lineage, output of the class)."""
        return conditions_of([record.classes for record in self.lineage], self.classes)

    @property
    def generation(self) -> int:
        """The place in the lineage: 1 after the first task."""
        return len(self.lineage)

    @property
    def nbytes(self) -> int:
        """The bytes of all its weights: what must be kept to use it and to learn on."""
        return sum(value.nbytes for part in self._weights().values() for value in part.values())

    @property
    def chunk(self) -> int:
        """How many images go through the networks at a time: `CHUNK`, and fewer where they are large."""
        return max(1, min(CHUNK, CHUNK * CHUNK_SIDE**2 // self.settings.image.size**2))

    def probabilities(self, images: Tensor) -> Tensor:
        """uint8 images ``[N, C, H, W]`` of the scholar's own shape -> class probabilities ``[N, K]``, on the CPU."""
        return F.softmax(self._through(self.solver, images), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """uint8 images ``[N, C, H, W]`` of the scholar's own shape -> what the solver's last layer sees, ``[N, D]``."""
        return self._through(self.solver.features, images)

    def seen(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[N, D]`` and logits ``[N, K]`` of such images, in one pass."""

        def layers(part: Tensor) -> Tensor:
            features = self.solver.features(part)
            return torch.cat([features, self.solver.classify(features)], dim=1)

        known = len(self.classes)
        both = self._through(layers, images)
        return both[:, :-known], both[:, -known:]

    def _through(self, layers: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        here = machine(self.settings.compute)
        self.solver.eval()
        with torch.inference_mode(), here.autocast():
            # Of no images the split is one empty part.
            return torch.cat([layers(part.to(here.device)).float().cpu() for part in torch.split(images, self.chunk)])

    def predict_proba(
        self, images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image], among: str | None = None
    ) -> npt.NDArray[np.float32]:
        """Class probabilities ``[B, K]``, columns in the order of ``classes``.

        images: ``[B, C, H, W]`` uint8 of any size, with 1 or 3 channels, or PIL images
        among: the name of a learned task; only its classes are considered then (task-incremental)
        """
        return self.among(self.probabilities(self._own(images)), among).numpy()

    def unfamiliar(self, images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image]) -> npt.NDArray[np.bool_]:
        """Which of the images are unlike anything learned, ``[B]``; images as for `predict_proba`.

        Raises InputError for a scholar that cannot say: one without dreams, or learned with familiarity.dreams=0.
        """
        if self.familiarity is None:
            raise InputError("this scholar cannot say what is unfamiliar: it was learned with familiarity.dreams=0")
        return self.familiarity.unfamiliar(*self.seen(self._own(images))).numpy()

    def among(self, probabilities: Tensor, task: str | None) -> Tensor:
        """The probabilities ``[B, K]`` when only the classes of a learned task can be; None for all."""
        if task is None:
            return probabilities
        tasks = [record.name for record in self.lineage]
        if task not in tasks:
            raise InputError(f"this scholar never learned a task {task!r}. {nearest(task, tasks)}")
        # A task may have been learned again, with other classes.
        return self.only(probabilities, [name for r in self.lineage if r.name == task for name in r.classes])

    def only(self, probabilities: Tensor, names: Sequence[str]) -> Tensor:
        """The probabilities ``[B, K]`` when only these classes can be."""
        allowed = torch.tensor([name in names for name in self.classes])
        # Where none of them has any probability left, in float32, one is as likely as another.
        some = (probabilities + torch.finfo(probabilities.dtype).tiny) * allowed
        return some / some.sum(dim=1, keepdim=True)

    def _own(self, images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image]) -> Tensor:
        """Images as people have them in the scholar's own shape."""
        shape = self.settings.image
        return as_tensor(as_array(images, shape.channels, shape.size))

    def predict(
        self, images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image], among: str | None = None
    ) -> list[str]:
        """The most probable class name of each image; arguments as for `predict_proba`."""
        return [self.classes[i] for i in self.predict_proba(images, among).argmax(axis=1)]

    def score(self, images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image], labels: Sequence[str]) -> float:
        """The share of images, in [0, 1], whose predicted class name is the one in ``labels``."""
        for name in set(labels):
            if name not in self.classes:
                raise InputError(
                    f"score: {name!r} is no class name of this scholar. {nearest(str(name), self.classes)}"
                )
        predicted = self.predict(images)
        if len(predicted) != len(labels) or not predicted:
            raise InputError(f"score needs one label per image, got {len(predicted)} images and {len(labels)} labels")
        return float(np.mean([a == b for a, b in zip(predicted, labels, strict=True)]))

    def dream(self, count: int, *, seed: int = 0, of: str | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``count`` dreams: images ``[n, C, H, W]`` uint8 and the solver's probabilities ``[n, K]``.

        of: the name of a class: only dreams that the solver takes for it; default: of all in turn, if the generator is
            conditional, else as they come

        The same seed gives the same dreams, and fewer of them are the first of more. Raises InputError for a scholar
        without a generator, and for a class of which it hardly ever dreams.
        """
        batch = joined(self.dreaming(count, seed=seed, of=of))
        return batch.images, batch.targets

    def dreaming(
        self,
        count: int,
        *,
        seed: int = 0,
        of: str | None = None,
        fabric: Fabric | None = None,
        chunks: range | None = None,
    ) -> Iterator[Batch]:
        """The same dreams as `dream`, in chunks, so that memory stays small however many there are.

        Their conditions are what the generator was asked for. With the ``fabric`` of a team each of its processes draws
        a part of them, and all are given all.

        chunks: look at these chunks only, each of `chunk` dreams, and give up to ``count`` that are in them, however
            few
        """
        if count < 1:
            raise InputError(f"cannot dream {count} images: ask for one or more")
        if of is not None and of not in self.classes:
            raise InputError(f"this scholar knows no class {of!r}. {nearest(of, self.classes)}")
        pairs = self.conditions
        asked = torch.tensor([i for i, (_, output) in enumerate(pairs) if of is None or self.classes[output] == of])
        size = self.chunk

        def drawn(chunk: int) -> Batch:
            with randomness(machine(self.settings.compute).device):
                torch.manual_seed(seed_of(seed, "dream", chunk))
                return self.imagine(asked[torch.arange(chunk * size, (chunk + 1) * size) % len(asked)])

        found = chunk = 0
        start = chunks.start if chunks else 0
        for whole in islice(in_turn(fabric, lambda place: drawn(start + place)), len(chunks) if chunks else None):
            wanted = torch.ones(size, dtype=torch.bool) if of is None else whole.labels == self.classes.index(of)
            batch = Batch(*(part[wanted][: count - found] for part in whole))
            found, chunk = found + len(batch.images), chunk + 1
            if found < count and chunks is None:
                check_dreamt_of(of, found, chunk * size)
            yield batch
            if found == count:
                return

    def imagine(self, conditions: Tensor) -> Batch:
        """One dream per condition ``[B]``, under torch's global generator; see `dream`."""
        if self.generator is None:
            raise InputError("this scholar has no generator: it was learned from stored data, and cannot dream")
        images = painted(self.generator, conditions, self.settings)
        return Batch(images, self.probabilities(images), conditions, torch.ones(len(images)))

    def on(self, compute: ComputeSettings) -> Scholar:
        """The same scholar where ``compute`` says; itself, if it is there already. This one stays where it is."""
        if compute == self.settings.compute:
            return self
        device, settings = machine(compute).device, self.settings.model_copy(update={"compute": compute})
        solver, generator = copy.deepcopy((self.solver, self.generator))
        place(solver, device)
        if generator:
            place(generator, device)
        return replace(self, solver=solver, generator=generator, settings=settings)

    def audited(self, audit: Audit) -> Scholar:
        """The same scholar, with what an audit of its dreams found written into its lineage."""
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
        store.write_scholar(Path(folder), description, self._weights())

    def _weights(self) -> dict[str, dict[str, Tensor]]:
        """What is kept of each part, under the name of its file."""
        weights: dict[str, dict[str, Tensor]] = {"solver": self.solver.state_dict()}
        if self.generator is not None:
            weights["generator"] = self.generator.state_dict()
        if self.familiarity is not None:
            weights["familiarity"] = self.familiarity.tensors()
        return weights

    @classmethod
    def load(cls, folder: str | Path, compute: ComputeSettings | None = None) -> Scholar:
        """Open a scholar's folder; runs no code from it. Raises InputError where it is missing, damaged or newer.

        compute: device and precision to use here; where it was learned does not matter
        """
        where = str(folder)
        description, weights = store.read_scholar(Path(folder))
        contents = Contents.of(description, f"{where}/{store.DESCRIPTION}")
        if "solver" not in weights:
            raise InputError(f"{where} has no solver weights")
        settings = contents.lineage[-1].settings.model_copy(update={"compute": compute or ComputeSettings()})
        device = machine(settings.compute).device
        known = len(contents.classes)
        solver = filled(
            lambda: build_solver(settings.solver, settings.image, known), weights["solver"], f"{where}/solver"
        )
        generator = None
        if "generator" in weights:
            asked = sum(len(record.classes) for record in contents.lineage)
            generator = filled(
                lambda: build_generator(settings.generator, settings.image, asked),
                weights["generator"],
                f"{where}/generator",
            )
            place(generator, device)
        place(solver, device)
        familiarity = None
        if "familiarity" in weights:
            shape = settings.image
            nothing = torch.zeros(1, shape.channels, shape.size, shape.size, dtype=torch.uint8, device=device)
            with torch.inference_mode():
                depth = solver.eval().features(nothing).shape[1]
            familiarity = Familiarity.from_tensors(weights["familiarity"], depth, f"{where}/familiarity")
        return cls(solver, generator, contents.classes, contents.lineage, settings, familiarity)


def check_dreamt_of(name: str | None, found: int, looked: int) -> None:
    """Raise InputError for a class of which there were hardly any among the dreams looked at; None: all are wanted."""
    if name is not None and (found + 1) * LOOKED_FOR_EACH_FOUND < looked:
        raise InputError(f"it hardly ever dreams of {name!r}: {found:,} of {looked:,} times; see `scholars inspect`")


def painted(generator: Generator, conditions: Tensor, settings: Settings) -> Tensor:
    """One image per condition ``[B]``, under torch's global generator: ``[B, C, H, W]`` uint8 of ``settings.image``."""
    here, shape = machine(settings.compute), settings.image
    generator.eval()
    with torch.inference_mode(), here.autocast():
        drawn = to_uint8(generator.sample(conditions.to(here.device))).cpu().contiguous()
    return torch.from_numpy(fit_images(drawn.numpy(), shape.channels, shape.size))


def conditions_of(tasks: Sequence[Sequence[str]], classes: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(task, output) for every class of every task; ``tasks[t]`` are the class names of task t."""
    outputs = {name: output for output, name in enumerate(classes)}
    return tuple((task, outputs[name]) for task, names in enumerate(tasks) for name in names)
