"""Dreams of the previous scholar, filtered and labelled as the replay settings say."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.compute.device import Fabric, derive_seed, fork_rng
from scholars.compute.processes import broadcast_flag
from scholars.errors import InputError, Interrupted
from scholars.generators import Mixture
from scholars.learning.dreamer import Dreamer
from scholars.learning.heads import FeatureSet
from scholars.learning.inheritance import Inheritance
from scholars.ood import OODDetector
from scholars.scholar import Scholar
from scholars.settings import GeneratorSettings, ImageSettings, MixtureSettings, ReplaySettings, Settings
from scholars.settings.base import planned
from scholars.training.batches import Batch, BatchSource, Mix, Pool, concat_batches, weights_by
from scholars.training.loop import Session
from scholars.training.meter import Tick

# How many dreams a filter may look at for each one that the bank is to hold.
MAX_DREAMS_PER_KEPT = 10
# A generator of few images dreams of little else: so many dreams for each of them, and so many at least, say what more
# would.
DREAMS_PER_IMAGE, LEAST_DREAMS = 15, 300
# Of the variance within classes, the share that is noise where a threshold is set by dreams of features.
_NOISE = 0.4


def replay_source(
    inherited: Inheritance, settings: Settings, seed: int, session: Session, fabric: Fabric | None = None
) -> BatchSource:
    """Return what the replayed part of every batch is drawn from: dreams of each scholar, in its share."""
    policy, classes, parts = settings.replay, len(inherited.classes), list[tuple[float, BatchSource]]()
    if policy.dreams == "fresh":
        parts = [(each.share, FreshDreams(each, policy, settings.image, classes)) for each in inherited.dreamers]
    else:
        for dreamer, size, part in banks(inherited, policy, session):
            bank = dream_bank(
                dreamer.scholar,
                policy.model_copy(update={"bank": size}),
                seed,
                part,
                fabric,
                conditions=dreamer.asked,
                translate=partial(dreamer.translate, image=settings.image, classes=classes),
            )
            pool = Pool(
                bank.inputs,
                bank.targets,
                classes,
                bank.conditions,
                weights=dreamer.weigh(bank.conditions, weights_by(policy.balance, bank.labels)),
                temperature=policy.temperature,
            )
            parts.append((dreamer.share, pool))
    return parts[0][1] if len(parts) == 1 else Mix(parts)


def banks(inherited: Inheritance, policy: ReplaySettings, session: Session) -> Iterator[tuple[Dreamer, int, Session]]:
    """Yield each scholar, how many dreams of it are in the bank, and a session in which to draw these.

    Progress and the number of dreams that were looked at are those of the whole bank.
    """
    sizes = [max(1, round(share * planned(policy.bank))) for share in inherited.shares]
    done, looked, own = 0, 0.0, 0.0

    def on_tick(tick: Tick) -> None:
        nonlocal own
        own = tick.metrics["looked"]
        metrics = {**tick.metrics, "looked": looked + own}
        session.on_tick(replace(tick, step=done + tick.step, steps=sum(sizes), metrics=metrics))

    for dreamer, size in zip(inherited.dreamers, sizes, strict=True):
        own = 0.0
        yield dreamer, size, replace(session, on_tick=on_tick)
        done, looked = done + size, looked + own


def check_replay(policy: ReplaySettings, generator: GeneratorSettings | MixtureSettings, conditions: int) -> None:
    """Raise InputError for settings with which ``generator``, the previous scholar's, cannot be replayed.

    A bank without a dream of some class of some task would let it be forgotten unnoticed; a filter by agreement needs a
    conditional generator.
    """
    if policy.filter == "agreement" and not generator.conditional:
        raise InputError(
            f"replay.filter=agreement needs dreams that were asked for by class, and generator.kind={generator.kind} "
            "of the scholar that dreams is not conditional: use another replay.filter for this task"
        )
    if policy.dreams == "bank" and generator.conditional and policy.bank is not None and policy.bank < conditions:
        raise InputError(
            f"replay.bank={policy.bank} cannot hold a dream of each class of each earlier task: these are {conditions}"
        )


def dream_bank(
    previous: Scholar,
    policy: ReplaySettings,
    seed: int,
    session: Session | None = None,
    fabric: Fabric | None = None,
    *,
    conditions: Sequence[int] | None = None,
    translate: Callable[[Batch], Batch] = lambda dreams: dreams,
) -> Batch:
    """Draw the bank: ``policy.bank`` dreams of the previous scholar, which `learn` replays. It must be set.

    conditions: only these are asked for; default: all
    translate: what becomes of the dreams before they are kept: it may leave some out

    Where some are left out, by a filter or by ``translate``, dreams are drawn until the bank is full or
    `MAX_DREAMS_PER_KEPT` times as many were drawn. Raises InputError if nothing is kept and where the generator cannot
    dream so, Interrupted when asked to stop.
    """
    check_replay(policy, previous.settings.generator, len(previous.conditions if conditions is None else conditions))
    session = session or Session()
    looked, kept, batches, wanted = 0, 0, [], planned(policy.bank)
    began = time.perf_counter()
    position = derive_seed(seed, "bank", previous.generation)
    most = wanted if policy.filter == "none" and conditions is None else MAX_DREAMS_PER_KEPT * wanted
    for dreamt in previous.iter_dreams(most, seed=position, fabric=fabric, only=conditions):
        if broadcast_flag(fabric, session.stopping()):
            raise Interrupted(f"stopped while dreaming, at {kept} of {wanted} dreams")
        batch = translate(relabel(previous, filter_dreams(previous, dreamt, policy), policy))
        looked, kept = looked + len(dreamt.inputs), kept + len(batch.inputs)
        batches.append(batch)
        speed = looked / (time.perf_counter() - began)
        session.on_tick(Tick("bank", min(kept, wanted), wanted, {"kept": kept / looked, "looked": looked}, speed))
        if kept >= wanted:
            break
    if not kept:
        raise InputError(_nothing_kept(previous, policy, looked))
    return Batch(*(part[:wanted] for part in concat_batches(batches)))


def _nothing_kept(previous: Scholar, policy: ReplaySettings, looked: int) -> str:
    if policy.filter == "none":
        return f"none of {looked} dreams shows a class that stays: {previous!r} dreams of nothing else"
    return (
        f"replay.filter={policy.filter} keeps none of {looked} dreams: lower replay.confidence, set "
        "replay.filter=none, or train the generator for longer"
    )


def filter_dreams(previous: Scholar, dreamt: Batch, policy: ReplaySettings) -> Batch:
    """Return the dreams that ``policy.filter`` keeps."""
    if policy.filter == "none":
        return dreamt
    if policy.filter == "confidence":
        keep = dreamt.targets.amax(1) >= policy.confidence
    else:
        asked = torch.tensor([output for _, output in previous.conditions])
        keep = dreamt.labels == asked[dreamt.conditions]
    return Batch(*(part[keep] for part in dreamt))


def relabel(previous: Scholar, dreamt: Batch, policy: ReplaySettings) -> Batch:
    """Return the dreams with the labels to learn from, and the conditions that they show as the solver sees them.

    A dream drawn for (task, class) counts as (task, the class that the solver predicts): the next generator learns a
    class from images that look like it.
    """
    if policy.labels == "hard":
        targets = F.one_hot(dreamt.labels, dreamt.targets.shape[1]).float()
    else:
        targets = with_temperature(dreamt.targets, policy.temperature)
    pairs = previous.conditions
    tasks = torch.tensor([task for task, _ in pairs])[dreamt.conditions]
    # A task without the predicted class: another task's condition of that class is nearer than this task's of another.
    table = torch.empty(len(previous.lineage), len(previous.classes), dtype=torch.int64)
    for index, (_, output) in reversed(list(enumerate(pairs))):
        table[:, output] = index
    for index, (task, output) in enumerate(pairs):
        table[task, output] = index
    temperatures = torch.full((len(targets),), policy.temperature)
    return Batch(dreamt.inputs, targets, table[tasks, dreamt.labels], temperatures)


def with_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return softmax(logits / T) from p = softmax(logits): p^(1/T), normalised. ``[B, K]``."""
    if temperature == 1:
        return probabilities
    least = torch.finfo(probabilities.dtype).tiny
    return F.softmax(probabilities.clamp_min(least).log() / temperature, dim=1)


