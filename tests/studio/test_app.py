"""The studio's HTTP API, asked as scripts and as strangers would."""

from __future__ import annotations

import errno
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import pytest
from conftest import with_changes
from PIL import Image
from starlette.testclient import TestClient

from scholars.scholar import Scholar
from scholars.studio import app as app_module
from scholars.studio.app import studio
from scholars.studio.security import HEADERS
from scholars.studio.uploads import UploadWriter
from scholars.tasks.task import Task


@pytest.fixture
def home(tmp_path: Path, one: Scholar) -> Path:
    """The folder of a scholar that knows 0 to 4, and learns its next task in a second."""
    continuing(one, generator__steps=2, solver__steps=5, audit__dreams=0).save(tmp_path / "home")
    return tmp_path / "home"


def continuing(scholar: Scholar, **changes: Any) -> Scholar:
    """Return the scholar, which learns its next task with other settings: ``solver__steps=3``."""
    *earlier, last = scholar.lineage
    settings = with_changes(last.settings, **changes)
    return replace(scholar, lineage=(*earlier, last.model_copy(update={"settings": settings})))


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(studio(home), base_url="http://localhost:8000") as client:
        yield client


def png(task: Task, index: int = 0) -> bytes:
    content = io.BytesIO()
    Image.fromarray(task.test.images[index][0]).save(content, "PNG")
    return content.getvalue()


def write_images(task: Task, folder: Path, each: int = 12) -> None:
    """Write the first training images of each class into its folder."""
    for label, name in enumerate(task.classes):
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(task.train.images[task.train.labels == label][:each]):
            Image.fromarray(image[0]).save(folder / name / f"{index}.png")


def zipped(task: Task, each: int = 12) -> bytes:
    """Return a zip file of such folders."""
    with TemporaryDirectory() as folder:
        write_images(task, Path(folder, "task"), each)
        return Path(shutil.make_archive(str(Path(folder, "task")), "zip", Path(folder, "task"))).read_bytes()


def ended(client: TestClient, job: str) -> dict[str, Any]:
    with client.stream("GET", f"/jobs/{job}", headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert events[-1] == client.get(f"/jobs/{job}").json()
    last: dict[str, Any] = events[-1]
    return last


def test_an_image_is_named_as_the_scholar_names_it(client: TestClient, one: Scholar, low: Task) -> None:
    body = png(low)
    (probabilities,) = one.predict_proba([Image.open(io.BytesIO(body))])
    for answer in (client.post("/predict?top=2", content=body), client.post("/predict?top=2", files={"image": body})):
        found = answer.json()
        assert found["generation"] == 1
        assert [guess["class"] for guess in found["guesses"]] == [
            one.classes[i] for i in (-probabilities).argsort()[:2]
        ]
        assert found["guesses"][0]["probability"] == pytest.approx(probabilities.max(), abs=1e-4)
        assert found["unfamiliar"] in (True, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b"GIF89a", "image"),
        (b"<svg/>", "no image in one of the formats"),
        (b"\x89PNG\r\n\x1a\n" * 9, ""),
    ],
)
def test_what_is_no_image_is_refused_with_its_reason(client: TestClient, body: bytes, message: str) -> None:
    answer = client.post("/predict", content=body)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_dreams_repeat_by_their_seed(client: TestClient) -> None:
    first, again, other = (client.get(f"/dreams?n=3&seed={seed}").json()["dreams"] for seed in (1, 1, 2))
    assert first == again != other
    assert first[0]["image"].startswith("data:image/png;base64,")
    assert client.get("/dreams?class=dragon").status_code == 422
    assert client.get("/dreams?n=100000").status_code == 422


