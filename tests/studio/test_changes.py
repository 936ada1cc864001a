"""Merging, forgetting and renaming over HTTP: what is known then, what is kept, and what is refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import same_weights, with_changes
from photographs import arrays, quick
from starlette.testclient import TestClient

from scholars.errors import InputError, Interrupted
from scholars.learning.algebra import merge
from scholars.learning.algebra_folders import merge_into
from scholars.learning.algorithm import learn
from scholars.learning.callbacks import Callbacks
from scholars.scholar import Scholar
from scholars.storage.scholar_folder import work_folder
from scholars.studio.app import studio
from scholars.tasks.task import Task

from .test_app import continuing, ended, png

QUICK: dict[str, Any] = {"generator__steps": 2, "solver__steps": 5, "audit__dreams": 0}


@pytest.fixture
def home(tmp_path: Path, one: Scholar) -> Path:
    """The folder of a scholar that knows 0 to 4, and learns from dreams in a second."""
    continuing(one, **QUICK).save(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(studio(home), base_url="http://localhost:8000") as client:
        yield client


@pytest.fixture(scope="module")
def other(high: Task, one: Scholar) -> Scholar:
    """A scholar that learned 5 to 9, and nothing before."""
    return learn(replace(high, name="high"), settings=with_changes(one.settings, **QUICK), seed=3)


def zipped(scholar: Scholar, folder: Path, name: str = "other") -> bytes:
    """Return the archive of the scholar's folder."""
    scholar.save(folder / name)
    return Path(shutil.make_archive(str(folder / name), "zip", folder, name)).read_bytes()


def done(client: TestClient, answer: Any) -> dict[str, Any]:
    """Return the outcome of a job that was accepted."""
    assert answer.status_code == 202, answer.json()
    job = ended(client, answer.json()["id"])
    assert job["state"] == "done", job
    outcome: dict[str, Any] = job["outcome"]
    return outcome


def classes(client: TestClient) -> list[str]:
    found: list[str] = client.get("/scholar").json()["classes"]
    return found


def guessed(client: TestClient, task: Task) -> set[str]:
    answer = client.post("/predict?top=1000", content=png(task)).json()
    return {guess["class"] for guess in answer["guesses"]}


def test_a_forgotten_class_is_never_predicted_and_one_can_go_back(
    client: TestClient, home: Path, one: Scholar, low: Task
) -> None:
    """Nor is it there for a job that was sent before it was forgotten."""
    accepted = client.post("/forget", json={"classes": ["3", "1", "3"]})
    assert (accepted.json()["kind"], accepted.json()["name"]) == ("forget", "3, 1")
    late = client.post("/rename", json={"old": "3", "new": "three"}).json()
    assert client.post("/generations/1").status_code == 409
    assert done(client, accepted) == {"generation": 2, "classes": 3}
    notes = client.get(f"/jobs/{accepted.json()['id']}").json()["notes"]
    assert any("approximate" in note for note in notes)
    assert any("warning: still there" in note and "home.gen-1, generation 1, knows 3, 1" in note for note in notes)
    late = ended(client, late["id"])
    assert (late["state"], "knows no class '3'" in late["error"]) == ("failed", True)
    assert classes(client) == ["0", "2", "4"]
    assert guessed(client, low) == {"0", "2", "4"}
    found = client.get("/scholar").json()
    assert [(record["kind"], record["parents"]) for record in found["lineage"]] == [("learn", []), ("forget", [0])]
    (kept,) = found["kept"]
    assert (kept["key"], kept["place"], kept["ancestor"]) == ("1", 0, True)
    back = client.post("/generations/1").json()
    assert back["classes"] == list("01234")
    assert guessed(client, low) == set("01234")
    assert same_weights(Scholar.load(home), one)
    (kept,) = back["kept"]
    assert (kept["key"], kept["kind"], kept["place"]) == ("2", "forget", None)
    assert client.post("/generations/2").json()["classes"] == ["0", "2", "4"]


