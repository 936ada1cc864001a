"""How many questions a second the studio answers, and how soon: single images, by many clients at once, on loopback.

python benchmarks/serve.py [--scholar FOLDER] [--clients 16] [--seconds 10]

Without a scholar, one of default shape is learned briefly. Starts the studio, warms it up, lets each client send one
image after another, and prints a table; --write adds it to docs/studio.md.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import httpx
import numpy as np
from measuring.marked import marked
from PIL import Image

from scholars import learn, open_task
from scholars.config import build
from scholars.environment import environment
from scholars.settings import ComputeSettings, Settings

PAGE = Path(__file__).parent.parent / "docs" / "studio.md"


def small(folder: Path) -> Path:
    """Networks of default size, hardly trained: what they answer does not matter here."""
    changes = {"solver.steps": 5, "generator.r3gan.steps": 5, "audit.dreams": 0}
    learn(open_task("digits"), settings=build(Settings, {}, changes, where="here")).save(folder)
    return folder


def pictures(count: int = 64) -> list[bytes]:
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(content, "PNG")
        found.append(content.getvalue())
    return found


def served(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "scholars", "serve", str(folder), "--port", str(port)])
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/scholar")
        except OSError:
            time.sleep(0.25)
        else:
            return server, address
    raise SystemExit("the studio did not open")


async def load(address: str, clients: int, seconds: float) -> list[float]:
    """The seconds that each answer took."""
    images, spent = pictures(), list[float]()
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scholar", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        server, address = served(options.scholar or small(Path(scratch) / "scholar"))
        try:
            asyncio.run(load(address, options.clients, 2))
            spent = np.array(asyncio.run(load(address, options.clients, options.seconds)))
        finally:
            server.terminate()
            server.wait()
    here = environment(ComputeSettings())
    lines = [
        "| clients | predictions a second | median, ms | p99, ms |",
        "|---|---|---|---|",
        f"| {options.clients} | {len(spent) / options.seconds:.0f} | {1000 * np.median(spent):.0f} | "
        f"{1000 * np.quantile(spent, 0.99):.0f} |",
        "",
        f"32 x 32 PNGs, a scholar of default size, {options.seconds:.0f} s, clients and studio on the same machine: "
        f"{here['processor']}, {here['cores']} cores, {here['precision']}.",
    ]
    print("\n".join(lines))
    if options.write:
        page = marked(PAGE.read_text(encoding="utf-8"), "serve.py", "\n".join(lines) + "\n")
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
