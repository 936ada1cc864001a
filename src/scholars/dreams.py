"""The past as it is remembered: dreams of the previous scholar, chosen and labelled as the replay policy says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.compute import machine, randomness, seed_of
from scholars.errors import InputError, Interrupted
from scholars.familiarity import Familiarity
from scholars.fitting import Session, Tick
from scholars.generator_settings import GeneratorSettings
from scholars.generators import Generator
from scholars.replay import Batch, Pool, Source, joined
from scholars.scholar import Scholar, painted
from scholars.settings import ReplaySettings, Settings
from scholars.team import agreed, in_turn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# How many dreams a filter may look at for each one that the bank is to hold.
LOOKED_FOR_EACH_KEPT = 10


def remembered(
    previous: Scholar, policy: ReplaySettings, classes: int, seed: int, session: Session, fabric: Fabric | None = None
) -> Source:
    """What the past's part of every batch is drawn from; ``classes`` are known when the new task is learned."""
    if policy.dreams == "fresh":
        return Fresh(previous, policy, classes)
    bank = dream_bank(previous, policy, seed, session, fabric)
    return Pool(
        bank.images,
        bank.targets,
        classes,
        bank.conditions,
        balanced=policy.balance == "classes",
        temperature=policy.temperature,
    )


def check_replay(policy: ReplaySettings, generator: GeneratorSettings, conditions: int) -> None:
    """Raise InputError for a policy by which ``generator``, the previous scholar's, cannot dream.

    A bank without a dream of some class of some task would let it be forgotten unseen; a filter by agreement needs
    dreams that were asked for.
    """
    if policy.filter == "agreement" and not generator.chosen.conditional:
        raise InputError(
            f"replay.filter=agreement needs dreams that were asked for by class, and generator.kind={generator.kind} "
            "of the scholar that dreams is not conditional: use another replay.filter for this task"
        )
    if policy.dreams == "bank" and generator.chosen.conditional and policy.bank < conditions:
        raise InputError(
            f"replay.bank={policy.bank} cannot hold a dream of each class of each earlier task: these are {conditions}"
        )


def dream_bank(
    previous: Scholar,
    policy: ReplaySettings,
    seed: int,
    session: Session | None = None,
    fabric: Fabric | None = None,
) -> Batch:
    """The bank: ``policy.bank`` dreams of the previous scholar, those that `learn` replays.

    A filter dreams on until the bank is full or it has looked at `LOOKED_FOR_EACH_KEPT` times as many. Raises
    InputError if it keeps nothing and where the generator cannot dream so, Interrupted when asked to stop.
    """
    check_replay(policy, previous.settings.generator, len(previous.conditions))
    session = session or Session()
    looked, kept, batches = 0, 0, []
    began = time.perf_counter()
    most = policy.bank if policy.filter == "none" else LOOKED_FOR_EACH_KEPT * policy.bank
    for dreamt in previous.dreaming(most, seed=seed_of(seed, "bank", previous.generation), fabric=fabric):
        if agreed(fabric, session.stopping()):
            raise Interrupted(f"stopped while dreaming, at {kept} of {policy.bank} dreams")
        batch = labelled(previous, chosen(previous, dreamt, policy), policy)
        looked, kept = looked + len(dreamt.images), kept + len(batch.images)
        batches.append(batch)
        speed = looked / (time.perf_counter() - began)
        session.on_tick(
            Tick("bank", min(kept, policy.bank), policy.bank, {"kept": kept / looked, "looked": looked}, speed)
        )
        if kept >= policy.bank:
            break
    if not kept:
        raise InputError(
            f"replay.filter={policy.filter} keeps none of {looked} dreams: lower replay.confidence, set "
            "replay.filter=none, or train the generator for longer"
        )
    return Batch(*(part[: policy.bank] for part in joined(batches)))


def preview(
    generator: Generator,
    count: int,
    *,
    previous: Scholar,
    outputs: Sequence[int],
    classes: int,
    settings: Settings,
    seed: int,
    session: Session,
    fabric: Fabric | None = None,
) -> Pool:
    """``count`` dreams of the task that ``generator`` has just learned, labelled as they were asked for.

    outputs: the solver's outputs of the task's classes, of ``classes`` in all

    Raises Interrupted when asked to stop.
    """
    which = torch.arange(count) % len(outputs)
    conditions = which + len(previous.conditions)
    parts = torch.split(conditions, previous.chunk)

    def drawn(chunk: int) -> Tensor:
        with randomness(machine(settings.compute).device):
            torch.manual_seed(seed_of(seed, "preview", chunk))
            return painted(generator, parts[chunk % len(parts)], settings)

    images = []
    # Not the other way round: what is drawn in turn would be drawn once too often.
    for _, part in zip(parts, in_turn(fabric, drawn), strict=False):
        if agreed(fabric, session.stopping()):
            raise Interrupted("stopped while dreaming of the new task")
        images.append(part)
    return Pool(torch.cat(images), torch.tensor(outputs)[which], classes, conditions)


