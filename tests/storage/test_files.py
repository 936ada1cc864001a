"""A file on disk is whole, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scholars.errors import InputError
from scholars.storage import files


def test_a_failed_text_write_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@given(data=st.binary(max_size=200))
def test_any_bytes_as_weights_are_refused_politely(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a readable safetensors file"):
        files.read_tensors(path)


@pytest.mark.parametrize("left", ["", '{"a": 1}\n', '{"a": 1}\n{"a": 2', '{"a', '{"a": 1}\n\x00\x00'])
def test_a_line_that_was_never_finished_is_cut_off(tmp_path: Path, left: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(left)
    files.append_json(path, {"b": "\u00e4"})
    files.append_json(path, {"c": 3})
    whole = [{"a": 1}] if left.startswith('{"a": 1}') else []
    assert [json.loads(line) for line in path.read_text().splitlines()] == [*whole, {"b": "\u00e4"}, {"c": 3}]
