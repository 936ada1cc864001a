"""Learn with differential privacy: what is kept, what is not, what is drawn once, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import same_weights
from photographs import QUICK, arrays, own_features, photo_folder, photo_task, quick

from scholars.backbones import Backbone, open_backbone
from scholars.errors import InputError
from scholars.evaluation.accuracy import evaluate
from scholars.generators import Mixture
from scholars.learning import private
from scholars.learning.algebra import forget, merge, rename
from scholars.learning.algorithm import learn
from scholars.learning.arguments import LearnArgs
from scholars.learning.callbacks import Callbacks
from scholars.learning.lifelong import teach
from scholars.learning.private import learn_privately, named_classes
from scholars.learning.resume import already_learned, claim, record_outcome
from scholars.privacy.mechanism import GRID, Whole
from scholars.scholar import Scholar
from scholars.settings import BackboneSettings
from scholars.settings.privacy import Privacy
from scholars.storage import files
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.training.loop import Session

# So little noise that a hundred photos are enough; and the same noise each time.
SEEDED = Privacy(epsilon=50, delta=1e-3, insecure_seed=0)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return open_backbone(BackboneSettings(size=64))


@pytest.fixture(scope="module")
def june() -> Task:
    return arrays(("disc", "box"), 60)


@pytest.fixture(scope="module")
def july() -> Task:
    return arrays(("leaf", "ring"), 60, first=500)


@pytest.fixture(scope="module")
def first(june: Task, backbone: Backbone) -> Scholar:
    """A scholar that learned two classes privately."""
    return learn_privately(june, SEEDED, test=june, settings=quick(), backbone=backbone)


def test_it_learns_and_says_nothing_exact(first: Scholar, june: Task) -> None:
    (record,) = first.lineage
    assert record.private
    assert record.accuracy is not None and record.accuracy >= 0.75
    assert record.trained == ""
    assert "features" not in record.seconds
    assert sum(record.train_counts) == record.train_count
    assert record.train_counts == pytest.approx([60, 60], abs=20)
    assert first.privacy is not None
    assert first.privacy.epsilon == pytest.approx(50, rel=1e-3)


def test_the_task_that_is_learned_has_no_photos(june: Task) -> None:
    blank = june.without_photos()
    assert (len(blank.train), len(blank.test), blank.split) == (0, 0, "private")
    other = arrays(("disc", "box"), 5, first=90).without_photos()
    assert blank.digest == other.digest


def test_a_second_private_task_adds_to_the_cost(first: Scholar, july: Task, tmp_path: Path) -> None:
    two = learn_privately(july, replace_seed(1), first, test=july)
    assert two.privacy is not None and first.privacy is not None
    assert len(two.privacy.costs) == 2
    assert two.privacy.epsilon > first.privacy.epsilon
    assert evaluate(two, july).accuracy >= 0.75
    two.save(tmp_path / "s")
    loaded = Scholar.load(tmp_path / "s")
    assert loaded.privacy == two.privacy
    assert same_weights(loaded, two)
    less = forget(two, ["leaf"])
    assert less.privacy == two.privacy
    assert rename(two, "leaf", "tree").privacy == two.privacy


def replace_seed(seed: int) -> Privacy:
    return SEEDED.model_copy(update={"insecure_seed": seed})


def test_merged_scholars_add_their_costs(first: Scholar, july: Task, backbone: Backbone) -> None:
    other = learn_privately(july, replace_seed(2), settings=quick(), backbone=backbone)
    both = merge([first, other])
    assert both.privacy is not None
    assert len(both.privacy.costs) == 2
    assert set(both.classes) == {"disc", "box", "leaf", "ring"}
    open_one = learn(july, settings=quick(), backbone=backbone)
    with pytest.raises(InputError, match="--accept-unprotected"):
        merge([first, open_one])
    mixed = merge([first, open_one], accept_unprotected=True)
    assert mixed.privacy == first.privacy


def test_private_and_other_tasks_do_not_mix_unasked(first: Scholar, july: Task, june: Task, backbone: Backbone) -> None:
    with pytest.raises(InputError, match="this scholar is private"):
        learn(july, first)
    assert learn(july, first, accept_unprotected=True).privacy == first.privacy
    open_one = learn(july, settings=quick(), backbone=backbone)
    with pytest.raises(InputError, match="without a guarantee"):
        learn_privately(june, SEEDED, open_one)
    assert learn_privately(june, SEEDED, open_one, accept_unprotected=True).privacy is not None


def test_photos_show_nowhere_but_in_the_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If what is drawn has nothing of the photos, folders of two very different sets are the same."""

    def blind(values: Whole, deviation: float, insecure: object) -> Whole:
        return np.arange(len(values), dtype=np.int64) * GRID

    monkeypatch.setattr(private, "add_noise", blind)
    own_features(monkeypatch, tmp_path / "cache")
    said: list[list[str]] = []
    for number, each in enumerate((3, 14)):
        task = photo_task(tmp_path / f"photos{number}", ("disc", "box"), each=each, first=100 * number)
        said.append([])
        callbacks = Callbacks(on_note=lambda _, note: said[-1].append(note))
        teach(
            tmp_path / f"s{number}",
            replace(task, name="photos"),
            changes=dict(QUICK),
            privacy=SEEDED,
            callbacks=callbacks,
        )
    one, other = (contents(tmp_path / f"s{number}") for number in (0, 1))
    assert one == other
    assert said[0] == said[1]


