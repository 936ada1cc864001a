"""Merge scholars, forget or rename classes, join two into one, distil a scholar: all without any data.

All of it is one algorithm: a new scholar learns from the dreams of some scholars, with no new task
(`scholars.learning.algorithm`). Each scholar labels its own dreams, and gives nothing to classes that it does not know.

With a `mixture` of a backbone's features it is exact: the memories of the classes that stay are taken over as they are,
and the solver is a function of (memories, settings, seed). So a merged scholar has the weights of one that learned all
tasks in turn, and after forgetting those of one that never learned the class.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from scholars.compute.device import fork_rng
from scholars.errors import InputError, did_you_mean, printable, shortlist
from scholars.generators import Mixture
from scholars.learning.algorithm import train_scholar
from scholars.learning.arguments import LearnArgs
from scholars.learning.dreams import with_ood_detector
from scholars.learning.inheritance import Inheritance, inherit
from scholars.learning.looking import resolve_backbone
from scholars.learning.minutes import forget_budget
from scholars.learning.networks import can_start_from
from scholars.learning.resume import claim, fit_minutes, weights_digest
from scholars.privacy.describe import unprotected_tasks
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, MixtureSettings, Settings, SolverSettings
from scholars.solvers import Head, build_solver
from scholars.solvers.pruning import prune_channels
from scholars.storage.records import LineageRecord
from scholars.training.loop import Session

# Dreams by which scholars are compared.
_DREAMS = 500


def merge(
    scholars: Sequence[Scholar],
    *,
    weights: Sequence[float] | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    session: Session | None = None,
    accept_unprotected: bool = False,
) -> Scholar:
    """Return a scholar that knows what all of these know. Classes of one name are one class.

    A solver of pixels starts with the weights of the scholar that is least sure of its own dreams, if it is of the same
    network: what is hard to tell is what dreams teach least.

    weights: how much each scholar's dreams count, in times of its number of classes; default: all alike
    settings: how to learn, networks and image shape included; default: those of the first scholar
    seed, session: as for `scholars.learn`
    accept_unprotected: whether private scholars may be merged with others

    Raises InputError for scholars that cannot be merged: one twice, one that cannot dream, one of pixels with one of
    features, or those of two backbones; Interrupted when asked to stop.
    """
    check_merge(scholars, weights, accept_unprotected)
    settings = settings or forget_budget(scholars[0].settings)
    check_teachers(scholars, settings)
    inherited = inherit(scholars, weights=weights, sort_classes=settings.backbone is not None)
    start = None if settings.backbone else _find_least_sure(scholars, settings, seed)
    return learn_from_dreams(inherited, "merge", f"merged {len(scholars)} scholars", settings, seed, session, start)


def forget(
    scholar: Scholar,
    classes: Sequence[str],
    *,
    settings: Settings | None = None,
    seed: int | None = None,
    session: Session | None = None,
) -> Scholar:
    """Return a scholar that knows what this one knows, but for some classes, taught from fresh weights.

    settings: how to learn; default: as the scholar did last
    seed: default: that of the last record in the lineage, so that memories make the scholar that never knew the classes
    session: as for `scholars.learn`

    With a trained generator this is approximate: dreams of other classes may still show something of a forgotten one.
    Raises InputError for an unknown class, for the last ones, and for a scholar that cannot dream; Interrupted when
    asked to stop.
    """
    check_forget(scholar, classes)
    gone = set(classes)
    settings = settings or forget_budget(scholar.settings)
    inherited = inherit(
        [scholar], lambda name: None if name in gone else name, sort_classes=settings.backbone is not None
    )
    check_teachers([scholar], settings)
    seed = scholar.lineage[-1].seed if seed is None else seed
    return learn_from_dreams(inherited, "forget", "something forgotten", settings, seed, session)


def rename(scholar: Scholar, old: str, new: str, *, seed: int | None = None, session: Session | None = None) -> Scholar:
    """Return the scholar with another name of a class. If it knows a class ``new``, both become one, taught anew.

    seed: where both become one; default: that of the last record in the lineage

    Raises InputError for an unknown class, and for a name that no class can have; Interrupted when asked to stop.
    """
    check_rename(scholar, old, new)

    def names(name: str) -> str:
        return new if name == old else name

    settings, features = forget_budget(scholar.settings), scholar.settings.backbone is not None
    inherited = inherit([scholar], names, sort_classes=features)
    if new not in scholar.classes:
        renamed = replace(scholar, classes=inherited.classes, lineage=inherited.lineage)
        if not isinstance(scholar.solver, Head):
            return renamed
        # Outputs of a scholar of features stand in the order of their names.
        order = [scholar.classes.index(old if name == new else name) for name in inherited.classes]
        return replace(renamed, solver=scholar.solver.reordered(order))
    check_teachers([scholar], settings)
    seed = scholar.lineage[-1].seed if seed is None else seed
    return learn_from_dreams(inherited, "join", "joined two classes", settings, seed, session)


def distil(
    scholar: Scholar, *, settings: Settings | None = None, seed: int = 0, session: Session | None = None
) -> Scholar:
    """Return a scholar that knows the same, with other networks or another image shape, taught by dreams alone.

    A solver of pixels starts with the weights of this one's where it is of the same network, and where it is narrower
    with those of the channels that matter most (`scholars.solvers.pruning`).

    settings: of the new one; default: those of this one
    seed, session: as for `scholars.learn`

    Raises InputError for a scholar that cannot dream, and for settings that do not fit its kind; Interrupted when asked
    to stop.
    """
    settings = settings or forget_budget(scholar.settings)
    inherited = inherit([scholar], sort_classes=settings.backbone is not None)
    check_teachers([scholar], settings)
    return learn_from_dreams(inherited, "distil", "distilled", settings, seed, session, _start_of(scholar, settings))


def _start_of(scholar: Scholar, settings: Settings) -> Scholar | None:
    """Return the scholar if a solver with these settings can start with its weights; of a narrower one, pruned.

    None where nothing of it fits.
    """
    s = settings.solver
    if can_start_from(scholar, settings):
        return scholar
    if not isinstance(s, SolverSettings) or s.start != "warm" or scholar.backbone:
        return None
    with fork_rng(torch.device("cpu")):
        narrower = build_solver(s, settings.image, len(scholar.classes))
    pruned = prune_channels(scholar.on(ComputeSettings(device="cpu")).solver, narrower)
    return replace(scholar, solver=narrower, settings=settings) if pruned else None


def learn_from_dreams(
    inherited: Inheritance,
    kind: Literal["merge", "forget", "join", "distil"],
    name: str,
    settings: Settings,
    seed: int,
    session: Session | None = None,
    start: Scholar | None = None,
) -> Scholar:
    """Return a scholar that knows what is inherited, taught by dreams alone.

    kind, name: what its record in the lineage says
    start: whose weights a solver of pixels starts with; None: fresh weights

    Other arguments and errors as for `learn`
    """
    session = session or Session()
    settings, backbone = resolve_backbone(inherited.dreamers[0].scholar, settings)
    args = LearnArgs(None, start, "dreams", settings, seed, inherited)
    args = fit_minutes(args, backbone, session.folder)
    if session.folder:
        claim(session.folder, args)
    scholar, learned = train_scholar(args, backbone, session)
    record = LineageRecord(kind=kind, name=name, classes=(), train_count=0, test_count=0, accuracy=None, **learned)
    return with_ood_detector(replace(scholar, lineage=(*scholar.lineage, record)), seed)


def _find_least_sure(scholars: Sequence[Scholar], settings: Settings, seed: int) -> Scholar | None:
    """Return the scholar whose labels for dreams of its own have the largest mean entropy; None if none can go on.

    Of those whose solver is of the network that the settings describe.
    """

    def entropy(scholar: Scholar) -> float:
        return float(torch.special.entr(scholar.dream(_DREAMS, seed=seed)[1]).sum(1).mean())

    return max((each for each in scholars if can_start_from(each, settings)), key=entropy, default=None)


def check_merge(scholars: Sequence[Scholar], weights: Sequence[float] | None, accept_unprotected: bool = False) -> None:
    """Raise InputError for too few scholars, for one that is there twice, and for weights that do not fit.

    And for private scholars among others, unless that is accepted.
    """
    if len(scholars) < 2:
        raise InputError("merge takes two scholars or more")
    if weights is not None and (len(weights) != len(scholars) or not all(0 < weight < 1e6 for weight in weights)):
        raise InputError(f"weights: give one positive number for each of the {len(scholars)} scholars")
    open_ones = [name for scholar in scholars for name in unprotected_tasks(scholar.lineage)]
    if any(scholar.privacy for scholar in scholars) and open_ones and not accept_unprotected:
        raise InputError(
            f"some of these scholars are private, and {shortlist(open_ones, ', ')} was learned without a guarantee: "
            "--accept-unprotected merges them all the same, and each photo stays as protected as it is"
        )
    seen: dict[object, int] = {}
    for place, scholar in enumerate(scholars, start=1):
        last = scholar.lineage[-1]
        key = (last.kind, last.name, last.learned_at, last.seed, scholar.generation, weights_digest(scholar))
        if key in seen:
            raise InputError(f"scholars {seen[key]} and {place} are the same one: merge takes each once")
        seen[key] = place


def check_forget(scholar: Scholar, classes: Sequence[str]) -> None:
    """Raise InputError for classes that the scholar cannot forget: unknown ones, and the last ones."""
    check_known_names(scholar, classes)
    least = _least_classes(scholar)
    if (left := len(set(scholar.classes) - set(classes))) < least:
        raise InputError(
            f"a scholar needs {least} class{'es' * (least > 1)} or more, and {left} would be left: remove its folder "
            "instead"
        )


def check_rename(scholar: Scholar, old: str, new: str) -> None:
    """Raise InputError for an unknown class, for a name that no class can have, and for two that are all it knows."""
    check_known_names(scholar, [old])
    check_class_name(new)
    if new == old:
        raise InputError(f"the class is called {old!r} already")
    if new in scholar.classes and len(scholar.classes) - 1 < _least_classes(scholar):
        raise InputError(f"{old!r} and {new!r} are all that this scholar knows: as one class there is nothing to tell")


def _least_classes(scholar: Scholar) -> int:
    return 1 if scholar.settings.backbone else 2


def check_known_names(scholar: Scholar, names: Sequence[str]) -> None:
    """Raise InputError for no class, and for one that the scholar does not know, with the nearest one."""
    if not names:
        raise InputError("name one class or more")
    for name in names:
        if name not in scholar.classes:
            raise InputError(f"this scholar knows no class {name!r}. {did_you_mean(name, scholar.classes)}")


def check_class_name(name: str) -> None:
    """Raise InputError for a name that no class can have."""
    if not name.strip() or name != name.strip():
        raise InputError(f"{name!r} is no name for a class: it is empty, or begins or ends with a space")
    if not printable(name):
        raise InputError(f"{name!r} has a control character, which a terminal would obey: choose another name")


def check_teachers(scholars: Sequence[Scholar], settings: Settings) -> None:
    """Raise InputError where a scholar with these settings could not learn from the dreams of these scholars."""
    for scholar in scholars:
        if scholar.generator is None:
            raise InputError(f"{scholar!r} has no generator: it was trained on stored data, and cannot dream")
    kinds = {scholar.backbone.record.name if scholar.backbone else "pixels" for scholar in scholars}
    if "pixels" in kinds and (len(kinds) > 1 or settings.backbone):
        raise InputError(
            "scholars of pixels and scholars of features dream of different things, images and features: neither can "
            "learn from the other's dreams"
        )
    seen = {(scholar.backbone.record.key, scholar.settings.image.fit) for scholar in scholars if scholar.backbone}
    if len(seen) > 1:
        raise InputError(
            "features of different backbones mean different things: these scholars have "
            f"{shortlist(sorted(kinds), ', ')}, or image.fit differs"
        )
    if seen and settings.backbone is None:
        raise InputError("a scholar of features keeps its backbone: leave settings of pixels out")
    # Memories are kept, not drawn anew; and dreams of trained generators have no photos to fit a memory to.
    trained = [not isinstance(scholar.generator, Mixture) for scholar in scholars]
    if isinstance(settings.generator, MixtureSettings) and any(trained):
        raise InputError(
            f"generator.kind=mixture keeps memories, and {scholars[trained.index(True)]!r} has none: choose another "
            "generator"
        )
