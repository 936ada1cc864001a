"""A folder on disk is whole, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from scholars.errors import InputError
from scholars.storage import files, scholar_folder

WEIGHTS = {"solver": {"a": torch.arange(6.0).reshape(2, 3)}, "generator": {"b": torch.ones(2, dtype=torch.int64)}}


def write(folder: Path) -> Path:
    scholar_folder.write_scholar(folder, {"classes": ["x"]}, WEIGHTS)
    return folder


def test_round_trip(tmp_path: Path) -> None:
    description, weights = scholar_folder.read_scholar(write(tmp_path / "scholar"))
    assert description["classes"] == ["x"]
    assert torch.equal(weights["solver"]["a"], WEIGHTS["solver"]["a"])
    assert weights["generator"]["b"].dtype == torch.int64
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "generator.safetensors",
        "scholar",
        "scholar.json",
        "solver.safetensors",
    ]


def test_replacing_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "scholar")
    scholar_folder.write_scholar(tmp_path / "scholar", {"classes": ["y"]}, {"solver": WEIGHTS["solver"]})
    description, weights = scholar_folder.read_scholar(tmp_path / "scholar")
    assert description["classes"] == ["y"]
    assert list(weights) == ["solver"]
    assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def test_what_is_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, describe = write(tmp_path / "scholar"), scholar_folder.read_description
    others = {"solver": {"a": WEIGHTS["solver"]["a"] + 1}}

    def described(place: Path) -> dict[str, Any]:
        found = describe(place)
        if found["classes"] == ["x"]:
            scholar_folder.write_scholar(folder, {"classes": ["y"]}, others)
        return found

    monkeypatch.setattr(scholar_folder, "read_description", described)
    description, weights = scholar_folder.read_scholar(folder)
    assert description["classes"] == ["y"]
    assert torch.equal(weights["solver"]["a"], others["solver"]["a"])


def test_where_names_cannot_be_swapped_the_old_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short when the old one was moved away and the new one not yet there: the old one is read, and replaced."""
    folder = write(tmp_path / "scholar")
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    rename = Path.rename

    def cut_short(self: Path, target: Path) -> Path:
        if target == folder:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", cut_short)
    with pytest.raises(KeyboardInterrupt):
        scholar_folder.write_scholar(folder, {"classes": ["y"]}, WEIGHTS)
    assert not folder.exists()
    assert scholar_folder.is_occupied(folder)
    assert scholar_folder.read_scholar(folder)[0]["classes"] == ["x"]
    monkeypatch.setattr(Path, "rename", rename)
    for classes in (["y"], ["z"]):
        scholar_folder.write_scholar(folder, {"classes": classes}, WEIGHTS)
        assert scholar_folder.read_scholar(folder)[0]["classes"] == classes
        assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def test_what_is_no_scholar_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    with pytest.raises(InputError, match="is not a scholar"):
        write(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.png").read_text() == "cat"
    (tmp_path / "empty").mkdir()
    assert (write(tmp_path / "empty") / scholar_folder.DESCRIPTION).is_file()


def test_a_failed_write_keeps_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "scholar")
    with pytest.raises(ValueError, match="JSON"):
        scholar_folder.write_scholar(tmp_path / "scholar", {"classes": [float("nan")]}, WEIGHTS)
    assert scholar_folder.read_scholar(tmp_path / "scholar")[0]["classes"] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def edit(folder: Path, **changes: object) -> None:
    path = folder / "scholar.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no scholar\.json"):
        scholar_folder.read_scholar(tmp_path)
    folder = write(tmp_path / "altered")
    data = bytearray((folder / "solver.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "solver.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"solver\.safetensors was altered"):
        scholar_folder.read_scholar(folder)
    (folder / "solver.safetensors").unlink()
    with pytest.raises(InputError, match=r"solver\.safetensors is missing"):
        scholar_folder.read_scholar(folder)
    folder = write(tmp_path / "newer")
    edit(folder, format=99)
    with pytest.raises(InputError, match=r"format 99.*update"):
        scholar_folder.read_scholar(folder)
    (folder / "scholar.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        scholar_folder.read_scholar(folder)


@pytest.mark.parametrize("name", ["../solver.safetensors", "/etc/passwd", "solver.pt"])
def test_only_weight_files_of_the_folder_are_read(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "scholar")
    edit(folder, sha256={name: "0"})
    with pytest.raises(InputError, match="not a weight file of this folder"):
        scholar_folder.read_scholar(folder)
