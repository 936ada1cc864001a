"""The command `serve`: open the studio."""

import socket
from typing import Annotated

import typer

from scholars.cli.app import ScholarFolder, app
from scholars.cli.console import print_line, urgent
from scholars.errors import InputError, extra_missing


@app.command()
def serve(
    scholar: ScholarFolder,
    host: Annotated[str, typer.Option(help="The address to listen on; beyond this machine, a token is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Open the studio: use and teach a scholar in a browser. It has an HTTP API, too."""
    try:
        import uvicorn

        from scholars.studio.app import studio
    except ImportError as error:
        raise extra_missing(f"{error}: the studio", "serve") from None
    import asyncio
    import secrets
    import signal

    from scholars.studio.security import LOOPBACK

    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/" + (f"?token={token}" if token else "")
    closing = asyncio.Event()

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            closing.set()
            await super().shutdown(sockets)

    application = studio(scholar, token, closing)
    listener = _listen(host, port)
    print_line(f"The studio is open at {address}  (Ctrl-C closes it)", urgent)
    # Close the studio with its terminal, but not under nohup.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from None