def chosen(previous: Scholar, dreamt: Batch, policy: ReplaySettings) -> Batch:
    """The dreams that ``policy.filter`` keeps."""
    if policy.filter == "none":
        return dreamt
    if policy.filter == "confidence":
        keep = dreamt.targets.amax(1) >= policy.confidence
    else:
        asked = torch.tensor([output for _, output in previous.conditions])
        keep = dreamt.labels == asked[dreamt.conditions]
    return Batch(*(part[keep] for part in dreamt))


def labelled(previous: Scholar, dreamt: Batch, policy: ReplaySettings) -> Batch:
    """The dreams with the labels to learn from, and with the conditions that they show in the solver's eyes.

    What was asked for as (task, class) counts as (task, the class that the solver sees): the generator learns its next
    memory of a class from images that look like it.
    """
    if policy.labels == "hard":
        targets = F.one_hot(dreamt.labels, dreamt.targets.shape[1]).float()
    else:
        targets = tempered(dreamt.targets, policy.temperature)
    pairs = previous.conditions
    tasks = torch.tensor([task for task, _ in pairs])[dreamt.conditions]
    # A task without that class: any other task's images of it are nearer than this one's of another class.
    table = torch.empty(previous.generation, len(previous.classes), dtype=torch.int64)
    for index, (_, output) in reversed(list(enumerate(pairs))):
        table[:, output] = index
    for index, (task, output) in enumerate(pairs):
        table[task, output] = index
    temperatures = torch.full((len(targets),), policy.temperature)
    return Batch(dreamt.images, targets, table[tasks, dreamt.labels], temperatures)


def tempered(probabilities: Tensor, temperature: float) -> Tensor:
    """softmax(logits / T) from p = softmax(logits): p^(1/T), normalised. ``[B, K]``."""
    if temperature == 1:
        return probabilities
    least = torch.finfo(probabilities.dtype).tiny
    return F.softmax(probabilities.clamp_min(least).log() / temperature, dim=1)


def familiarised(scholar: Scholar, seed: int) -> Scholar:
    """The same scholar, which can tell what is unlike its dreams, if ``settings.familiarity`` asks for it."""
    asked = scholar.settings.familiarity
    if not asked.dreams:
        return scholar
    position = seed_of(seed, "familiarity", scholar.generation)
    seen = [scholar.seen(batch.images) for batch in scholar.dreaming(asked.dreams, seed=position)]
    features, logits = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return replace(scholar, familiarity=Familiarity.of(features, logits, asked.share))


@dataclass(frozen=True)
class Fresh:
    """Dreams drawn anew for every batch; conditions at random."""

    previous: Scholar
    policy: ReplaySettings
    classes: int

    def draw(self, count: int) -> Batch:
        """Dream ``count`` images."""
        conditions = torch.randint(len(self.previous.conditions), (count,))
        dreamt = labelled(self.previous, self.previous.imagine(conditions), self.policy)
        return dreamt._replace(targets=F.pad(dreamt.targets, (0, self.classes - dreamt.targets.shape[1])))


@dataclass(frozen=True)
class Reviewed:
    """New images with the labels that the previous scholar would give them.

    What learning without forgetting (Li & Hoiem 2016, arXiv 1606.09282) replays in place of the past: its distillation
    loss asks the new solver to answer for the new images as the old one does. Here over all outputs, those of new
    classes having no share (van de Ven & Tolias 2019, arXiv 1904.07734); the paper's softmax is over the old ones only.
    """

    previous: Scholar
    new: Source
    policy: ReplaySettings
    classes: int

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""
        new, temperature = self.new.draw(count), self.policy.temperature
        targets = tempered(self.previous.probabilities(new.images), temperature)
        targets = F.pad(targets, (0, self.classes - targets.shape[1]))
        return new._replace(targets=targets, temperatures=torch.full((count,), temperature))
