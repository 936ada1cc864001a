"""Photographs on the command line: learned by a backbone, unless something else is asked for."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import scholars
from photographs import QUICK_WORDS, photo_folder, photograph

from scholars.storage.files import read_tensors


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sets of photos, and a scholar that has learned them one after the other."""
    home = tmp_path_factory.mktemp("home")
    photo_folder(home / "june", ("disc", "box"))
    photo_folder(home / "july", ("leaf", "ring"))
    first = scholars("learn", "my-scholar", "june", *QUICK_WORDS, cwd=home)
    assert first.returncode == 0, first.stderr
    assert "backbone: efficientnet-lite0" in first.stderr
    second = scholars("learn", "my-scholar", "july", cwd=home)
    assert second.returncode == 0, second.stderr
    return home


def test_two_folders_of_photographs_are_learned(home: Path) -> None:
    evaluated = scholars("evaluate", "my-scholar", "june", "july", "--json", cwd=home)
    results = json.loads(evaluated.stdout)["results"]
    assert [row["images"] for row in results] == [8, 8]
    assert all(row["accuracy"] >= 0.8 for row in results)
    known = json.loads(scholars("inspect", "my-scholar", "--json", cwd=home).stdout)
    assert known["classes"] == ["box", "disc", "leaf", "ring"]
    assert {"name", "sha256", "size", "features"} <= known["backbone"].keys()
    assert (known["backbone"]["name"], known["backbone"]["size"]) == ("efficientnet-lite0", 64)


def test_archives_and_links_are_sources(home: Path) -> None:
    shutil.make_archive(str(home / "packed"), "zip", home, "june")
    for file in (home / "june").rglob("*.*"):
        link = home / "links" / file.relative_to(home / "june")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    words = ["evaluate", "my-scholar", "packed.zip", "links", "june", "--json"]
    refused = scholars(*words, cwd=home)
    assert refused.returncode == 2
    assert "name a folder that links may lead into: --follow-links ROOT" in refused.stderr
    results = json.loads(scholars(*words, "--follow-links", "june", cwd=home).stdout)["results"]
    assert [row["images"] for row in results] == [8, 8, 8]
    assert len({row["accuracy"] for row in results}) == 1
    for word in ("packed.zip", "packed.zip/june/train/disc", "links"):
        done = scholars("predict", "my-scholar", word, "--follow-links", "june", "--csv", cwd=home)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1].startswith(word)
    learned = scholars("learn", "packed-scholar", "links", "--follow-links", "june", *QUICK_WORDS, cwd=home)
    assert learned.returncode == 0, learned.stderr


def test_photographs_are_predicted(home: Path) -> None:
    predicted = scholars("predict", "my-scholar", "july/test/ring", "--json", cwd=home)
    found = [row["guesses"][0]["class"] for row in json.loads(predicted.stdout)["predictions"]]
    assert found.count("ring") >= 3


@pytest.fixture
def unlabelled(home: Path) -> Iterator[Path]:
    """A folder of photos of two classes, that does not say which, and of what is no photo."""
    folder = home / "new"
    folder.mkdir()
    for number in range(5):
        for thing in ("disc", "ring"):
            photograph(thing, 200 + number).save(folder / f"{thing}-{number}.jpg")
    (folder / "broken.jpg").write_text("no image")
    (folder / "clip.mov").write_text("no image")
    yield folder
    shutil.rmtree(folder)


def test_the_least_certain_photographs_are_listed(home: Path, unlabelled: Path) -> None:
    listed = scholars("review", "my-scholar", "new", "--top", "3", cwd=home)
    assert listed.returncode == 0, listed.stderr
    heading, *rows = listed.stdout.splitlines()
    assert heading.split("  ")[0] == "file"
    assert [row.startswith("new/") and row.count(" %") == 2 for row in rows] == [True] * 3
    for said in ("1 .mov (videos)", "new/broken.jpg: is no image", "3 of 10 images, the least certain first"):
        assert said in listed.stderr
    document = json.loads(scholars("review", "my-scholar", "new", "--json", cwd=home).stdout)
    assert (document["images"], len(document["predictions"])) == (10, 10)
    order = [(not row["unfamiliar"], row["margin"]) for row in document["predictions"]]
    assert order == sorted(order)
    assert [row["file"] for row in document["unreadable"]] == ["new/broken.jpg"]
    assert [row.split()[0] for row in rows] == [row["file"] for row in document["predictions"][:3]]


