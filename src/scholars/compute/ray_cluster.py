"""Connect to a Ray cluster, or start one on this machine for as long as it is needed."""

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

from scholars.errors import InputError, import_extra

# Seconds to wait for an address to answer.
_CONNECT_TIMEOUT = 5.0
# Set before Ray is imported: no usage statistics, no logs beside the results, and SIGINT is left to this program.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def import_ray() -> Any:
    """Return the module ``ray``. Raises InputError where it is not installed."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    return import_extra("ray", "ray", "this")


@contextmanager
def cluster(address: str | None, cpus: int) -> Iterator[None]:
    """Connect to the Ray cluster at ``address``, else start one of ``cpus`` here; disconnect at the end of the block.

    A program that is connected to a cluster already uses that one. Inside the block nothing is printed to standard
    output, and SIGTERM raises KeyboardInterrupt.

    address: ``HOST:PORT`` of a cluster of which this machine is a node, or ``auto`` for the one that runs here

    Raises InputError where Ray is not installed, or nothing answers.
    """
    ray = import_ray()
    with _silence(), ExitStack() as stack:
        if address:
            check_reachable(address)
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
            # Ray puts sockets there, whose paths must be short.
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="scholars-ray-", ignore_cleanup_errors=True)
            )
            ray.init("local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder, **quiet)
        else:
            ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:  # Ray may call sys.exit
        ray.shutdown()
        where = f"--address {address}" if address else "Ray does not start"
        raise InputError(f"{where}: {str(error).strip() or 'no Ray cluster answers there'}") from None
    stack.callback(ray.shutdown)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def check_reachable(address: str) -> None:
    """Raise InputError where Ray is not installed, or nothing listens at the address: Ray itself waits for minutes."""
    import_ray()
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InputError(
            f"--address {address}: give HOST:PORT of a Ray cluster of which this machine is a node, or auto for the "
            "one that runs here"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"--address {address}: nothing answers there ({error}). `ray start --head` starts a cluster and says its "
            "address"
        ) from None


def cluster_resource(resource: str) -> float:
    """Return how much of a resource, such as ``CPU`` or ``GPU``, the connected cluster has."""
    return float(import_ray().cluster_resources().get(resource, 0))


def last_error_line(text: str) -> str:
    """Return the error in which a traceback, or a report by Ray, ends, on one line."""
    if "ActorDiedError" in text or "WorkerCrashedError" in text:
        return "its process died: it crashed, or was killed, perhaps for want of memory"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
    return (named or lines or ["no reason is given"])[-1][:300]


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress standard output and Ray's logs inside the block: this package reports what matters."""
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
