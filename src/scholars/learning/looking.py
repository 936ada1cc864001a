"""Decide whether a scholar has a backbone, open it, and let it look at tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scholars.backbones import Backbone, look, open_backbone, seen_by
from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.settings import EMBEDDED, GENERATORS_AND_MIXTURE, ImageSettings, Settings
from scholars.settings.features import FEATURE_SOLVERS
from scholars.settings.overrides import build
from scholars.tasks.task import Task
from scholars.training.loop import Session
from scholars.training.meter import Tick

# Shorter side, in pixels, of half of the images of a task from which on they are photographs.
PHOTOGRAPH_SIDE = 64
# Pixels a side of small pictures, for scholars of pixels: the least that holds the images of a first task, or the last.
PIXEL_SIDES = (28, 32)
# What --backbone takes besides a name.
AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class Choice:
    """The settings of a new scholar, and why they have a backbone, or none: one line for people."""

    settings: Settings
    reason: str


def choose_settings(task: Task, changes: Mapping[str, Any] | None = None, backbone: str | None = None) -> Choice:
    """Return the settings of a scholar whose first task this is.

    changes: settings by dotted path, over the defaults
    backbone: a name, ``none``, or ``auto``, the default: the embedded backbone for photographs, of which the median
        shorter side is `PHOTOGRAPH_SIDE` pixels or more, if the changes are not of settings that only pixels have

    Raises InputError for settings that do not fit together.
    """
    changes = dict(changes or {})
    if backbone not in (None, AUTO, NONE):
        changes["backbone.name"] = backbone
    if any(key.startswith("backbone.") for key in changes):
        if backbone == NONE:
            raise InputError("--backbone none contradicts settings of a backbone: leave one of them out")
        settings = build(Settings, {}, changes, where="settings")
        assert settings.backbone
        return Choice(settings, f"backbone: {settings.backbone.name.partition('=')[0]}, as asked for")
    side = f"their median shorter side is {task.train.median_side:.0f} pixels"
    why = ""
    if backbone == NONE:
        why = "as asked for"
    elif task.train.median_side < PHOTOGRAPH_SIDE:
        why = f"for small pictures ({side}); --backbone {EMBEDDED} takes one"
    elif of_pixels := [key for key in changes if _is_of_pixels(key, changes[key])]:
        why = f"because {of_pixels[0]} is set, which is of pixels"
    if why:
        return Choice(_of_pixels(task, changes), f"backbone: none, {why}")
    try:
        settings = build(Settings, {"backbone": {}}, changes, where="settings")
    except InputError as error:
        raise InputError(
            f"{error}. These are photographs, which get the backbone {EMBEDDED}; --backbone none learns pixels"
        ) from None
    return Choice(settings, f"backbone: {EMBEDDED}, for photographs ({side}); --backbone none learns pixels")


def _of_pixels(task: Task, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a scholar of pixels, with the image shape of its first task unless that is set."""
    side = task.train.median_side
    shape = {
        "size": next((size for size in PIXEL_SIDES if side <= size), PIXEL_SIDES[-1]),
        "channels": 1 if "image.channels" not in changes and task.train.are_grey else 3,
    }
    return build(Settings, {"image": shape}, changes, where="settings")


def _is_of_pixels(key: str, value: Any) -> bool:
    """Return whether a change is of a scholar of pixels by itself: an image shape, or a network that takes images."""
    if key == "solver.kind":
        return value not in FEATURE_SOLVERS
    if key == "generator.kind":
        return value not in GENERATORS_AND_MIXTURE
    return key.startswith("image.") and key != "image.fit"


def decided_settings(changes: Mapping[str, Any], backbone: str | None) -> Settings | None:
    """Return the settings of a new scholar where its first task decides neither about backbone nor shape; else None."""
    changes = dict(changes)
    if backbone not in (None, AUTO, NONE):
        changes["backbone.name"] = backbone
    of_pixels = backbone == NONE and {"image.size", "image.channels"} <= changes.keys()
    if of_pixels or any(key.startswith("backbone.") for key in changes):
        return build(Settings, {}, changes, where="settings")
    return None


def resolve_backbone(
    previous: Scholar | None, settings: Settings, backbone: Backbone | None = None
) -> tuple[Settings, Backbone | None]:
    """Return the settings with what a backbone fixes, and the backbone: the previous scholar's, or a new one's.

    Raises InputError for another backbone than the previous scholar's, and for one with settings of pixels.
    """
    asked = settings.backbone
    if previous is None:
        if asked is None:
            if backbone:
                raise InputError(f"the backbone {backbone.record.name} contradicts these settings, which are of pixels")
            return settings, None
        backbone = backbone or open_backbone(asked, settings.compute)
    else:
        fit = previous.settings.image.fit
        if settings.image.fit != fit:
            raise InputError(
                f"a scholar's image.fit is fixed by its first task: it is {fit}, not {settings.image.fit}; start a new "
                "one"
            )
        known = previous.backbone
        if (known is None) != (asked is None):
            has = f"has the backbone {known.record.name}" if known else "learns pixels"
            raise InputError(f"a scholar's backbone is fixed by its first task, and this one {has}: start a new one")
        if known is None or asked is None:
            return settings, None
        name, _, file = asked.name.partition("=")
        other = file and open_backbone(asked, settings.compute).record.sha256 != known.record.sha256
        if name != known.record.name or other or asked.size not in (None, known.record.size):
            raise InputError(
                f"a scholar's backbone is fixed by its first task: it is {known.record.name} at {known.record.size} "
                f"pixels, not {asked.name} at {asked.size or 'its own'} pixels"
            )
        backbone = known.on(settings.compute)
    record = backbone.record
    fixed = asked.model_copy(update={"name": record.name, "size": record.size})
    image = ImageSettings(size=record.size, channels=3, fit=settings.image.fit)
    return settings.model_copy(update={"backbone": fixed, "image": image}), backbone


def look_at_task(task: Task, backbone: Backbone, settings: Settings, session: Session | None = None) -> Task:
    """Return the task with the features that ``backbone`` sees, reported as the stage "features".

    A task that it has looked at stays as it is. Raises InputError for features of another backbone, and what `look`
    raises.
    """
    session = session or Session()
    if task.train.features is not None and task.test.features is not None:
        if {task.train.seen_by, task.test.seen_by} != {seen_by(backbone, settings.image.fit)}:
            raise InputError(
                f"the features of task {task.name!r} are of another backbone than {backbone.record.name} with "
                f"image.fit={settings.image.fit}: let this one look at the images"
            )
        return task

    def report(done: int, total: int, speed: float) -> None:
        session.on_tick(Tick("features", done, total, {}, speed))

    return look(task, backbone, settings.views, settings.image.fit, on_progress=report, stopping=session.stopping)