def test_a_task_is_taught_and_answers_then(client: TestClient, home: Path, high: Task) -> None:
    assert client.get("/scholar").json()["classes"] == list("01234")
    job = client.post("/tasks?name=more", content=zipped(high)).json()
    assert job["state"] in ("waiting", "learning")
    assert client.get("/scholar").json()["jobs"] == [job["id"]]
    assert client.post("/predict", content=png(high)).json()["generation"] == 1, "it answers while it learns"
    assert client.post("/generations/1").status_code == 409
    outcome = ended(client, job["id"])
    assert outcome["state"] == "done", outcome
    assert outcome["outcome"]["generation"] == 2
    found = client.get("/scholar").json()
    assert (found["generation"], found["lineage"][1]["name"]) == (2, "more")
    (kept,) = found["kept"]
    assert {**kept, "key": "1", "generation": 1, "tasks": ["digits"], "ancestor": True, "place": 0} == kept
    assert client.post("/predict", content=png(high)).json()["generation"] == 2
    assert client.post("/generations/1").json()["generation"] == 1
    assert Scholar.load(home).generation == 1
    assert client.post("/generations/2").json()["generation"] == 2
    for key in ("7", "..%2Fhome", "1%00"):
        assert client.post(f"/generations/{key}").status_code in (404, 422)


def test_a_task_that_cannot_be_learned_says_why_and_runs_nothing_from_the_studios_folder(
    client: TestClient, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scholar may have come with other files in the folder in which the studio was started."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for module in ("filelock", "torch", "numpy"):
        (stranger / f"{module}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.chdir(stranger)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("cat/a.png", b"no image")
    job = client.post("/tasks?name=cats", content=content.getvalue()).json()
    outcome = ended(client, job["id"])
    assert outcome["state"] == "failed"
    assert outcome["error"].startswith("cats: 1 of 1 images cannot be read")
    assert "cat/a.png: is no image" in outcome["error"]
    assert Scholar.load(home).generation == 1
    assert not (tmp_path / "imported").exists()


def test_a_request_that_cannot_be_answered_says_why(client: TestClient) -> None:
    assert client.post("/tasks?name=x", content=b"no zip").status_code == 422
    assert client.post("/tasks", content=b"").status_code == 422
    files = [("files", ("../../evil/a.png", b"x"))]
    assert "leads out" in client.post("/tasks?name=x", files=files).json()["detail"]
    assert client.get("/jobs/nothing").status_code == 404


def test_a_full_disk_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: UploadWriter, name: str) -> BinaryIO:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(UploadWriter, "open", full)
    answer = client.post("/tasks?name=x", files=[("files", ("cat/a.png", b"x"))])
    assert answer.status_code == 507
    assert "No space left on device" in answer.json()["detail"]


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for path in ("/", "/scholar", "/static/studio.js", "/nowhere"):
        assert HEADERS.items() <= dict(client.get(path).headers).items()
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_other_sites_get_nothing(client: TestClient) -> None:
    assert client.get("/scholar", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/scholar", headers={"host": "localhost.evil.example:8000"}).status_code == 421
    assert client.post("/generations/1", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/generations/1", headers={"origin": "null"}).status_code == 403
    assert client.post("/predict", headers={"origin": "http://localhost:8000"}, content=b"x").status_code == 422
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404


def test_too_much_is_refused_announced_or_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "MAX_IMAGE_BYTES", 1000)
    with TestClient(studio(home), base_url="http://localhost") as client:
        assert client.post("/predict", content=bytes(2000)).status_code == 413
        assert client.post("/predict", content=(bytes(600) for _ in range(3))).status_code == 413


def test_others_need_the_token(home: Path) -> None:
    with TestClient(studio(home, token="secret"), base_url="http://192.0.2.1:8000") as client:
        assert client.get("/scholar").status_code == 401
        assert client.get("/scholar", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/scholar", headers={"authorization": "Bearer secret"}).status_code == 200
        opened = client.get("/?token=secret")
        assert opened.status_code == 200
        assert "HttpOnly; SameSite=Strict" in opened.headers["set-cookie"]
        assert client.get("/scholar").status_code == 200  # by the cookie


def test_the_description_is_open(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    paths, schemas = document["paths"], document["components"]["schemas"]
    answer = paths["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert set(schemas[answer.rpartition("/")[2]]["required"]) == {"guesses", "unfamiliar", "generation"}
    assert set(schemas["Guess"]["required"]) == {"class", "probability"}
    assert set(paths) == {
        *("/scholar", "/predict", "/dreams", "/tasks", "/merge", "/forget", "/rename"),
        *("/jobs/{identity}", "/generations/{key}"),
    }
    for path in set(paths) - {"/scholar"}:
        for route in paths[path].values():
            refused = route["responses"]["422"]["content"]["application/json"]["schema"]["$ref"]
            assert schemas[refused.rpartition("/")[2]]["required"] == ["detail"], path
