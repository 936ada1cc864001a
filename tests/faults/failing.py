"""Let one write to the file system fail. `benchmarks/faults.py` uses it, too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from scholars.storage import files


@contextmanager
def failing_at(number: int, code: int) -> Iterator[list[int]]:
    """Raise OSError at the ``number``-th time that anything is written, moved or synchronised; yield the count."""
    calls = [0]

    def guarded(function: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise OSError(code, os.strerror(code))
            return function(*arguments, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scholars.storage.files.save_file", guarded(save_file))
        patch.setattr(tempfile, "mkstemp", guarded(tempfile.mkstemp))
        patch.setattr(tempfile, "mkdtemp", guarded(tempfile.mkdtemp))
        patch.setattr(os, "fsync", guarded(os.fsync))
        for name in ("write_text", "rename", "replace", "mkdir", "chmod"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        patch.setattr(files, "_exchange", guarded(files._exchange))
        yield calls
