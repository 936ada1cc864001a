"""`scholars serve`: where it listens, and what it says."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from command_line import Done, scholars
from starlette.testclient import TestClient

from scholars.scholar import Scholar


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def served(one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Server]:
    """The servers that would have gone on until they are stopped."""
    one.save(tmp_path / "home")
    servers: list[uvicorn.Server] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: servers.append(self))
    return servers


def open_studio(*words: str, cwd: Path) -> tuple[Done, int]:
    port = free_port()
    return scholars("serve", str(cwd / "home"), "--port", str(port), *words, cwd=cwd), port


def test_for_others_a_token_is_printed_once_and_asked_for(served: list[uvicorn.Server], tmp_path: Path) -> None:
    done, port = open_studio("--host", "0.0.0.0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ((address, token),) = re.findall(r"(http://\S+\?token=(\S+))", done.stdout + done.stderr)
    assert (done.stdout + done.stderr).count(token) == 1
    assert len(token) >= 32
    app: Any = served[0].config.app
    with TestClient(app, base_url=f"http://192.0.2.1:{port}") as client:
        assert client.get("/scholar").status_code == 401
        assert client.get("/scholar", headers={"authorization": f"Bearer {token}"}).status_code == 200
    again, _ = open_studio("--host", "0.0.0.0", cwd=tmp_path)
    assert token not in again.stderr
    assert address.startswith(f"http://0.0.0.0:{port}/")


def test_for_this_machine_there_is_none(served: list[uvicorn.Server], tmp_path: Path) -> None:
    done, port = open_studio(cwd=tmp_path)
    assert f"http://127.0.0.1:{port}/ " in done.stderr
    assert "token" not in done.stderr


def test_a_port_that_is_taken_is_said(served: list[uvicorn.Server], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = scholars("serve", "home", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert done.returncode == 2
    assert "choose another --port" in " ".join(done.stderr.split())
