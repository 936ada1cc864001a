"""Ray for as long as something needs it: a cluster that is started here, or one that is there already."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

from scholars.errors import InputError, extra_missing

# Seconds to wait for a cluster to answer at all.
_PATIENCE = 5.0
# Before Ray is imported: it tells nobody of its use, and leaves the keyboard's interrupt to this program.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def imported() -> Any:
    """Ray. Raises InputError where it is not installed."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise extra_missing("this", "ray") from None
    return ray


@contextmanager
def cluster(address: str | None, cpus: int) -> Iterator[None]:
    """Inside, Ray is there: the cluster at ``address``, else one of ``cpus`` on this machine that ends with the block.

    A program that is connected to a cluster already stays with that one. Nothing is printed to standard output inside,
    and SIGTERM is a KeyboardInterrupt.

    address: ``HOST:PORT`` of a cluster of which this machine is a node, or ``auto`` for the one that runs here

    Raises InputError where Ray is not installed, or nothing answers.
    """
    ray = imported()
    with _silence(), ExitStack() as stack:
        if address:
            reachable(address)
        if not ray.is_initialized():
            _connect(ray, address, cpus, stack)
        if threading.current_thread() is threading.main_thread():
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _interrupt))
        yield


def _connect(ray: Any, address: str | None, cpus: int, stack: ExitStack) -> None:
    quiet = {"log_to_driver": False, "configure_logging": True, "logging_level": logging.CRITICAL}
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            # Its sockets are in it, whose paths must be short.
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="scholars-ray-", ignore_cleanup_errors=True)
            )
            ray.init("local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder, **quiet)
        else:
            ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:  # Ray leaves the program by SystemExit
        ray.shutdown()
        where = f"--address {address}" if address else "Ray does not start"
        raise InputError(f"{where}: {str(error).strip() or 'no Ray cluster answers there'}") from None
    stack.callback(ray.shutdown)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def reachable(address: str) -> None:
    """Raise InputError where Ray is not installed, or nothing listens: Ray itself would wait for minutes."""
    imported()
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InputError(
            f"--address {address}: give HOST:PORT of a Ray cluster of which this machine is a node, or auto for the "
            "one that runs here"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"--address {address}: nothing answers there ({error}). `ray start --head` starts a cluster and says its "
            "address"
        ) from None


def available(resource: str) -> float:
    """How much of a resource, as ``CPU`` or ``GPU``, the cluster has that this program is connected to."""
    return float(imported().cluster_resources().get(resource, 0))


def reason(text: str) -> str:
    """In a line what a traceback, or Ray's account of a death, ends in."""
    if "ActorDiedError" in text or "WorkerCrashedError" in text:
        return "its process died: killed, for want of memory, or by a crash"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
    return (named or lines or ["nobody knows of what"])[-1][:300]


@contextmanager
def _silence() -> Iterator[None]:
    """Ray tells programmers what it does, on standard output and in logs; what matters to people is said elsewhere."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.data")]
    levels = [logger.level for logger in loggers]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
