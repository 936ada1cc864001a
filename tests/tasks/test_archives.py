"""Archives of image folders: read as folders are, and nothing that they say is believed."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from scholars.errors import InputError
from scholars.tasks import archives, decoding
from scholars.tasks.archive_formats import open_format
from scholars.tasks.archives import Archive, open_tree, read_path
from scholars.tasks.open import open_task

from .image_folders import fill, levels, png, put

PETS = {f"{name}/{n}.png": png(10 * place + n) for place, name in enumerate(("cat", "dog")) for n in range(4)}
KINDS = ("zip", "tar", "tar.gz", "tgz")


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive, of the kind that its name says; names that end in a slash are folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tarred:
        for name, content in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size, info.type = len(content), tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tarred.addfile(info, io.BytesIO(content))
    return path


def below(prefix: str, files: Mapping[str, bytes] = PETS) -> dict[str, bytes]:
    return {f"{prefix}/{name}": content for name, content in files.items()}


def refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_task(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", [None, "photos", "a/photos"])
def test_an_archive_is_read_as_its_folder_is(tmp_path: Path, kind: str, outer: str | None) -> None:
    path = pack(tmp_path / f"pets.{kind}", PETS if outer is None else below(outer))
    task = open_task(path, size=8)
    assert (task.name, task.classes) == ("pets", ("cat", "dog"))
    with zipfile.ZipFile(pack(tmp_path / "again.zip", PETS)) as zipped:
        zipped.extractall(tmp_path / "pets")
    folder = open_task(tmp_path / "pets", size=8)
    for part in ("train", "test"):
        assert levels(task, part) == levels(folder, part)
    assert np.array_equal(task.train.digests, folder.train.digests)
    assert task.notes == (() if outer is None else ("the classes are the folders in 'photos': cat, dog",))


def test_an_archive_made_by_shutil(tmp_path: Path) -> None:
    fill(tmp_path / "photos")
    for format in ("zip", "tar", "gztar"):
        task = open_task(Path(shutil.make_archive(str(tmp_path / "all"), format, tmp_path, "photos")))
        assert (task.name, task.classes) == ("all", ("a", "b"))


def test_parts_choices_and_known_classes(tmp_path: Path) -> None:
    files = {"train/cat/0.png": png(0), "train/dog/0.png": png(1), "test/cat/0.png": png(2), "test/dog/0.png": png(3)}
    task = open_task(pack(tmp_path / "parts.zip", below("outer", files)))
    assert (levels(task, "train"), levels(task, "test")) == ([(0, "cat"), (1, "dog")], [(2, "cat"), (3, "dog")])
    assert task.notes == ()
    path = pack(tmp_path / "pets.zip", below("photos"))
    assert open_task(path, classes=("dog",)).classes == ("dog",)
    for task in (open_task(path, classes=("photos",)), open_task(path, known=("photos",))):
        assert task.classes == ("photos",)
        assert "class 'photos' is of the images in the folders cat, dog" in task.notes


def test_what_is_left_out_is_counted_wherever_it_is(tmp_path: Path) -> None:
    others = ("LICENSE", "docs/how.txt", "photos/readme.txt", "photos/cat/clip.mov")
    unseen = ("__MACOSX/photos/cat/._0.png", "photos/.DS_Store", "photos/cat/Thumbs.db", "photos/.git/x.png")
    files = below("photos") | dict.fromkeys((*others, *unseen), b"x") | {"photos/cover.png": png(99)}
    path = pack(tmp_path / "pets.zip", files)
    refused(path, r"photos: holds images and folders: is it a class, or is each of them one\?")
    del files["photos/cover.png"]
    task = open_task(pack(tmp_path / "pets.zip", files))
    assert task.classes == ("cat", "dog")
    assert sorted((each.ending, each.reason) for each in task.skipped) == [
        ("", "no images"),
        (".mov", "videos"),
        (".txt", "no images"),
        (".txt", "no images"),
    ]


def test_the_rules_of_folders_hold(tmp_path: Path) -> None:
    refused(pack(tmp_path / "flat.zip", {"0.png": png(0), "1.png": png(1)}), "images, but not in a folder")
    refused(pack(tmp_path / "none.zip", {"cat/notes.txt": b"x"}), r"no image in cat .*left out 1 file: 1 \.txt")
    refused(pack(tmp_path / "empty.zip", {}), "no folder with images")
    groups = below("pets") | {"cars/0.png": png(1), "cars/1.png": png(2)}
    refused(
        pack(tmp_path / "groups.zip", groups), r"groups\.zip/pets: holds no image of its own.*give .*groups\.zip/pets"
    )
    assert open_task(tmp_path / "groups.zip" / "pets").classes == ("cat", "dog")
    assert open_task(tmp_path / "groups.zip" / "pets").name == "pets"
    refused(tmp_path / "groups.zip" / "birds", "has no folder 'birds'")
    with pytest.warns(UserWarning, match="no image in birds"):
        assert open_task(pack(tmp_path / "birds.tar", PETS | {"birds/": b""})).classes == ("cat", "dog")


def test_images_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    path = pack(tmp_path / "pets.zip", PETS | {"cat/empty.png": b"", "dog/page.jpg": b"<html>"})
    refused(
        path, r"2 of 10 images cannot be read; replace or remove:\n  cat/empty\.png: is empty\n  dog/page\.jpg: is no"
    )
    task = open_task(path, skip_unreadable=True)
    assert len(task.train) + len(task.test) == 8
    assert sorted(each.ending for each in task.skipped) == [".jpg", ".png"]


def test_damage_inside_is_said_of_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    path = pack(tmp_path / "pets.zip", {"cat/a.png": noise, **PETS})
    content = bytearray(path.read_bytes())
    content[500:900] = bytes(400)
    path.write_bytes(content)
    refused(path, r"cat/a\.png: is damaged in the archive: ")


def test_a_directory_that_lies_about_sizes(tmp_path: Path) -> None:
    """No more is unpacked than it says; what is more or less than that is damaged."""
    for said in (100, 2**22 + 1):
        path = pack(tmp_path / f"{said}.zip", {"cat/a.png": bytes(2**22), **PETS})
        with zipfile.ZipFile(path) as zipped:
            size = zipped.getinfo("cat/a.png").file_size
        path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), said.to_bytes(4, "little")))
        refused(path, r"cat/a\.png: is (damaged|cut off) in the archive")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../cat/a.png", "/etc/a.png", "cat/../../a.png", "..\\cat\\a.png", "C:/cat/a.png"])
def test_names_that_lead_out_are_refused(name: str, kind: str, tmp_path: Path) -> None:
    refused(pack(tmp_path / f"x.{kind}", {name: b"1"}), "leads out of the archive")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"cat/a.png": b"1", "cat/a.png/b.png": b"2"}, r"'cat/a\.png' is both a file and a folder"),
        ({"cat/a.png/b.png": b"2", "cat/a.png": b"1"}, r"holds 'cat/a\.png' twice"),
        ({"cat/a.png": b"1", "cat/./a.png": b"1"}, r"holds 'cat/a\.png' twice"),
        ({"c/" * 101 + "a.png": b"1"}, "more than 100 folders deep"),
    ],
)
def test_names_that_contradict_each_other(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    refused(pack(tmp_path / "x.zip", files), said)
    refused(pack(tmp_path / "x.tar", files), said)


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for mode, what in ((stat.S_IFLNK, "a link"), (stat.S_IFIFO, "no plain file")):
        info = zipfile.ZipInfo("cat/a.png")
        info.external_attr = (mode | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
            zipped.writestr(info, "/etc/passwd")
        refused(tmp_path / "x.zip", rf"'cat/a\.png' is {what}: an archive of images holds files only")
    for kind, what in ((tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.FIFOTYPE, "no plain file")):
        member = tarfile.TarInfo("cat/a.png")
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "x.tar", "w") as tarred:
            tarred.addfile(member)
        refused(tmp_path / "x.tar", rf"'cat/a\.png' is {what}")


def test_encrypted_images_and_other_packing_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"cat/a.png": b"1"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    refused(path, r"'cat/a\.png' is encrypted; unpack the archive with its password")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as zipped:
            zipped.writestr("cat/a.png", bytes(2**22))
        refused(path, "packed by another method than deflate")
    pack(path, PETS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as zipped:
        zipped.writestr("notes.txt", "which nobody unpacks")
    assert open_task(path).classes == ("cat", "dog")


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MIN_BYTES", 2**20)
    bomb = {"cat/a.png": bytes(2**22), "cat/b.png": bytes(2**22)}
    refused(
        pack(tmp_path / "x.zip", bomb), "unpack to over 1 MiB in all, the most that is read of this archive: unpack it"
    )
    refused(pack(tmp_path / "x.tgz", bomb), "unpacks to more than 1 MiB")
    monkeypatch.undo()
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 2**20)
    refused(pack(tmp_path / "y.zip", PETS | bomb), r"cat/a\.png: is larger than 1 MiB")
    for limits, said in (
        (archives.Limits(files=5), "more than 5 files and folders: unpack it, and give the folder"),
        (archives.Limits(directory=50), "lists more files than are read from one archive"),
    ):
        with pytest.raises(InputError, match=said):
            Archive(pack(tmp_path / "many.zip", PETS), limits)


def test_an_archive_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = pack(tmp_path / "x.zip", PETS)
    monkeypatch.setattr(Path, "open", forbidden)
    refused(path, "cannot be read: Permission denied")


@pytest.mark.parametrize("comment", [b"", b"PK and more"])
def test_the_list_of_a_zip64_file_is_measured_too(
    comment: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in PETS.items():
            zipped.writestr(name, content)
        zipped.comment = comment
    assert b"PK\6\6" in path.read_bytes()
    assert open_task(path).classes == ("cat", "dog")
    with pytest.raises(InputError, match="lists more files"):
        Archive(path, archives.Limits(directory=300))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_archive_or_cut_off(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    for content in (b"", b"not an archive" * 100):
        path.write_bytes(content)
        refused(path, "is not an archive that can be read|cannot be unpacked")
    whole = pack(path, PETS).read_bytes()
    for part in (0.3, 0.5, 0.8):
        path.write_bytes(whole[: int(len(whole) * part)])
        refused(path, "is not an archive that can be read|cannot be unpacked|cut off")


def test_a_tar_file_that_is_damaged_between_its_files_is_not_read_in_part(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", PETS)
    content = bytearray(path.read_bytes())
    place = content.index(b"dog/0.png")
    content[place : place + 500] = b"\xff" * 500
    path.write_bytes(content)
    refused(path, "is cut off or damaged")
    path.write_bytes(gzip.compress(bytes(content)))
    path = path.rename(tmp_path / "x.tgz")
    refused(path, "is cut off or damaged")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_large_file_is_read_in_blocks(tmp_path: Path, kind: str) -> None:
    content = bytes(range(256)) * 10_000
    path = pack(tmp_path / f"large.{kind}", {"first": b"1", "large": content})
    with path.open("rb") as file:
        archive = open_format(path, file, 1000, 2**30)
        (large,) = (member for member in archive.members() if member.name == "large")
        blocks = list(archive.blocks(large))
    assert b"".join(blocks) == content
    assert max(map(len, blocks)) <= 2**20


def test_names_as_macos_and_windows_write_them(tmp_path: Path) -> None:
    files = {f"Zo\u00eb/{n}.png": png(n) for n in range(3)} | {f"dog\\{n}.png": png(9 + n) for n in range(3)}
    path = pack(tmp_path / "x.zip", files)
    content = path.read_bytes()
    assert b"\0\x08\x08\0" in content
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # without the flag that names are UTF-8
        parts = content.split(signature)
        at = place - 4
        content = signature.join([parts[0], *(part[: at + 1] + b"\0" + part[at + 2 :] for part in parts[1:])])
    path.write_bytes(content)
    with zipfile.ZipFile(path) as zipped:
        assert not any(info.flag_bits for info in zipped.infolist())
    assert open_task(path).classes == ("dog", "Zo\u00eb")


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_read_at_once(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    files = {f"c/{n}.png": rng.integers(0, 256, 20_000, np.uint8).tobytes() for n in range(60)}
    path = pack(tmp_path / f"x.{kind}", files)
    tree, _ = open_tree(path) or (None, None)
    assert tree
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tree.read, [*files] * 5))
    assert found == [*files.values()] * 5


def test_a_path_leads_into_an_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", PETS)
    assert read_path(f"{path}/dog/1.png") == PETS["dog/1.png"]
    with pytest.raises(OSError, match="is no file of the archive"):
        read_path(f"{path}/dog/7.png")
    pack(path, {"dog/7.png": b"written since"})
    assert read_path(f"{path}/dog/7.png") == b"written since"
    put(tmp_path / "folder.zip" / "dog" / "1.png", 7)
    assert read_path(str(tmp_path / "folder.zip" / "dog" / "1.png")).startswith(b"\x89PNG")
    fill(tmp_path / "folder.zip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "a" in open_task(tmp_path / "folder.zip", classes=("a", "b")).classes
