"""Learn a task with differential privacy: noisy statistics are kept of its photos, and all else follows from these.

1. look: each photo is one vector, the mean of what the backbone sees in its views; kept in memory, written nowhere
2. statistics: drawn once, with noise from the system's secure source, and stored first (`scholars.privacy.mechanism`)
3. memories: what the statistics tell of each class (`scholars.privacy.memories`)
4. solver, dreams, threshold, audit: from the memories, as of any scholar with a backbone

An interrupted learning goes on with the statistics that were stored. They are never drawn twice: each draw costs.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scholars.backbones import Backbone
from scholars.backbones.look import look_at
from scholars.compute.device import derive_seed
from scholars.errors import InputError, counted, did_you_mean, shortlist
from scholars.learning.algorithm import train_scholar
from scholars.learning.arguments import LearnArgs, check_task
from scholars.learning.dreams import with_ood_detector
from scholars.learning.looking import choose_settings, resolve_backbone
from scholars.learning.minutes import forget_budget
from scholars.learning.resume import claim
from scholars.learning.task_record import record_task
from scholars.privacy.account import compose_account, drawn_multiplier, noise_multiplier
from scholars.privacy.directions import Directions, find_directions
from scholars.privacy.mechanism import Statistics, release_statistics
from scholars.privacy.memories import hidden_classes, private_memories
from scholars.privacy.noise import add_noise
from scholars.scholar import Scholar
from scholars.settings import EMBEDDED, Settings
from scholars.settings.privacy import Privacy
from scholars.storage import files
from scholars.storage.privacy_account import PrivacyCost
from scholars.tasks.images import Images
from scholars.tasks.task import Task, nfc
from scholars.training.loop import Session
from scholars.training.meter import Tick

_STATISTICS = "statistics.safetensors"
# Photos that are looked at, and forgotten, at a time.
_LOOKED_AT = 1024


def learn_privately(
    task: Task,
    privacy: Privacy,
    previous: Scholar | None = None,
    *,
    test: Task | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    session: Session | None = None,
    backbone: Backbone | None = None,
    accept_unprotected: bool = False,
) -> Scholar:
    """Learn ``task`` with differential privacy and return a new scholar that knows it and what ``previous`` knew.

    The noise is drawn anew with each call, whatever the seed, and each call costs; not so where ``session`` has a
    folder with the unfinished work of this one.

    task: its train part is learned: photos of the classes, which are public, as the name is; the test part is not used
    privacy: the guarantee
    test: a task whose test part is public, and scored; default: the accuracy is not known
    accept_unprotected: whether ``previous`` may know tasks that were learned without a guarantee

    Other arguments as for `scholars.learn`. Raises InputError for what cannot be learned so, and where the extra
    ``private`` is not installed; Interrupted when asked to stop.
    """
    check_task(task)
    if settings is None:
        first = {"backbone.name": EMBEDDED}
        settings = forget_budget(previous.settings) if previous else choose_settings(task, first).settings
    settings, backbone = resolve_backbone(previous, settings, backbone)
    blank = task.without_photos(test)
    args = LearnArgs(blank, previous, "dreams", settings, seed, privacy=privacy, accept_unprotected=accept_unprotected)
    args.check()
    return learn_photos(args, task.train, backbone, session or Session())


def learn_photos(args: LearnArgs, photos: Images, backbone: Backbone | None, session: Session) -> Scholar:
    """Return the scholar that has learned ``photos`` as the task of ``args``, which is without them.

    The session's folder is claimed first, and keeps noisy statistics alone.
    """
    privacy, task = args.privacy, args.task
    assert privacy and backbone
    if session.folder:
        claim(session.folder, args)
    released = _stored(session.folder)
    if released is None:
        vectors, labels = mean_features(photos, backbone, args.settings, session)
        released = draw_statistics(vectors, labels, len(task.classes), privacy, find_directions(backbone))
        _store(session.folder, *released)
    _check_delta(released[0], args, session.folder)
    return learn_statistics(args, *released, backbone, session)


def draw_statistics(
    vectors: Tensor, labels: Tensor, classes: int, privacy: Privacy, directions: Directions
) -> tuple[Statistics, str]:
    """Return noisy statistics of photos, and a random number that they are known by. Each call costs."""
    drawn = drawn_multiplier(noise_multiplier(privacy))
    if privacy.insecure_seed is None:
        return release_statistics(vectors, labels, classes, directions, drawn, add_noise), secrets.token_hex(16)
    noise = partial(add_noise, insecure=np.random.default_rng(privacy.insecure_seed))
    number = f"{derive_seed(privacy.insecure_seed, 'private', 0):032x}"
    return release_statistics(vectors, labels, classes, directions, drawn, noise), number


def learn_statistics(
    args: LearnArgs, statistics: Statistics, number: str, backbone: Backbone, session: Session
) -> Scholar:
    """Return the scholar that follows from noisy statistics: no photo is needed any more."""
    privacy = args.privacy
    assert privacy
    asked = noise_multiplier(privacy)
    memories = private_memories(statistics, find_directions(backbone), drawn_multiplier(asked))
    scholar, learned = train_scholar(replace(args, memories=memories), backbone, session)
    # The time of looking would tell how many photos there are.
    learned["seconds"] = {stage: spent for stage, spent in learned["seconds"].items() if stage != "features"}
    record = record_task(scholar, args.task, [int(memory.photos) for memory in memories], learned, private=True)
    cost = PrivacyCost(
        id=number,
        noise_multiplier=asked,
        group=privacy.group,
        disjoint=privacy.disjoint,
        insecure=privacy.insecure_seed is not None,
    )
    before = scholar.privacy
    account = compose_account((*(before.costs if before else ()), cost), _delta(args))
    return with_ood_detector(replace(scholar, lineage=(*scholar.lineage, record), privacy=account), args.seed)


def describe_private_plan(args: LearnArgs) -> Iterator[str]:
    """Yield lines for people about what will be learned privately; nothing in them is of the photos."""
    task, privacy = args.task, args.privacy
    assert privacy
    unit = "one photo" if privacy.group == 1 else f"all photos of a person, of which there are {privacy.group} at most"
    tested = f"{counted(len(task.test), 'public image')} to test" if len(task.test) else "no test: see --test"
    yield f"{task.name}: private, epsilon {privacy.epsilon:g}, delta {privacy.delta:g} for {unit}; {tested}"
    yield f"classes, whose names are public: {shortlist(task.classes, ', ')}"
    yield f"noise: {noise_multiplier(privacy):.2f} times what one photo changes at most"
    if privacy.insecure_seed is not None:
        yield "warning: the noise is drawn from a seed, for tests: this scholar is not private"
    yield f"budget: {args.settings.described_budget}"


def private_notes(scholar: Scholar, photos: Images, folder: Path | None) -> Iterator[str]:
    """Yield lines for people once a task is learned privately: what was learned, and what is left of the photos.

    folder: where the statistics are kept until the scholar has taken its place
    """
    record, account, released = scholar.lineage[-1], scholar.privacy, _stored(folder)
    about = [f"{name} {count:,}" for name, count in zip(record.classes, record.train_counts, strict=True)]
    yield f"photos, by counts with noise: {shortlist(about, ', ')}"
    if released and account:
        hidden = hidden_classes(released[0], drawn_multiplier(account.costs[-1].noise_multiplier), record.classes)
        if hidden:
            yield (
                f"warning: noise hides more than half of what is known of {shortlist(hidden, ', ')}: so few photos "
                "need a larger epsilon"
            )
    names = ", no file names" if photos.files is not None else ""
    yield f"nothing of the photos is kept but noisy sums: no features, no decoded copies, no digests{names}"


def has_drawn(folder: Path) -> bool:
    """Return whether the unfinished work in a folder has drawn its noisy statistics."""
    return (folder / _STATISTICS).is_file()


def check_kept(refit: bool, keep_cache: bool) -> None:
    """Raise InputError for options that a private task cannot have: they keep, or tell, something of the photos."""
    if refit:
        raise InputError("--refit learns images that were held out, and of a private task none is: leave it out")
    if keep_cache:
        raise InputError("--keep-cache keeps features of the photos, which --private must not: leave one of them out")


def named_classes(task: Task, names: Sequence[str] | None) -> Task:
    """Return the task of these classes, also of those without a photo; None: those that it has.

    The names are public. If it followed from the photos which of them there are, one photo could decide it.
    """
    if names is None:
        return task
    known = [nfc(name) for name in names]
    if len(set(known)) != len(known):
        raise InputError(f"task {task.name!r}: choose each class once, got {', '.join(known)}")
    if not set(known) & set(task.classes):
        raise InputError(f"task {task.name!r} has none of these classes. {did_you_mean(known[0], task.classes)}")
    chosen = task.select_classes([name for name in known if name in task.classes])
    places = np.array([known.index(name) for name in chosen.classes])

    def relabelled(part: Images) -> Images:
        return replace(part, labels=places[part.labels])

    return replace(chosen, classes=tuple(known), train=relabelled(chosen.train), test=relabelled(chosen.test))


def mean_features(photos: Images, backbone: Backbone, settings: Settings, session: Session) -> tuple[Tensor, Tensor]:
    """Return a vector of each photo ``[N, D]`` float32, the mean over its views, and the labels ``[N]``."""
    vectors, labels = [torch.empty(0, backbone.record.features)], [torch.empty(0, dtype=torch.int64)]

    def report(before: int, done: int, speed: float) -> None:
        session.on_tick(Tick("features", before + done, len(photos), {}, speed))

    for start in range(0, len(photos), _LOOKED_AT):
        part = photos[start : start + _LOOKED_AT]
        seen = look_at(
            part,
            backbone,
            settings.views,
            settings.image.fit,
            on_progress=partial(report, start),
            stopping=session.stopping,
            keep=False,
        )
        vectors.append(seen.feature_tensor.float().mean(1))
        labels.append(seen.label_tensor)
    return torch.cat(vectors), torch.cat(labels)


def _store(folder: Path | None, statistics: Statistics, number: str) -> None:
    if folder:
        files.write_tensors(folder / _STATISTICS, statistics._asdict(), {"id": number})


def _stored(folder: Path | None) -> tuple[Statistics, str] | None:
    """Return what was drawn before this work was interrupted; None where nothing was."""
    if folder is None or not (folder / _STATISTICS).is_file():
        return None
    tensors, notes = files.read_tensors(folder / _STATISTICS)
    return Statistics(**tensors), notes["id"]


def _check_delta(statistics: Statistics, args: LearnArgs, folder: Path | None) -> None:
    """Raise InputError where delta is above 1 / photos, by their noisy number: one of them might be told outright."""
    if _delta(args) * float(statistics.photos.sum()) < 1:
        return
    if folder:
        files.remove_folder(folder)
    raise InputError(
        f"delta={_delta(args):g}, the largest of this scholar, promises nothing here: it must be below 1 / photos, by "
        "their noisy number. What was drawn is removed"
    )


def _delta(args: LearnArgs) -> float:
    """Return the delta of the scholar that learns this task."""
    before = args.inherited.privacy
    return max(args.privacy.delta if args.privacy else 0.0, before.delta if before else 0.0)
