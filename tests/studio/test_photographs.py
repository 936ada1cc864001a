"""A studio of a scholar with a backbone: predictions, no pictures of dreams, and teaching photos."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from photographs import photo_folder, photo_task, photograph, quick
from starlette.testclient import TestClient

from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.studio.app import studio
from scholars.studio.served_scholar import ServedScholar


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Scholar:
    task = photo_task(tmp_path_factory.mktemp("photos"), ("disc", "box"), 10)
    return learn(task, settings=quick(solver__steps=40, audit__dreams=0))


@pytest.fixture
def home(learned: Scholar, tmp_path: Path) -> Path:
    learned.save(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(studio(home), base_url="http://localhost:8000") as client:
        yield client


def photo_file(thing: str, seed: int) -> bytes:
    content = io.BytesIO()
    photograph(thing, seed).save(content, "PNG")
    return content.getvalue()


def test_a_photo_is_seen_as_the_scholar_sees_it(client: TestClient, learned: Scholar) -> None:
    """Resized as the backbone wants it, from its own width and height."""
    (expected,) = learned.predict_proba([photograph("box", 70)])
    found = client.post("/predict", content=photo_file("box", 70)).json()
    assert [guess["class"] for guess in found["guesses"]] == [learned.classes[i] for i in (-expected).argsort()]
    assert [guess["probability"] for guess in found["guesses"]] == pytest.approx(sorted(expected)[::-1], abs=1e-6)


def test_grey_photos_are_taken_too(client: TestClient) -> None:
    content = io.BytesIO()
    photograph("disc", 71).convert("L").save(content, "PNG")
    assert client.post("/predict", content=content.getvalue()).status_code == 200


def test_its_dreams_have_no_picture(client: TestClient) -> None:
    for query in ("n=3", "class=box"):
        answer = client.get(f"/dreams?{query}")
        assert answer.status_code == 422
        assert answer.json() == {"detail": "the dreams of this scholar are features of photos, which have no picture"}


def test_the_first_prediction_waits_for_nothing(home: Path) -> None:
    served = ServedScholar(home)
    first = served.loaded.backbone
    assert first
    assert "engine" in vars(first)
    served.reload()
    again = served.loaded.backbone
    assert again
    assert again is not first
    assert "engine" in vars(again)


def test_photos_of_new_classes_are_taught(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/scholar").json()["backbone"]["licence"] == "Apache-2.0"
    photo_folder(tmp_path / "task", ("leaf",), 8, first=50)
    archive = shutil.make_archive(str(tmp_path / "leaves"), "zip", tmp_path / "task" / "train")
    job = client.post("/tasks?name=leaves", content=Path(archive).read_bytes()).json()
    with client.stream("GET", f"/jobs/{job['id']}", headers={"accept": "text/event-stream"}) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert events[-1]["state"] == "done", events[-1]
    stages = [event["progress"]["stage"] for event in events if event["progress"]]
    assert list(dict.fromkeys(stages)) == ["features", "solver"]
    found = client.get("/scholar").json()
    assert (found["generation"], found["memories"]["count"]) == (2, 3)
    assert "leaf" in [
        guess["class"] for guess in client.post("/predict", content=photo_file("leaf", 72)).json()["guesses"]
    ]
    assert client.post("/generations/1").json()["classes"] == ["box", "disc"]
