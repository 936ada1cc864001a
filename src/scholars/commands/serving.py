"""`serve`: the studio."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from scholars.commands.app import ScholarFolder, app
from scholars.errors import InputError, extra_missing
from scholars.terminal import urgent


@app.command()
def serve(
    scholar: ScholarFolder,
    host: Annotated[str, typer.Option(help="The address to listen on; any but this machine's own needs the token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Open the studio: use and teach a scholar in a browser. There is an HTTP API, too."""
    try:
        import uvicorn

        from scholars.serve.app import studio
    except ImportError as error:
        raise extra_missing(f"{error}: the studio", "serve") from None
    import asyncio
    import secrets
    import signal

    from scholars.serve.security import LOOPBACK

    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    closing = asyncio.Event()

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            closing.set()
            await super().shutdown(sockets)

    guarded = studio(scholar, token, closing)
    listening = _listening(host, port)
    urgent.print(f"The studio is open at {address}  (Ctrl-C closes it)", highlight=False, markup=False, soft_wrap=True)
    # The terminal was closed. Under nohup that is to change nothing.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    Server(uvicorn.Config(guarded, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from None
