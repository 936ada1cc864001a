"""A folder on disk is whole, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scholars import store
from scholars.errors import InputError
from scholars.weights import load_weights

WEIGHTS = {"solver": {"a": torch.arange(6.0).reshape(2, 3)}, "generator": {"b": torch.ones(2, dtype=torch.int64)}}


def write(folder: Path) -> Path:
    store.write_scholar(folder, {"classes": ["x"]}, WEIGHTS)
    return folder


def test_round_trip(tmp_path: Path) -> None:
    description, weights = store.read_scholar(write(tmp_path / "scholar"))
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
    store.write_scholar(tmp_path / "scholar", {"classes": ["y"]}, {"solver": WEIGHTS["solver"]})
    description, weights = store.read_scholar(tmp_path / "scholar")
    assert description["classes"] == ["y"]
    assert list(weights) == ["solver"]
    assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def test_what_is_replaced_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, describe = write(tmp_path / "scholar"), store.describe_scholar
    others = {"solver": {"a": WEIGHTS["solver"]["a"] + 1}}

    def described(place: Path) -> dict[str, Any]:
        found = describe(place)
        if found["classes"] == ["x"]:
            store.write_scholar(folder, {"classes": ["y"]}, others)
        return found

    monkeypatch.setattr(store, "describe_scholar", described)
    description, weights = store.read_scholar(folder)
    assert description["classes"] == ["y"]
    assert torch.equal(weights["solver"]["a"], others["solver"]["a"])


def test_where_names_cannot_be_swapped_the_old_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short when the old one was moved away and the new one not yet there: the old one is read, and replaced."""
    folder = write(tmp_path / "scholar")
    monkeypatch.setattr(store, "_swapped", lambda one, other: False)
    rename = Path.rename

    def cut_short(self: Path, target: Path) -> Path:
        if target == folder:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", cut_short)
    with pytest.raises(KeyboardInterrupt):
        store.write_scholar(folder, {"classes": ["y"]}, WEIGHTS)
    assert not folder.exists()
    assert store.occupied(folder)
    assert store.read_scholar(folder)[0]["classes"] == ["x"]
    monkeypatch.setattr(Path, "rename", rename)
    for classes in (["y"], ["z"]):
        store.write_scholar(folder, {"classes": classes}, WEIGHTS)
        assert store.read_scholar(folder)[0]["classes"] == classes
        assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def test_what_is_no_scholar_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    with pytest.raises(InputError, match="is not a scholar"):
        write(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.png").read_text() == "cat"
    (tmp_path / "empty").mkdir()
    assert (write(tmp_path / "empty") / store.DESCRIPTION).is_file()


def test_a_failed_write_keeps_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "scholar")
    with pytest.raises(ValueError, match="JSON"):
        store.write_scholar(tmp_path / "scholar", {"classes": [float("nan")]}, WEIGHTS)
    assert store.read_scholar(tmp_path / "scholar")[0]["classes"] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["scholar"]


def test_a_failed_text_write_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    store.write_text(path, "old")
    with pytest.raises(RuntimeError), store.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def edit(folder: Path, **changes: object) -> None:
    path = folder / "scholar.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no scholar\.json"):
        store.read_scholar(tmp_path)
    folder = write(tmp_path / "altered")
    data = bytearray((folder / "solver.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "solver.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"solver\.safetensors was altered"):
        store.read_scholar(folder)
    (folder / "solver.safetensors").unlink()
    with pytest.raises(InputError, match=r"solver\.safetensors is missing"):
        store.read_scholar(folder)
    folder = write(tmp_path / "newer")
    edit(folder, format=99)
    with pytest.raises(InputError, match=r"format 99.*update"):
        store.read_scholar(folder)
    (folder / "scholar.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        store.read_scholar(folder)


@pytest.mark.parametrize("name", ["../solver.safetensors", "/etc/passwd", "solver.pt"])
def test_only_weight_files_of_the_folder_are_read(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "scholar")
    edit(folder, sha256={name: "0"})
    with pytest.raises(InputError, match="no weight file of this folder"):
        store.read_scholar(folder)


@given(data=st.binary(max_size=200))
def test_any_bytes_as_weights_are_refused_politely(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a readable safetensors file"):
        store.read_tensors(path)


def test_weights_that_do_not_fit_are_named() -> None:
    module = torch.nn.Linear(3, 2)
    with pytest.raises(InputError, match=r"'weight': described float32 \[2, 3\], found float32 \[4, 3\]"):
        load_weights(module, {"weight": torch.zeros(4, 3), "bias": torch.zeros(2)}, "here")
    with pytest.raises(InputError, match=r"'extra': described nothing"):
        load_weights(module, {**module.state_dict(), "extra": torch.zeros(1)}, "here")


@pytest.mark.parametrize("left", ["", '{"a": 1}\n', '{"a": 1}\n{"a": 2', '{"a', '{"a": 1}\n\x00\x00'])
def test_a_line_that_was_never_finished_is_cut_off(tmp_path: Path, left: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(left)
    store.append_json(path, {"b": "\u00e4"})
    store.append_json(path, {"c": 3})
    whole = [{"a": 1}] if left.startswith('{"a": 1}') else []
    assert [json.loads(line) for line in path.read_text().splitlines()] == [*whole, {"b": "\u00e4"}, {"c": 3}]
