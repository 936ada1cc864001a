"""A file system that fails when it is told to. `benchmarks/faults.py` uses it too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from scholars import store


@contextmanager
def failing_at(number: int, code: int) -> Iterator[list[int]]:
    """The ``number``-th time that anything is to be written, moved or synced, the system says no; counts the times."""
    asked = [0]

    def guarded(function: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            asked[0] += 1
            if asked[0] == number:
                raise OSError(code, os.strerror(code))
            return function(*arguments, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scholars.store.save_file", guarded(save_file))
        patch.setattr(tempfile, "mkstemp", guarded(tempfile.mkstemp))
        patch.setattr(tempfile, "mkdtemp", guarded(tempfile.mkdtemp))
        patch.setattr(os, "fsync", guarded(os.fsync))
        for name in ("write_text", "rename", "replace", "mkdir", "chmod"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        patch.setattr(store, "_swapped", guarded(store._swapped))
        yield asked
