"""Find the scholar from which a folder's next task is learned, and the settings with which it would be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.learning.looking import AUTO, NONE, Choice, choose_settings, decided_settings
from scholars.learning.minutes import forget_budget
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.settings.overrides import changed
from scholars.storage import scholar_folder
from scholars.storage.records import ScholarDescription
from scholars.tasks.task import Task


def settings_of(
    folder: Path, origin: Path | None, changes: Mapping[str, Any], backbone: str | None = None, task: Task | None = None
) -> Settings | None:
    """Return the settings with which the scholar in ``folder`` would learn its next task.

    task: the first one, whose images decide whether a new scholar has a backbone, and in which shape one of pixels
        learns; without it, None where they decide
    """
    known = _description(folder, origin)
    if known is None and task is None:
        return decided_settings(changes, backbone)
    return choose_next(known.lineage[-1].settings if known else None, changes, backbone, task).settings


def known_classes(folder: Path, origin: Path | None) -> tuple[str, ...]:
    """Return the classes that the scholar in ``folder`` knows, or will know when it is begun; none of a new one."""
    known = _description(folder, origin)
    return known.classes if known else ()


def choose_next(
    before: Settings | None, changes: Mapping[str, Any] | None, backbone: str | None, task: Task | None
) -> Choice:
    """Return the settings to learn with: the last task's, ``before``, with the changes; or those of a new scholar."""
    if before is None:
        assert task is not None
        return choose_settings(task, changes, backbone)
    changes = dict(changes or {})
    if backbone not in (None, AUTO, NONE):
        changes["backbone.name"] = backbone
    if (backbone == NONE) if before.backbone else any(key.startswith("backbone.") for key in changes):
        has = f"has the backbone {before.backbone.name}" if before.backbone else "learns pixels"
        raise InputError(f"a scholar's backbone is fixed by its first task, and this one {has}: start a new one")
    # The machine may be another one.
    return Choice(changed(forget_budget(before).model_copy(update={"compute": ComputeSettings()}), changes), "")


def load_previous(folder: Path, origin: str | Path | None) -> Scholar | None:
    """Return the scholar from which the next task is learned; None of a new one."""
    place = _place(folder, origin)
    return Scholar.load(place) if place else None


def _description(folder: Path, origin: str | Path | None) -> ScholarDescription | None:
    """Return the description of the scholar that `load_previous` loads, without its networks."""
    place = _place(folder, origin)
    return scholar_folder.read_known(place) if place else None


def _place(folder: Path, origin: str | Path | None) -> Path | None:
    """Return where the scholar is that learns next; None of a new one."""
    if origin is None:
        return folder if scholar_folder.is_occupied(folder) else None
    # Both are there when a process died as soon as it had learned: see `already_learned`.
    if folder.exists() and scholar_folder.work_folder(folder).is_dir():
        return folder
    check_absent(folder)
    return Path(origin)


def check_absent(folder: Path) -> None:
    """Raise InputError for a folder that is there, where a new scholar would start from another's copy."""
    if folder.exists():
        raise InputError(f"{folder} is there already; --from starts a new scholar: choose a folder that is not")