def enough_dreams(images: int, most: int) -> int:
    """Return how many dreams of pixels are looked at, ``most`` or fewer, where so many images were learned from."""
    return min(most, max(LEAST_DREAMS, DREAMS_PER_IMAGE * images))


def with_ood_detector(scholar: Scholar, seed: int) -> Scholar:
    """Return the same scholar with an out-of-distribution detector fitted to its dreams, unless ``ood.dreams`` is 0."""
    settings = scholar.settings.ood
    if not settings.dreams:
        return scholar
    # What is fitted to dreams of a mixture must not depend on the order in which its memories came.
    generation = 0 if isinstance(scholar.generator, Mixture) else scholar.generation
    position = derive_seed(seed, "familiarity", generation)
    if scholar.backbone:
        dreams = concat_batches(scholar.iter_dreams(settings.dreams, seed=position))
        features, logits = scholar.features_and_logits(_spread_out(scholar, dreams, position))
    else:
        count = enough_dreams(sum(record.train_count for record in scholar.lineage), settings.dreams)
        batches = scholar.iter_dreams(count, seed=position)
        seen = [scholar.features_and_logits(batch.inputs) for batch in batches]
        features, logits = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return replace(scholar, ood=OODDetector.fit(features, logits, settings.share))


def _spread_out(scholar: Scholar, dreams: Batch, seed: int) -> Tensor:
    """Return dreamt features ``[N, D]`` in random order, those that the threshold is set by with noise.

    Real photos are further from what was learned than dreams are: of `clothing`'s known classes 22 % were called
    unfamiliar without it, and 3 % with it, and strange ones were told apart better (docs/measurements.md).
    """
    outputs = torch.tensor([output for _, output in scholar.conditions])[dreams.conditions]
    deviation = FeatureSet(dreams.inputs, outputs, 0).moments(len(scholar.classes)).noise(_NOISE)
    with fork_rng(torch.device("cpu")):
        torch.manual_seed(derive_seed(seed, "noise", 0))
        mixed = dreams.inputs[torch.randperm(len(dreams.inputs))]
        kept = OODDetector.kept(len(mixed))
        mixed[kept:] += deviation * torch.randn(mixed[kept:].shape)
    return mixed