def test_answers_are_learned(home: Path, unlabelled: Path) -> None:
    """Two classes that are known under other names: only lines that somebody filled in are learned."""
    table = unlabelled / "answers.csv"
    written = scholars("review", "my-scholar", "new", "--out", "new/answers.csv", cwd=home)
    assert written.returncode == 0, written.stderr
    assert "Fill in its column label, then: scholars learn my-scholar new/answers.csv" in written.stdout
    again = scholars("review", "my-scholar", "new", "--out", "new/answers.csv", cwd=home)
    assert (again.returncode, "may hold labels" in again.stderr) == (2, True)
    elsewhere = scholars("review", "my-scholar", "new", "--out", "june/answers.csv", cwd=home)
    assert (elsewhere.returncode, "is outside of the folder of june/answers.csv" in elsewhere.stderr) == (2, True)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        thing, number = row["file"].removesuffix(".jpg").split("-")
        row["label"] = {"disc": "button", "ring": "hoop"}[thing] if int(number) < 4 else ""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    learned = scholars("learn", "answered", "new/answers.csv", "--from", "my-scholar", cwd=home)
    assert learned.returncode == 0, learned.stderr
    assert "left out 2 files: 2 .jpg (no label)" in learned.stderr
    known = json.loads(scholars("inspect", "answered", "--json", cwd=home).stdout)
    assert known["classes"] == ["box", "button", "disc", "hoop", "leaf", "ring"]
    last = known["lineage"][-1]
    assert (last["name"], last["train_count"] + last["test_count"]) == ("answers", 8)
    shutil.rmtree(home / "answered")


def test_what_cannot_be_read_is_left_out_where_that_is_asked_for(home: Path) -> None:
    mixed = home / "mixed"
    shutil.copytree(home / "july" / "test" / "ring", mixed)
    (mixed / "broken.jpg").write_bytes(b"")
    (mixed / "film.mp4").write_bytes(b"film")
    refused = scholars("predict", "my-scholar", "mixed", cwd=home)
    assert (refused.returncode, "broken.jpg: is empty" in refused.stderr) == (2, True)
    predicted = scholars("predict", "my-scholar", "mixed", "--skip-unreadable", "--json", cwd=home)
    assert (predicted.returncode, "broken.jpg: is empty" in predicted.stderr) == (0, True)
    document = json.loads(predicted.stdout)
    assert len(document["predictions"]) == 4
    assert document["skipped"] == [
        {"file": "mixed/film.mp4", "reason": "videos"},
        {"file": "mixed/broken.jpg", "reason": "is empty"},
    ]
    done = scholars("predict", "my-scholar", "mixed", "--skip-unreadable", "--out", "answers", cwd=home)
    assert (done.returncode, "1 of 5 images cannot be read" in done.stderr) == (0, True)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_dreams_are_features_with_labels(home: Path, suffix: str) -> None:
    done = scholars("dream", "my-scholar", "-n", "12", "--class", "leaf", "--out", f"dreams{suffix}", cwd=home)
    assert done.returncode == 0, done.stderr
    if suffix == ".npz":
        with np.load(home / "dreams.npz") as file:
            features, labels, names = file["features"], file["labels"], file["class_names"].tolist()
    else:
        tensors, notes = read_tensors(home / "dreams.safetensors")
        features, labels, names = tensors["features"].numpy(), tensors["labels"].numpy(), json.loads(notes["classes"])
    assert features.shape == (12, 1280)
    assert [names[label] for label in labels] == ["leaf"] * 12


