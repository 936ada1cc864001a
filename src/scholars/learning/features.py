"""Learn with a backbone: features instead of pixels, and a solver that dreams of all classes teach alone.

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
from scholars.generators.memories import Memory, fit_memory, join_memories
from scholars.generators.sampling import sample_features
from scholars.learning.arguments import LearnArgs
from scholars.learning.dreams import CurrentDataReplay, banks, dream_bank
from scholars.learning.heads import FeatureSet, fine_tune_head, fit_head, head_steps
from scholars.learning.inheritance import Inheritance
from scholars.learning.mixture import generator_share
from scholars.learning.networks import train_generator
from scholars.settings import Balance, HeadSettings, MixtureSettings
from scholars.solvers import Solver
from scholars.tasks.task import Task
from scholars.training.batches import Mix, Pool, new_data_ratio
from scholars.training.loop import Session

# Each class has as many dreams as any other, and each memory at least so many.
LEAST_DREAMS = 20
# Dreams of a solver in closed form.
CLOSED_FORM_DREAMS = 20_000
# Dreams drawn at a time.
_CHUNK = 4096


def build_feature_generator(args: LearnArgs, fabric: Fabric, session: Session) -> Generator:
    """Return the generator that knows the new task and all that the previous one knew."""
    settings, inherited, task = args.settings, args.inherited, args.new
    if isinstance(settings.generator, MixtureSettings):
        memories = args.memories
        if memories is None:
            memories = _new_memories(task, settings.generator) if task else ()
        return Mixture([*inherited_memories(inherited), *memories])
    classes, parts, features = len(args.classes), [], []
    if task:
        new = _real([(task, args.known_conditions)], args.classes, settings.replay.balance).pool(classes)
        r = (
            generator_share(args, new_data_ratio(settings.replay.ratio, args.class_counts))
            if inherited.dreamers
            else 1.0
        )
        parts.append((r, new))
        features.append(task.train.feature_tensor.flatten(0, 1))
    drawn = zip(banks(inherited, settings.replay, session), inherited.shares, strict=True)
    for (dreamer, size, part), share in drawn:
        policy = settings.replay.model_copy(update={"bank": size})
        # As they were asked for, and not as the solver sees them.
        bank = dream_bank(
            dreamer.scholar, policy, args.seed, part, fabric, conditions=dreamer.asked, translate=dreamer.keep
        )
        asked = torch.tensor([output for _, output in dreamer.scholar.conditions])[bank.conditions]
        conditions = dreamer.conditions[bank.conditions]
        pool = Pool(bank.inputs, dreamer.outputs[asked], classes, conditions, weights=dreamer.weigh(conditions, None))
        parts.append(((1 - parts[0][0] if task else 1) * share, pool))
        features.append(bank.inputs)
    return train_generator(
        Mix(parts) if len(parts) > 1 else parts[0][1],
        previous=args.previous,
        conditions=args.known_conditions + len(args.new_classes),
        settings=settings,
        seed=args.position,
        fabric=fabric,
        session=session,
        features=features[0] if task else torch.cat(features),
    )


def inherited_memories(inherited: Inheritance) -> list[Memory]:
    """Return the memory of each condition that is taken over; of several that become one, what they are together."""
    found: dict[int, dict[str, Memory]] = {}
    for dreamer in inherited.dreamers:
        generator = dreamer.scholar.generator
        for condition, memory in zip(
            dreamer.conditions.tolist(), generator.memories if isinstance(generator, Mixture) else (), strict=True
        ):
            if condition >= 0:
                found.setdefault(condition, {})[memory.digest] = memory
    return [join_memories([memories[key] for key in sorted(memories)]) for _, memories in sorted(found.items())]


def _new_memories(task: Task, settings: MixtureSettings) -> list[Memory]:
    """Return a memory of each class of a task."""
    train, found = task.train, []
    labels, digests = train.label_tensor, torch.from_numpy(train.digests.copy())
    for label in range(len(task.classes)):
        own = labels == label
        found.append(fit_memory(train.feature_tensor[own], digests[own], settings.components, settings.rank))
    return found


def train_feature_solver(
    args: LearnArgs, generator: Generator | None, fabric: Fabric, session: Session
) -> tuple[Solver, int]:
    """Return the solver, and the number of dreams that taught it; without a generator, what ``args.past`` says does.

    Real features of all tasks teach a fresh one, as dreams do. Those of the new task alone, with or without the
    previous solver's answers to them, change the previous one.
    """
    settings, previous, classes = args.settings, args.previous, args.classes
    seed = derive_seed(args.seed, "features", 0)
    if generator:
        dreams = draw_dreams(args, generator, seed)
        return fit_head(dreams, classes, settings, seed, fabric, session), len(dreams.inputs)
    if previous is None or args.stored:
        taught_by = _real([(task, 0) for task in (*args.stored, args.task)], classes, settings.replay.balance)
        return fit_head(taught_by, classes, settings, seed, fabric, session), 0
    new = _real([(args.task, 0)], classes, settings.replay.balance)
    pool = new.pool(len(classes))
    source: Pool | Mix = pool
    if args.past == "current data":
        r = new_data_ratio(settings.replay.ratio, args.class_counts)
        source = Mix([(r, pool), (1 - r, CurrentDataReplay(previous, pool, settings.replay, classes))])
    return fine_tune_head(source, new, previous, classes, settings, args.position, fabric, session), 0


@dataclass(frozen=True, order=True)
class _Condition:
    """A class of a task, ordered by its output, then by the digest of its memory where it has one."""

    output: int
    digest: str
    number: int


def draw_dreams(args: LearnArgs, generator: Generator, seed: int) -> FeatureSet:
    """Return dreams of all classes, equally many of each, in the order of the memories' contents."""
    classes, inherited = args.classes, args.inherited
    names = [*(name for record in inherited.lineage for name in record.classes), *args.new_classes]
    digests = [""] * len(names)
    photos = inherited.images + (len(args.new.train) if args.new else 0)
    if isinstance(generator, Mixture):
        digests = [memory.digest for memory in generator.memories]
        photos = sum(int(memory.photos) for memory in generator.memories)
    ordered = sorted(
        _Condition(classes.index(name), digest, number)
        for number, (name, digest) in enumerate(zip(names, digests, strict=True))
    )
    outputs = torch.tensor([condition.output for condition in ordered])
    of_class = torch.bincount(outputs)[outputs]
    chosen = args.settings.solver
    # Of a trained head each is seen about once: from repeated ones it learns them rather than what they are drawn from.
    total = CLOSED_FORM_DREAMS
    if isinstance(chosen, HeadSettings):
        total = chosen.batch * head_steps(chosen, args.settings.scale, photos, len(classes))
    counts = (total // (len(classes) * of_class)).clamp_min(LEAST_DREAMS)
    conditions = torch.tensor([condition.number for condition in ordered]).repeat_interleave(counts)
    drawn = []
    with fork_rng(device_for(args.settings.compute).device):
        for place, part in enumerate(torch.split(conditions, _CHUNK)):
            torch.manual_seed(derive_seed(seed, "dreams", place))
            drawn.append(sample_features(generator, part, args.settings).half())
    return FeatureSet(torch.cat(drawn), outputs.repeat_interleave(counts), photos)


def _real(tasks: Sequence[tuple[Task, int]], classes: Sequence[str], balance: Balance) -> FeatureSet:
    """Return the real features of tasks, in an order of contents.

    tasks: each with the first of its conditions
    balance: classes: every class, and of it every task, is drawn equally often; none: every photo
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
        (1 / (of_class * rows)).double().repeat_interleave(rows) if balance == "classes" else None,
    )