@dataclass(frozen=True)
class FreshDreams:
    """Draws new dreams for every batch; conditions at random, as often as the dreamer's weights say."""

    dreamer: Dreamer
    policy: ReplaySettings
    image: ImageSettings
    classes: int

    def draw(self, count: int) -> Batch:
        """Draw ``count`` dreams, in place of those that show a class that is left out others.

        Where hardly any are of another class, some are there more than once; raises InputError where none is.
        """
        dreamer, scholar, kept, batches = self.dreamer, self.dreamer.scholar, 0, list[Batch]()
        for _ in range(MAX_DREAMS_PER_KEPT):
            conditions = torch.multinomial(dreamer.weights, count, replacement=True)
            dreams = relabel(scholar, scholar.sample(conditions), self.policy)
            batches.append(dreamer.translate(dreams, self.image, self.classes))
            kept += len(batches[-1].inputs)
            if kept >= count:
                break
        if not kept:
            raise InputError(_nothing_kept(scholar, self.policy, MAX_DREAMS_PER_KEPT * count))
        return Batch(*(part[torch.arange(count) % kept] for part in concat_batches(batches)))


@dataclass(frozen=True)
class CurrentDataReplay:
    """Draws images of the new task with the labels that the previous scholar gives them.

    This is what learning without forgetting (Li & Hoiem 2016, arXiv 1606.09282) replays: its distillation loss asks the
    new solver to answer for new images as the old one does. Here over all outputs, with zero for those of new classes
    (van de Ven & Tolias 2019, arXiv 1904.07734); the paper's softmax is over the old ones only.
    """

    previous: Scholar
    new: BatchSource
    policy: ReplaySettings
    classes: Sequence[str]

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images, or features."""
        new, temperature = self.new.draw(count), self.policy.temperature
        known = with_temperature(self.previous.probabilities(new.inputs), temperature)
        targets = known.new_zeros(count, len(self.classes))
        targets[:, [self.classes.index(name) for name in self.previous.classes]] = known
        return new._replace(targets=targets, temperatures=torch.full((count,), temperature))