def test_dreams_of_features_have_no_picture(home: Path) -> None:
    done = scholars("dream", "my-scholar", "--out", "dreams.png", cwd=home)
    assert done.returncode == 2
    assert "its dreams are features, not pictures" in done.stderr
    assert not (home / "dreams.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "june", "--backbone", "resnet51"], "no backbone 'resnet51'. Did you mean"),
        (["new", "june", "--backbone", "resnet18=none.safetensors"], "none.safetensors is no file"),
        (["new", "june", "--backbone", "efficientnet-lite0", "--set", "solver.kind=cnn"], "or --backbone none"),
        (["new", "june", "--backbone", "none", "--set", "generator.kind=mixture"], "is for the features of a backbone"),
        (["new", "june", "--backbone", "none", "--set", "backbone.size=64"], "--backbone none contradicts"),
        (["new", "june", "--set", "backbone.size=100"], "looks at multiples of 32 pixels"),
        (["new", "june", "--set", "backbone.views=1", "--set", "replay.ratio=0.5"], "replay.ratio is not for"),
        (["my-scholar", "june", "--backbone", "resnet18"], "it is efficientnet-lite0 at 64 pixels, not resnet18"),
        (["my-scholar", "june", "--backbone", "none"], "this one has the backbone efficientnet-lite0"),
        (["my-scholar", "june", "--set", "backbone.size=96"], "a scholar's backbone is fixed by its first task"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(home: Path, words: list[str], message: str) -> None:
    before = sorted(path.name for path in home.iterdir() if not path.name.endswith(".lock"))
    done = scholars("learn", *words, cwd=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in home.iterdir() if not path.name.endswith(".lock")) == before


def test_a_scholar_of_pixels_stays_one(home: Path) -> None:
    small = ["--set", "image.size=8", "--set", "solver.steps=2", "--set", "generator.steps=2", "--set", "ood.dreams=0"]
    done = scholars("learn", "pixels", "june", *small, "--set", "audit.dreams=0", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "backbone: none, because image.size is set" in done.stderr
    done = scholars("learn", "pixels", "july", "--backbone", "efficientnet-lite0", cwd=home)
    assert (done.returncode, "this one learns pixels" in done.stderr) == (2, True)


def test_the_embedded_backbone_is_listed_with_its_speed(home: Path) -> None:
    found = json.loads(scholars("backbones", "efficientnet-lite*", "--json", cwd=home).stdout)["backbones"][0]
    assert (found["name"], found["features"], found["licence"]) == ("efficientnet-lite0", 1280, "Apache-2.0")
    assert found["at_hand"] and found["images_per_second"] > 1
    nothing = scholars("backbones", "no-such-*", cwd=home)
    assert (nothing.returncode, "no backbone matches" in nothing.stderr) == (2, True)


def test_means_over_classes_are_said_where_classes_have_different_numbers_of_test_photos(home: Path) -> None:
    for thing in ("leaf", "ring"):
        photo_folder(home / "uneven", (thing,), 4, first=300)
    for file in sorted((home / "uneven" / "test" / "ring").iterdir())[1:]:
        file.unlink()
    learned = scholars("learn", "small", "uneven", *QUICK_WORDS, cwd=home)
    assert learned.returncode == 0, learned.stderr
    mean = r"\(mean over classes \d+\.\d %\)"
    assert re.search(rf"accuracy \d+\.\d % {mean} on the 5 test images of uneven", learned.stdout)
    even, uneven = scholars("evaluate", "my-scholar", "july", "uneven", cwd=home).stdout.split("uneven: ")
    assert "mean over classes" not in even
    assert re.match(r"\d+\.\d\d % of 5 images; mean over classes \d+\.\d\d %", uneven)
    (row,) = json.loads(scholars("evaluate", "my-scholar", "uneven", "--json", cwd=home).stdout)["results"]
    assert row["mean_class_accuracy"] == pytest.approx(sum(one["accuracy"] for one in row["classes"]) / 2)
    assert 0 <= row["calibration_error"] <= 1


def test_a_folder_of_everything_is_planned_on_one_page(tmp_path: Path) -> None:
    """Each thing that is odd about it is said once, and nothing is written."""
    mess = tmp_path / "mess"
    for thing, count in (("disc", 12), ("box", 12), ("leaf", 3), ("ring", 1)):
        (mess / thing).mkdir(parents=True)
        for number in range(count):
            photograph(thing, number).save(mess / thing / f"{number}.jpg", quality=90)
    photograph("leaf", 7).save(mess / "leaf" / "scan.jfif", "JPEG")
    for quality in (80, 60, 40):
        photograph("disc", 3).save(mess / "disc" / f"copy {quality}.jpg", quality=quality)
    photograph("box", 5).save(mess / "disc" / "mistake.jpg", quality=50)
    photograph("box", 30).save(mess / "cover.png")
    for name in ("box/IMG_2.CR2", "box/film.mp4", "box/Thumbs.db", "notes.txt", "leaf/none.jpg"):
        (mess / name).write_bytes(b"")
    (mess / "leaf" / "page.jpg").write_text("<html>")
    (mess / "leaf" / "broken.jpg").write_bytes((mess / "leaf" / "0.jpg").read_bytes()[:700])
    (mess / "empty").mkdir()
    (mess / "disc" / "2024").mkdir()
    photograph("disc", 40).save(mess / "disc" / "2024" / "old.jpg")
    before = sorted(tmp_path.rglob("*"))

    refused = scholars("learn", "s", "mess", "--dry-run", cwd=tmp_path)
    assert refused.returncode == 2
    for name, why in (("broken", "image file is truncated"), ("none", "is empty"), ("page", "is no image")):
        assert f"\n  leaf/{name}.jpg: {why}" in refused.stderr
    planned = scholars("learn", "s", "mess", "--dry-run", "--skip-unreadable", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    first, counts, classes, budget, time, *remarks = planned.stdout.splitlines()
    assert first.startswith("backbone: efficientnet-lite0, for photographs")
    train, test = map(int, re.findall(r"mess: (\d+) images to train on, (\d+) to test; .* held out", counts)[0])
    assert train + test == 12 + 12 + 3 + 1 + 1 + 3 + 1 + 1
    assert re.search(r"4 new classes \(train \+ test\): box 1\d \+ [1-3], .*ring 1 \+ 0", classes)
    assert [remark.split(":")[0] for remark in remarks if "change sides" not in remark] == [
        "untested",
        "left out 7 files",
    ]
    for part in ("1 .cr2 (a camera's raw files", "3 .jpg (cannot be read)", "1 .mp4 (videos)", "1 .txt (no images)"):
        assert part in remarks[-1]
    assert "1 .png (beside the class folders)" in remarks[-1]
    assert budget == "budget: normal"
    assert time.startswith("this takes about ")
    assert "no image in empty" in planned.stderr
    assert "box/5.jpg and disc/mistake.jpg" in planned.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_labelled_photos_is_the_test(home: Path) -> None:
    """Of what was not learned all photos are scored, and learning with --test trains on all of the other folder."""
    for part, numbers in (("mine", range(20, 30)), ("held", range(30, 35))):
        for thing in ("disc", "box"):
            (home / part / thing).mkdir(parents=True)
            for number in numbers:
                photograph(thing, number).save(home / part / thing / f"{number}.jpg")
    learned = scholars("learn", "tested", "mine", "--test", "held", *QUICK_WORDS, cwd=home)
    assert re.search(r"on the 10 test images of mine", learned.stdout), learned.stderr
    record = json.loads(scholars("inspect", "tested", "--json", cwd=home).stdout)["lineage"][0]
    assert (record["train_count"], record["test_count"]) == (20, 10)

    def scored(*words: str) -> tuple[str, int, str]:
        done = scholars("evaluate", *words, "--json", cwd=home)
        (row,) = json.loads(done.stdout)["results"]
        return row["part"], row["images"], done.stderr

    assert scored("tested", "held")[:2] == ("all", 10)
    assert scored("my-scholar", "mine")[:2] == ("all", 20)
    part, images, said = scored("my-scholar", "mine", "--held-out")
    assert (part, 0 < images < 20) == ("held-out", True)
    assert "which learning from here would hold out" in said
    untested = scholars("learn", "whole", "mine", "--test", "none", *QUICK_WORDS, cwd=home)
    assert "mine has no test image, so that its accuracy is unknown" in untested.stdout
    assert scored("whole", "mine")[0] == "learned"
    assert scored("my-scholar", "june")[:2] == ("test", 8)
    both = scholars("evaluate", "my-scholar", "mine", "--all", "--held-out", cwd=home)
    assert (both.returncode, "contradict each other" in both.stderr) == (2, True)


def test_a_small_folder_is_refitted(home: Path) -> None:
    for thing in ("disc", "box"):
        (home / "few" / thing).mkdir(parents=True)
        for number in range(6):
            photograph(thing, 200 + number).save(home / "few" / thing / f"{number}.jpg")
    done = scholars("learn", "refitted", "few", "--refit", *QUICK_WORDS, cwd=home)
    assert re.search(r"test images of few, which it has learned since", done.stdout), done.stderr
    (row,) = json.loads(scholars("evaluate", "refitted", "few", "--json", cwd=home).stdout)["results"]
    assert row["part"] == "learned"
    refused = scholars("learn", "my-scholar", "july", "--refit", cwd=home)
    assert (refused.returncode, "leave --refit out" in refused.stderr) == (2, True)