def contents(folder: Path) -> dict[str, object]:
    """Return a scholar's files, without when it was learned and how long its networks took."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    description = files.read_json(folder / "scholar.json")
    for record in description["lineage"]:
        del record["learned_at"]
        assert set(record.pop("seconds")) == {"generator", "solver"}
    return {**found, "scholar.json": description}


def test_photos_that_were_held_out_by_others_are_refused(tmp_path: Path, backbone: Backbone) -> None:
    photo_folder(tmp_path / "photos", ("disc", "box"))
    (tmp_path / "photos" / "test").rename(tmp_path / "test")
    held_out = open_task(tmp_path / "photos" / "train", decode=False)
    with pytest.raises(InputError, match="open it with split=False"):
        learn_privately(held_out, SEEDED, settings=quick(), backbone=backbone)


def test_so_much_noise_is_refused_before_a_photo_is_looked_at(
    june: Task, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(private, "mean_features")
    with pytest.raises(InputError, match="nothing would be left"):
        learn_privately(june, Privacy(epsilon=1e-9, delta=1e-12), settings=quick(), backbone=backbone)


def test_a_few_photos_under_much_noise_are_learned_without_an_overflow(june: Task, backbone: Backbone) -> None:
    few = Privacy(epsilon=0.01, insecure_seed=1)
    scholar = learn_privately(june, few, settings=quick(), backbone=backbone)
    assert isinstance(scholar.generator, Mixture)
    assert all(bool(memory.mean.isfinite().all()) for memory in scholar.generator.memories)


def test_delta_of_an_earlier_task_counts(first: Scholar, july: Task) -> None:
    many = replace(july, train=july.train[np.tile(np.arange(120), 10)])
    small = Privacy(epsilon=50, delta=1e-9, insecure_seed=4)
    with pytest.raises(InputError, match=r"delta=0.001, the largest of this scholar"):
        learn_privately(many, small, first)


def test_statistics_are_drawn_once(
    june: Task, backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the draw, the work goes on without the photos, also with noise that has no seed."""
    secret = SEEDED.model_copy(update={"insecure_seed": None})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(private, "train_scholar", killed)
        with pytest.raises(KeyboardInterrupt):
            learn_privately(june, secret, settings=quick(), session=Session(tmp_path / "work"), backbone=backbone)
    kept = {path.name for path in (tmp_path / "work").iterdir()}
    assert kept == {"learning.json", "statistics.safetensors"}
    monkeypatch.setattr(private, "mean_features", killed)
    scholars = [
        learn_privately(june, secret, settings=quick(), session=Session(tmp_path / "work"), backbone=backbone)
        for _ in range(2)
    ]
    assert same_weights(*scholars)
    with pytest.raises(KeyboardInterrupt):
        learn_privately(june, secret, settings=quick(), backbone=backbone)


