"""The archive of a scholar, as somebody sends it: its files alone, wherever they say they belong."""

from __future__ import annotations

import errno
import io
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import same_weights

from scholars.errors import InputError
from scholars.scholar import Scholar
from scholars.studio import scholar_archive
from scholars.studio.scholar_archive import unpack_scholar

Files = dict[str, bytes]


@pytest.fixture
def files(one: Scholar, tmp_path: Path) -> Files:
    """The files of a scholar, by their names."""
    one.save(tmp_path / "source")
    return {path.name: path.read_bytes() for path in (tmp_path / "source").iterdir()}


def packed(tmp_path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return tmp_path / "archive.zip"


def refused(tmp_path: Path, path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        unpack_scholar(path, tmp_path / "unpacked")
    assert str(tmp_path) not in str(caught.value), "who sent it does not know where it is stored"


@pytest.mark.parametrize(
    ("folder", "name"), [("", "the other scholar"), ("pets/", "pets"), ("a\x1bb/", "the other scholar")]
)
def test_a_scholar_comes_through_at_the_top_or_in_a_folder(
    one: Scholar, files: Files, tmp_path: Path, folder: str, name: str
) -> None:
    members = {f"{folder}{file}": content for file, content in files.items()}
    # As the programs of some systems pack it.
    members |= {f"{folder}.DS_Store": b"x", f"__MACOSX/{folder}._scholar.json": b"x"}
    if folder:
        members = {folder: b"", **members}
    assert unpack_scholar(packed(tmp_path, members), tmp_path / "unpacked") == name
    assert {path.name for path in (tmp_path / "unpacked").iterdir()} == files.keys()
    assert same_weights(Scholar.load(tmp_path / "unpacked"), one)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.safetensors", "leads out of the archive"),
        ("/evil.safetensors", "leads out of the archive"),
        ("..\\evil.safetensors", "leads out of the archive"),
        ("C:/evil.safetensors", "leads out of the archive"),
        ("run.py", r"the archive: holds 'run\.py': .* scholar\.json and \.safetensors files only"),
        ("scholar.json/a.safetensors", "more than one folder"),
        ("a/b/c.safetensors", r"holds 'a/b/c\.safetensors'"),
        ("a/b/", "holds 'a/b'"),
        ("other/solver.safetensors", "more than one folder"),
        ("sol\nver.safetensors", "files only"),
        ("solver.safetensors.exe", "files only"),
    ],
)
def test_what_is_no_file_of_a_scholar_is_refused(files: Files, tmp_path: Path, name: str, said: str) -> None:
    refused(tmp_path, packed(tmp_path, files | {name: b""}), said)
    assert not (tmp_path / "unpacked").exists()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO])
def test_links_and_pipes_are_refused(files: Files, tmp_path: Path, kind: int) -> None:
    path = packed(tmp_path, files)
    link = zipfile.ZipInfo("extra.safetensors")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path, path, r"holds 'extra\.safetensors'")


def test_two_files_of_one_name_are_refused(files: Files, tmp_path: Path) -> None:
    path = packed(tmp_path, files)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("scholar.json", b"{}")
    refused(tmp_path, path, r"holds 'scholar\.json' twice")


def test_too_much_is_refused_by_what_it_says_it_unpacks_to(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"part{number}.safetensors": b"" for number in range(20)}
    refused(tmp_path, packed(tmp_path, files | many), "holds more than 16 files")
    monkeypatch.setattr(scholar_archive, "MAX_JSON_BYTES", 2**20)
    refused(tmp_path, packed(tmp_path, files | {"scholar.json": bytes(2**21)}), r"scholar\.json is larger than 1 MiB")
    monkeypatch.setattr(scholar_archive, "MAX_BYTES", 2**22)
    path = packed(tmp_path, files | {"bomb.safetensors": bytes(2**23)})
    assert path.stat().st_size < 2**20
    refused(tmp_path, path, "unpacks to over 4 MiB: merge such a scholar by `scholars merge`")
    monkeypatch.setattr(scholar_archive, "MAX_DIRECTORY_BYTES", 100)
    refused(tmp_path, packed(tmp_path, files | many), "lists more files than are read")


def test_no_more_is_unpacked_than_the_archive_says(files: Files, tmp_path: Path) -> None:
    """A bomb that says it is small: of its 4 MiB no more than the 10 bytes it admits to."""
    path = packed(tmp_path, files | {"bomb.safetensors": bytes(2**22)})
    content = path.read_bytes()
    size = (2**22).to_bytes(4, "little")
    assert content.count(size) == 2, "in the member's header and in the list of files"
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    refused(tmp_path, path, "is damaged in the archive")
    left = tmp_path / "unpacked" / "bomb.safetensors"
    assert left.stat().st_size <= 10


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_packing_are_refused(files: Files, tmp_path: Path, method: int) -> None:
    refused(tmp_path, packed(tmp_path, files, method), "the archive")


def test_an_encrypted_one_is_refused(files: Files, tmp_path: Path) -> None:
    path = packed(tmp_path, files, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = -1
    while (at := content.find(b"PK\1\2", at + 1)) >= 0:
        content[at + 8] |= 1
    path.write_bytes(content)
    refused(tmp_path, path, "is encrypted")


def test_what_is_damaged_or_no_scholar(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(b"not a zip")
    refused(tmp_path, path, "the archive: is not an archive that can be read")
    refused(tmp_path, packed(tmp_path, {}), r"holds no scholar\.json: send a zip file of a scholar's folder")
    weights = {name: content for name, content in files.items() if name != "scholar.json"}
    refused(tmp_path, packed(tmp_path, weights), r"holds no scholar\.json")
    path = packed(tmp_path, files, zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(files["solver.safetensors"], files["solver.safetensors"][::-1]))
    refused(tmp_path, path, r"'solver\.safetensors' is damaged in the archive")


def test_a_full_disk_is_no_fault_of_the_archive(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, files)

    class Full(io.BytesIO):
        def writelines(self, lines: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r": Full() if mode == "xb" else before(self, mode))
    with pytest.raises(OSError, match="No space left"):
        unpack_scholar(path, tmp_path / "unpacked")
