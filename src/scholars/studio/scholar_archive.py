"""Unpack the archive of a scholar that somebody sent. Nothing that it says is trusted."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scholars.errors import InputError, ScholarsError, one_line, printable
from scholars.storage.files import MAX_JSON_BYTES
from scholars.storage.scholar_folder import DESCRIPTION
from scholars.studio.uploads import MAX_BYTES, MAX_DIRECTORY_BYTES, called
from scholars.tasks.archive_formats import ArchiveFormat, Member, open_format
from scholars.tasks.archives import member_path

# A scholar has four files of weights at most.
_MAX_FILES = 16
_WEIGHTS = re.compile(r"[a-z0-9_-]{1,40}\.safetensors", re.ASCII)
_NAMELESS = "the other scholar"


def unpack_scholar(path: Path, folder: Path) -> str:
    """Unpack a zip file of a scholar's folder into the new folder ``folder``; return the scholar's name.

    Its files are at the top, or in one folder, after which it is called then. Raises InputError for an archive that is
    damaged, encrypted or too large, and for one that holds anything else: links, other files, more folders.
    """
    with called(path, "the archive"), path.open("rb") as file:
        try:
            archive = open_format(path, file, MAX_DIRECTORY_BYTES, MAX_BYTES)
            members = _list_members(path, archive)
        except ScholarsError:
            raise
        except Exception as error:  # `zipfile` raises whatever the damage leads to
            raise InputError(f"{path}: is not an archive that can be read: {one_line(error)}") from error
        folder.mkdir()
        for place, member in members.items():
            with (folder / place.name).open("xb") as copy:
                copy.writelines(_blocks(path, archive, member))
    name = next(iter(members)).parent.name
    return name if name and printable(name) else _NAMELESS


def _list_members(path: Path, archive: ArchiveFormat) -> dict[PurePosixPath, Member]:
    """Return the files of the scholar by their paths. Raises InputError for anything else."""
    found: dict[PurePosixPath, Member] = {}
    total = 0
    for member in archive.members():
        place = member_path(member.name, str(path))
        if place is None:
            continue
        if member.kind == "folder" and len(place.parts) == 1:
            continue
        if member.kind != "file" or not _is_of_scholar(place):
            raise InputError(
                f"{path}: holds {str(place)[:100]!r}: the archive of a scholar holds {DESCRIPTION} and .safetensors "
                "files only, at the top or in one folder"
            )
        if place in found:
            raise InputError(f"{path}: holds {str(place)!r} twice; pack it again")
        if member.refused:
            raise InputError(member.refused)
        if place.name == DESCRIPTION and member.size > MAX_JSON_BYTES:
            raise InputError(f"{path}: {DESCRIPTION} is larger than {MAX_JSON_BYTES >> 20} MiB")
        found[place] = member
        total += member.size
        if len(found) > _MAX_FILES or total > MAX_BYTES:
            raise InputError(
                f"{path}: holds more than {_MAX_FILES} files, or unpacks to over {MAX_BYTES >> 20:,} MiB: merge such a "
                "scholar by `scholars merge`"
            )
    if len({place.parent for place in found}) > 1:
        raise InputError(f"{path}: holds files in more than one folder: send one scholar at a time")
    if not any(place.name == DESCRIPTION for place in found):
        raise InputError(f"{path}: holds no {DESCRIPTION}: send a zip file of a scholar's folder")
    return found


def _is_of_scholar(place: PurePosixPath) -> bool:
    return len(place.parts) <= 2 and (place.name == DESCRIPTION or _WEIGHTS.fullmatch(place.name) is not None)


def _blocks(path: Path, archive: ArchiveFormat, member: Member) -> Iterator[bytes]:
    """Yield the content of a member. Raises InputError where it is damaged; a full disk is another error."""
    try:
        yield from archive.blocks(member)
    except Exception as error:  # the same
        raise InputError(f"{path}: {member.name!r} is damaged in the archive: {one_line(error)}") from error
