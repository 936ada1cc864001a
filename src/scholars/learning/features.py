"""How a scholar with a backbone learns: features instead of pixels, and a solver taught by dreams of all classes alone.

With real features of the new classes beside dreams of the old ones a solver tells new from old by what is real, far
more easily than with pixels. So the new generator dreams of the new classes, too, and the solver sees nothing else:

1. look: the features of the task's images, in some views (`scholars.backbones.look`)
2. generator: add the memories of the new classes to the mixture, in closed form; or train a generator on the mix of
   real new features and dreams of the earlier generator, as for pixels
3. solver: from a fresh start, on dreams of all classes

Of a mixture the solver is a function of (memories, settings, seed): dreams are drawn in an order that is that of the
memories' contents, with no number of a generation. So the order in which tasks were learned does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scholars.compute.device import Fabric, derive_seed, device_for, fork_rng
from scholars.generators import Generator, Mixture
from scholars.generators.sampling import sample_features
from scholars.learning.arguments import LearnArgs
from scholars.learning.dreams import CurrentDataReplay, dream_bank
from scholars.learning.heads import FeatureSet, fine_tune_head, fit_head
from scholars.learning.networks import train_generator
from scholars.settings import MixtureSettings
from scholars.solvers import Solver
from scholars.tasks.task import Task
from scholars.training.batches import Mix, Pool, new_data_ratio
from scholars.training.loop import Session

# Dreams that a solver is taught by; each class has as many as any other, and each memory at least so many.
DREAMS, LEAST_DREAMS = 20_000, 20
# Dreams drawn at a time.
_CHUNK = 4096


def build_feature_generator(args: LearnArgs, fabric: Fabric, session: Session) -> Generator:
    """Return the generator that knows the new task and all that the previous one knew."""
    previous, settings, train = args.previous, args.settings, args.task.train
    if isinstance(settings.generator, MixtureSettings):
        return Mixture.of(
            previous.generator if previous else None,
            train.feature_tensor,
            train.label_tensor,
            torch.from_numpy(train.digests.copy()),
            settings.generator,
        )
    new = _real([(args.task, args.known_conditions)], args.classes).pool(len(args.classes))
    source: Pool | Mix = new
    if previous:
        counts = [*(len(record.classes) for record in previous.lineage), len(args.task.classes)]
        policy = settings.replay
        least = 0.5 if args.brings_classes else 0.0
        r = max(new_data_ratio(policy.ratio, counts), least)
        if policy.generator_ratio != "auto":
            r = policy.generator_ratio
        bank = dream_bank(previous, policy, args.seed, session, fabric)
        outputs = torch.tensor([args.classes.index(name) for name in previous.classes])
        labels = outputs[torch.tensor([output for _, output in previous.conditions])[bank.conditions]]
        source = Mix([(r, new), (1 - r, Pool(bank.inputs, labels, len(args.classes), bank.conditions))])
    return train_generator(
        source,
        previous=previous,
        conditions=args.known_conditions + len(args.task.classes),
        settings=settings,
        seed=args.position,
        fabric=fabric,
        session=session,
        features=train.feature_tensor.flatten(0, 1),
    )


def train_feature_solver(args: LearnArgs, generator: Generator | None, fabric: Fabric, session: Session) -> Solver:
    """Return the solver: taught by dreams of all classes or, without a generator, by what ``args.past`` says.

    Real features of all tasks teach a fresh one, as dreams do. Those of the new task alone, with or without the
    previous solver's answers to them, change the previous one.
    """
    settings, previous, classes = args.settings, args.previous, args.classes
    seed = derive_seed(args.seed, "features", 0)
    if generator:
        taught_by = draw_dreams(args, generator, seed)
        return fit_head(taught_by, classes, settings, seed, fabric, session)
    if previous is None or (not isinstance(args.past, str) and args.past):
        stored = [] if isinstance(args.past, str) else list(args.past)
        taught_by = _real([(task, 0) for task in (*stored, args.task)], classes)
        return fit_head(taught_by, classes, settings, seed, fabric, session)
    new = _real([(args.task, 0)], classes)
    pool = new.pool(len(classes))
    source: Pool | Mix = pool
    if args.past == "current data":
        counts = [*(len(record.classes) for record in previous.lineage), len(args.task.classes)]
        r = new_data_ratio(settings.replay.ratio, counts)
        source = Mix([(r, pool), (1 - r, CurrentDataReplay(previous, pool, settings.replay, classes))])
    return fine_tune_head(source, new, previous, classes, settings, args.position, fabric, session)


@dataclass(frozen=True)
class _Memory:
    """What a solver is taught about one class of one task: its output, and what orders it among the others."""

    output: int
    key: str
    condition: int


def draw_dreams(args: LearnArgs, generator: Generator, seed: int) -> FeatureSet:
    """Return dreams of all classes, equally many of each, in the order of the memories' contents."""
    settings, classes = args.settings, args.classes
    names = [name for record in (args.previous.lineage if args.previous else ()) for name in record.classes]
    names += args.task.classes
    keys = [memory.digest for memory in generator.memories] if isinstance(generator, Mixture) else [""] * len(names)
    photos = (
        sum(int(memory.photos) for memory in generator.memories)
        if isinstance(generator, Mixture)
        else sum(record.train_count for record in (args.previous.lineage if args.previous else ()))
        + len(args.task.train)
    )
    memories = [_Memory(classes.index(name), key, i) for i, (name, key) in enumerate(zip(names, keys, strict=True))]
    memories.sort(key=lambda memory: (memory.output, memory.key, memory.condition))
    per_class = torch.bincount(torch.tensor([memory.output for memory in memories]))
    counts = torch.tensor(
        [max(LEAST_DREAMS, DREAMS // (len(classes) * int(per_class[memory.output]))) for memory in memories]
    )
    conditions = torch.tensor([memory.condition for memory in memories]).repeat_interleave(counts)
    outputs = torch.tensor([memory.output for memory in memories]).repeat_interleave(counts)
    drawn = []
    with fork_rng(device_for(settings.compute).device):
        for place, part in enumerate(torch.split(conditions, _CHUNK)):
            torch.manual_seed(derive_seed(seed, "dreams", place))
            drawn.append(sample_features(generator, part, settings).half())
    return FeatureSet(torch.cat(drawn), outputs, photos)


def _real(tasks: Sequence[tuple[Task, int]], classes: Sequence[str]) -> FeatureSet:
    """Return the real features of tasks, every class and of it every task equally often, in an order of contents.

    tasks: each with the first of its conditions
    """
    groups = []
    for task, first in tasks:
        train = task.train
        for label, name in enumerate(task.classes):
            own = train.labels == label
            key = train.digests[own].tobytes()
            groups.append((classes.index(name), key, first + label, train.feature_tensor[torch.from_numpy(own)]))
    groups.sort(key=lambda group: group[:3])
    outputs = torch.tensor([output for output, *_ in groups])
    of_class = torch.bincount(outputs)[outputs]
    rows = torch.tensor([features.shape[0] * features.shape[1] for *_, features in groups])
    return FeatureSet(
        torch.cat([features.flatten(0, 1) for *_, features in groups]),
        outputs.repeat_interleave(rows),
        sum(len(features) for *_, features in groups),
        torch.tensor([condition for _, _, condition, _ in groups]).repeat_interleave(rows),
        (1 / (of_class * rows)).double().repeat_interleave(rows),
    )
