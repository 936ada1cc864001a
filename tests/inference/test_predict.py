"""Files in, names out."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scholars.errors import InputError
from scholars.inference.predict import FORMS, Prediction, find_images, predict_files
from scholars.scholar.scholar import CHUNK, Scholar
from scholars.tasks.skipped import Skipped
from scholars.tasks.task import Task


@pytest.fixture
def files(tmp_path: Path, low: Task) -> list[Path]:
    for index, image in enumerate(low.test.images[:30]):
        Image.fromarray(image[0]).save(tmp_path / f"{index}.png")
    return list(find_images([str(tmp_path)]))


def test_files_folders_and_patterns(files: list[Path], tmp_path: Path) -> None:
    assert [file.name for file in files] == [f"{index}.png" for index in range(30)]
    assert list(find_images([str(tmp_path / "3.png")])) == [tmp_path / "3.png"]
    twenties = find_images([str(tmp_path / "2?.png")])
    assert [file.name for file in twenties] == [f"2{i}.png" for i in range(10)]
    for nothing in ("none*.png", str(tmp_path / "gone.png")):
        with pytest.raises(InputError, match="no such file"):
            list(find_images([nothing]))
    with pytest.raises(InputError, match=r"\*\*"):
        list(find_images([str(tmp_path / "a**b" / "c***" / "")]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds none"):
        list(find_images([str(tmp_path / "empty")]))


def test_guesses_are_the_scholars_own(files: list[Path], one: Scholar, low: Task) -> None:
    images = low.test.images[:30]
    expected = one.predict_proba(images)
    found = list(predict_files(one, files, top=2))
    assert [p.file for p in found] == files
    assert [p.guesses[0][0] for p in found] == one.predict(images)
    assert [p.guesses[0][1] for p in found] == pytest.approx(expected.max(axis=1).tolist(), abs=0.02)
    assert all(len(p.guesses) == 2 and p.guesses[0][1] >= p.guesses[1][1] for p in found)


def test_what_is_unfamiliar_is_told_and_written(one: Scholar, low: Task, tmp_path: Path) -> None:
    """Half of these images are stranger than the other half: the threshold is put between."""
    images = low.test.images[:30]
    assert one.ood
    features, logits = one.features_and_logits(torch.from_numpy(low.resized(1, 16).test.images[:30]))
    between = one.ood.score(features, logits).median()
    scholar = replace(one, ood=replace(one.ood, threshold=between))
    for index, image in enumerate(images):
        Image.fromarray(image[0]).save(tmp_path / f"{index}.png")
    files = list(find_images([str(tmp_path)]))
    found = list(predict_files(scholar, files, top=1))
    told = [p.unfamiliar for p in found]
    assert told == scholar.unfamiliar(images).tolist()
    assert sum(map(bool, told)) == 15
    assert [p.unfamiliar for p in predict_files(replace(one, ood=None), files)] == [None] * 30


def test_the_forms_in_which_a_prediction_is_written() -> None:
    found = [
        Prediction(Path("a.png"), (("cat", 0.75), ("dog", 0.25)), True),
        Prediction(Path("b.png"), (("dog", 1.0),), False),
        Prediction(Path("c.png"), (("dog", 1.0),), None),
    ]

    def written(form: str) -> str:
        out = io.StringIO()
        FORMS[form](found, out, (Skipped("a.txt", "no images"),))
        return out.getvalue().replace("\r\n", "\n")

    assert written("text") == "a.png: cat 75.0 %, dog 25.0 % (unfamiliar)\nb.png: dog 100.0 %\nc.png: dog 100.0 %\n"
    assert written("csv").splitlines()[1:] == [
        "a.png,cat,0.750000,true",
        "a.png,dog,0.250000,true",
        "b.png,dog,1.000000,false",
        "c.png,dog,1.000000,",
    ]
    rows = json.loads(written("json"))["predictions"]
    assert [row["unfamiliar"] for row in rows] == [True, False, None]
    left_out = {"file": "a.txt", "reason": "no images"}
    assert json.loads(written("json"))["skipped"] == [left_out]
    assert rows[0]["guesses"] == [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}]


def test_more_than_a_chunk_keeps_its_order(files: list[Path], one: Scholar) -> None:
    many = (files * (CHUNK // len(files) + 2))[: CHUNK + 7]
    found = list(predict_files(one, many))
    assert [p.file for p in found] == many
    assert found[30].guesses[0][0] == found[0].guesses[0][0]
    assert found[30].guesses[0][1] == pytest.approx(found[0].guesses[0][1])


def test_among_considers_only_a_task(files: list[Path], two: Scholar) -> None:
    scholar = replace(two, lineage=(two.lineage[0].model_copy(update={"name": "low"}), two.lineage[1]))
    named = [name for p in predict_files(scholar, files, among="low", top=10) for name, _ in p.guesses]
    assert named
    assert set(named) <= set("01234")


def test_unreadable_files_are_named(files: list[Path], one: Scholar, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    Image.fromarray(np.zeros((9, 5, 4), np.uint8)).save(tmp_path / "clear.png")
    assert len(list(predict_files(one, [tmp_path / "clear.png"]))) == 1
    with pytest.raises(InputError, match=r"bad\.png: is no image"):
        list(predict_files(one, [*files, tmp_path / "bad.png"]))


def test_all_others_are_named_first(files: list[Path], one: Scholar, tmp_path: Path) -> None:
    """However many chunks come after the one with a file that cannot be read, in which there may be no other."""
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    found = predict_files(one, [*[bad] * one.chunk_size, *files, bad, *files])
    named = []
    with pytest.raises(InputError, match=r"bad\.png"):
        for prediction in found:
            named.append(prediction.file)
    assert named == files * 2


def test_files_in_folders_that_are_no_images_are_counted(files: list[Path], tmp_path: Path) -> None:
    for name in ("notes.txt", "IMG_1.CR2", "IMG_2.cr2", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    skipped: list[Skipped] = []
    assert list(find_images([str(tmp_path)], skipped)) == files
    assert sorted(each.ending for each in skipped) == [".cr2", ".cr2", ".txt"]


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "clip.mov").write_bytes(b"x")
    with pytest.raises(InputError, match=r"the folder holds none \(left out 1 file: 1 \.mov \(videos\)\)"):
        list(find_images([str(tmp_path)]))


def test_images_in_archives(files: list[Path], one: Scholar, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path) + "-packed", "zip", tmp_path))
    packed = list(find_images([str(archive)]))
    assert packed == [archive / file.relative_to(tmp_path) for file in files]
    assert list(find_images([str(packed[3])])) == [packed[3]]
    found = [prediction.guesses for prediction in predict_files(one, packed)]
    assert found == [prediction.guesses for prediction in predict_files(one, files)]
    (tmp_path / "none.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"none\.zip: is not an archive that can be read"):
        list(find_images([str(tmp_path / "none.zip")]))


def test_links_out_of_a_folder(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(files[0])
    with pytest.raises(InputError, match="is a link that leaves the folder"):
        list(find_images([str(tmp_path / "links")]))
    assert list(find_images([str(tmp_path / "links")], follow_links=tmp_path)) == [tmp_path / "links" / "a.png"]
