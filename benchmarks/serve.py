"""How many requests a second the studio answers, and how soon: single images, many clients at once, on loopback.

python benchmarks/serve.py [--scholar FOLDER] [--clients 16] [--seconds 10]

Without a scholar, one of default size is learned briefly. Starts the studio, warms it up, lets each client send one
image after another, and prints a table; --write puts it into docs/studio.md. Takes less than a minute.
"""

from __future__ import annotations

import asyncio
import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from measuring import pages
from PIL import Image

from scholars import Settings, changed, learn, open_task


def learn_briefly(folder: Path) -> Path:
    """Save a scholar of default size, hardly trained: what it answers does not matter here."""
    settings = changed(Settings(), {"solver.steps": 5, "generator.steps": 5, "audit.dreams": 0})
    learn(open_task("digits"), settings=settings).save(folder)
    return folder


def noise_pngs(count: int = 64) -> list[bytes]:
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(content, "PNG")
        found.append(content.getvalue())
    return found


@contextmanager
def running_studio(folder: Path) -> Iterator[str]:
    """Start the studio, yield its address, and stop it. Raises SystemExit if it ends before it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "scholars", "serve", str(folder), "--port", str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            if server.poll() is not None:
                raise SystemExit(f"the studio ended with code {server.returncode} before it answered")
            time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/scholar")
    except OSError:
        return False
    return True


async def send_load(address: str, clients: int, seconds: float) -> list[float]:
    """Let ``clients`` send images for ``seconds``; return the seconds that each answer took."""
    images, spent = noise_pngs(), list[float]()
    until = time.perf_counter() + seconds

    async def one(number: int) -> None:
        async with httpx.AsyncClient(base_url=address) as client:
            turn = number
            while time.perf_counter() < until:
                began = time.perf_counter()
                answer = await client.post("/predict?top=1", content=images[turn % len(images)])
                answer.raise_for_status()
                spent.append(time.perf_counter() - began)
                turn += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return spent


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--scholar", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.scholar or learn_briefly(Path(scratch) / "scholar")
        with running_studio(folder) as address:
            asyncio.run(send_load(address, options.clients, 2))
            spent = np.array(asyncio.run(send_load(address, options.clients, options.seconds)))
    here = pages.this_machine()
    figures = [f"{value:.0f}" for value in (len(spent) / options.seconds, *1000 * np.quantile(spent, (0.5, 0.99)))]
    lines = [
        *pages.table("clients | predictions a second | median, ms | p99, ms", [[options.clients, *figures]]),
        f"32 x 32 PNGs, a scholar of default size, {options.seconds:.0f} s, clients and studio on the same machine: "
        f"{here['processor']}, {here['cores']} cores, {here['precision']}.",
    ]
    print("\n".join(lines))
    if options.write:
        pages.write_section(pages.DOCS / "studio.md", "serve.py", lines)


if __name__ == "__main__":
    main()