def test_a_renamed_class_answers_by_its_new_name_and_one_can_go_back(client: TestClient, one: Scholar) -> None:
    """The weights are the same ones: only the name tells both generations apart."""
    renamed = client.post("/rename", json={"old": "3", "new": "three"})
    assert renamed.json()["name"] == "3 to three"
    assert done(client, renamed) == {"generation": 1, "classes": 5}
    assert classes(client) == ["0", "1", "2", "three", "4"]
    (kept,) = client.get("/scholar").json()["kept"]
    assert (kept["key"], kept["place"]) == ("1", 0)
    assert client.post("/generations/1").json()["classes"] == list(one.classes)
    assert client.post("/generations/1-2").json()["classes"] == ["0", "1", "2", "three", "4"]


def test_another_scholar_is_merged_in_and_one_can_go_back(
    client: TestClient, home: Path, other: Scholar, tmp_path: Path
) -> None:
    accepted = client.post("/merge", content=zipped(other, tmp_path, "pets"))
    assert (accepted.json()["kind"], accepted.json()["name"]) == ("merge", "pets")
    assert done(client, accepted) == {"generation": 2, "classes": 10}
    found = client.get("/scholar").json()
    assert found["classes"] == list("0123456789")
    assert [record["kind"] for record in found["lineage"]] == ["learn", "learn", "merge"]
    assert found["lineage"][2]["parents"] == [0, 1]
    (kept,) = found["kept"]
    place = [record["name"] for record in found["lineage"]].index("digits")
    assert (kept["key"], kept["place"]) == ("1", place)
    assert same_weights(Scholar.load(home), merge([Scholar.load(home.with_name("home.gen-1")), other]))
    assert client.post("/generations/1").json()["classes"] == list("01234")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/forget", {"classes": ["three"]}, "this scholar knows no class 'three'"),
        ("/forget", {"classes": ["3", "dragon"]}, "this scholar knows no class 'dragon'"),
        ("/forget", {"classes": []}, "name one class or more"),
        ("/forget", {"classes": list("1234")}, "a scholar needs 2 classes or more, and 1 would be left"),
        ("/forget", {"classes": "3"}, "classes: Input should be a valid list"),
        ("/forget", {"classes": ["3"] * 1001}, "at most 1000 items"),
        ("/forget", {}, "classes: Field required"),
        ("/forget", [], "body: "),
        ("/rename", {"old": "dragon", "new": "x"}, "this scholar knows no class 'dragon'"),
        ("/rename", {"old": "3", "new": "3"}, "the class is called '3' already"),
        ("/rename", {"old": "3", "new": " "}, "is no name for a class"),
        ("/rename", {"old": "3", "new": "x\x1b[2J"}, "control character"),
        ("/rename", {"old": "3", "new": "x" * 201}, "new: String should have at most 200"),
        ("/rename", {"old": "3"}, "new: Field required"),
    ],
)
def test_what_cannot_be_changed_is_refused_at_once_in_a_sentence(
    client: TestClient, home: Path, path: str, body: object, said: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert client.get("/scholar").json()["jobs"] == []
    assert not list(home.parent.glob("home.gen-*"))


def damaged(content: bytes, name: str, change: bytes) -> bytes:
    """Return the archive with another content of a file."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(found, "w") as new:
        for member in old.namelist():
            new.writestr(member, change if member.endswith(name) else old.read(member))
    return found.getvalue()


def test_an_archive_that_is_no_scholar_to_merge_with_is_refused_at_once(
    client: TestClient, home: Path, other: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    good = zipped(other, tmp_path)
    with_script = io.BytesIO(good)
    with zipfile.ZipFile(with_script, "a") as archive:
        archive.writestr("other/setup.py", "print('run')")
    for content, said in [
        (b"", "is not an archive that can be read"),
        (with_script.getvalue(), r"the archive: holds 'other/setup.py'"),
        (damaged(good, "solver.safetensors", b"x"), "other/solver.safetensors was altered or damaged"),
        (damaged(good, "scholar.json", b"{}"), "other has format None"),
        (zipped(Scholar.load(home), tmp_path, "same"), "scholars 1 and 2 are the same one"),
    ]:
        answer = client.post("/merge", content=content)
        assert answer.status_code == 422, said
        assert said in answer.json()["detail"]
        assert str(tmp_path) not in answer.json()["detail"], "who sent it does not know where it is stored"
        assert not list(temporary.iterdir()), "what was sent is not kept"
    answer = client.post("/merge", files={"file": good})
    assert (answer.status_code, "no form" in answer.json()["detail"]) == (422, True)
    assert client.get("/scholar").json()["jobs"] == []


def test_pixels_and_features_are_not_merged(client: TestClient, tmp_path: Path) -> None:
    photos = learn(arrays(("disc", "box"), 6), settings=quick(solver__steps=3, audit__dreams=0, ood__dreams=0))
    answer = client.post("/merge", content=zipped(photos, tmp_path))
    assert answer.status_code == 422
    assert "neither can learn from the other's dreams" in answer.json()["detail"]


def test_a_scholar_may_be_as_large_as_a_task(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scholars.studio.app.MAX_IMAGE_BYTES", 100)
    monkeypatch.setattr("scholars.studio.app.MAX_TASK_BYTES", 10_000)
    with TestClient(studio(home), base_url="http://localhost:8000") as client:
        assert client.post("/merge", content=bytes(1000)).status_code == 422
        assert client.post("/merge", content=bytes(20_000)).status_code == 413
        assert client.post("/forget", json={"classes": ["x" * 200]}).status_code == 413


def test_all_kinds_of_jobs_wait_in_one_queue(home: Path, other: Scholar, tmp_path: Path) -> None:
    """Not entered: nothing works on the queue."""
    client = TestClient(studio(home), base_url="http://localhost:8000")
    archive = zipped(other, tmp_path)
    requests: list[dict[str, Any]] = [
        {"url": "/forget", "json": {"classes": ["3"]}},
        {"url": "/rename", "json": {"old": "3", "new": "4"}},
        {"url": "/merge", "content": archive},
    ]
    for number in range(8):
        assert client.post(**requests[number % 3]).status_code == 202
    for request in requests:
        answer = client.post(**request)
        assert answer.status_code == 429
        assert "8 jobs are waiting already" in answer.json()["detail"]
    jobs = [client.get(f"/jobs/{job}").json()["kind"] for job in client.get("/scholar").json()["jobs"]]
    assert jobs == ["forget", "rename", "merge"] * 2 + ["forget", "rename"]


def test_an_interrupted_merge_is_resumed_wherever_the_other_lies_then(
    home: Path, other: Scholar, tmp_path: Path
) -> None:
    """Its upload is gone by then, and is sent again."""
    other.save(tmp_path / "first")
    ticks = 0

    def stopping() -> bool:
        nonlocal ticks
        ticks += 1
        return ticks > 3

    with pytest.raises(Interrupted):
        merge_into(home, tmp_path / "first", keep=True, callbacks=Callbacks(stopping=stopping), save_every=0)
    assert Scholar.load(home).classes == tuple("01234")
    assert not list(home.parent.glob("home.gen-*"))
    mark = work_folder(home) / "mark"
    mark.touch()
    (tmp_path / "first").rename(tmp_path / "second")
    # Work of another learning would be removed, and the mark with it.
    resumed: list[bool] = []
    callbacks = Callbacks(on_tick=lambda position, tick: resumed.append(mark.exists()))
    merged = merge_into(home, tmp_path / "second", keep=True, callbacks=callbacks)
    assert same_weights(merged, merge([Scholar.load(home.with_name("home.gen-1")), other]))
    assert resumed
    assert all(resumed)
    assert not mark.parent.exists()


def test_what_cannot_be_merged_leaves_the_folder_as_it_was(home: Path) -> None:
    before = sorted(home.parent.iterdir())
    with pytest.raises(InputError, match="the same one"):
        merge_into(home, home, keep=True)
    after = [path for path in sorted(home.parent.iterdir()) if not path.name.endswith(".lock")]
    assert after == before