def test_views_and_chunks_make_one_vector_of_each_photo(
    june: Task, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = private.mean_features(june.train, backbone, quick(), Session())
    monkeypatch.setattr(private, "_LOOKED_AT", 50)
    parts = private.mean_features(june.train, backbone, quick(), Session())
    for vectors, labels in (whole, parts):
        assert vectors.shape == (120, 1280)
        assert torch.bincount(labels).tolist() == [60, 60]
    assert torch.equal(whole[0].sort(0).values, parts[0].sort(0).values)


def test_classes_are_those_that_are_named(june: Task) -> None:
    named = named_classes(june, ["leaf", "box", "disc"])
    assert named.classes == ("leaf", "box", "disc")
    assert named.train.count_labels(3) == (0, 60, 60)
    assert named_classes(june, ["disc"]).train.count_labels(1) == (60,)
    with pytest.raises(InputError, match="none of these classes"):
        named_classes(june, ["discc"])
    with pytest.raises(InputError, match="each class once"):
        named_classes(june, ["disc", "disc"])


def test_a_class_without_a_photo_is_learned_as_one_with_noise(june: Task, backbone: Backbone) -> None:
    named = named_classes(june, ["box", "disc", "leaf"])
    scholar = learn_privately(named, SEEDED, settings=quick(), backbone=backbone)
    assert scholar.classes == ("box", "disc", "leaf")
    assert scholar.lineage[0].train_counts[2] < 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator__kind": "vae"}, "kept as memories"),
        ({"minutes": 1}, "depends on the number of photos"),
    ],
)
def test_settings_that_cannot_be_private(
    june: Task, backbone: Backbone, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        learn_privately(june, SEEDED, settings=quick(**changes), backbone=backbone)


def test_pixels_cannot_be_private(low: Task, one: Scholar) -> None:
    with pytest.raises(InputError, match="of pixels"):
        learn_privately(low, SEEDED, one, accept_unprotected=True)


def test_delta_above_one_photo_in_all_is_refused_and_nothing_stays(
    june: Task, backbone: Backbone, tmp_path: Path
) -> None:
    loose = Privacy(epsilon=50, delta=0.01, insecure_seed=0)
    many = replace(june, train=june.train[np.tile(np.arange(120), 3)])
    with pytest.raises(InputError, match="below 1 / photos"):
        learn_privately(many, loose, settings=quick(), session=Session(tmp_path / "work"), backbone=backbone)
    assert not (tmp_path / "work").exists()


def test_a_folder_keeps_nothing_of_the_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_features(monkeypatch, tmp_path / "cache")
    task = photo_task(tmp_path / "photos", ("disc", "box"), each=20)
    notes: list[str] = []
    changes = dict(QUICK)
    callbacks = Callbacks(on_note=lambda _, note: notes.append(note))
    taught = teach(tmp_path / "s", task, changes=changes, privacy=SEEDED, callbacks=callbacks)
    assert taught.lineage[0].accuracy is None
    text = (tmp_path / "s" / "scholar.json").read_text(encoding="utf-8")
    for number in range(20):
        assert f"{number}.jpg" not in text
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path for path in left if not {"graphs", "locks"} & set(path.parts)] == []
    assert any("no features, no decoded copies, no digests" in note for note in notes)
    with pytest.raises(InputError, match="--keep-cache"):
        teach(tmp_path / "t", task, changes=changes, privacy=SEEDED, keep_cache=True)
    with pytest.raises(InputError, match="--refit"):
        teach(tmp_path / "t", task, changes=changes, privacy=SEEDED, refit=True)


def test_another_guarantee_is_another_learning(june: Task, first: Scholar, tmp_path: Path) -> None:
    """Where a process died at the very end, the same command is done already; with less noise it is not."""
    blank, settings = june.without_photos(june), first.settings
    claim(tmp_path, LearnArgs(blank, None, "dreams", settings, 0, privacy=SEEDED))
    record_outcome(tmp_path, first)
    assert already_learned(tmp_path, first, blank, settings, 0, SEEDED)
    other = SEEDED.model_copy(update={"epsilon": 10.0})
    assert not already_learned(tmp_path, first, blank, settings, 0, other)
