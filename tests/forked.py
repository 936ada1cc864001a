"""Start the command line, or a function, in a process of its own that need not import torch: that takes seconds.

The process is forked from a server that has imported everything, and has no threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = get_context("forkserver")
_MODULES = ("cli.main", "learning.lifelong", "inference.bulk", "tasks.digits", "generators.flow", "solvers.cnn")
_CONTEXT.set_forkserver_preload(["torchvision", "lightning_fabric", *(f"scholars.{name}" for name in _MODULES)])


def start(function: Callable[..., object], *args: Any) -> ForkServerProcess:
    """Start ``function(*args)``; both are sent by pickle."""
    process = _CONTEXT.Process(target=function, args=args, daemon=True)
    process.start()
    return process


def start_scholars(*words: str, output: Path | None = None) -> ForkServerProcess:
    """Start ``scholars WORDS``.

    output: the file that stdout and stderr are written to; None: nowhere
    """
    return start(run_main, words, output)


def run_scholars(*words: str) -> None:
    """Run ``scholars WORDS``, which must succeed."""
    process = start_scholars(*words)
    process.join(300)
    assert process.exitcode == 0


def run_main(words: Sequence[str], output: Path | None) -> None:
    """Run ``scholars WORDS`` in this process, with its output in a file, and exit."""
    file = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT, 0o666)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.argv = ["scholars", *words]
    from scholars.cli.main import main

    main()
