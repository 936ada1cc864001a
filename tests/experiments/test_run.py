"""A recipe becomes results: the contract of results.json, the brackets, resuming, refusing."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_generator
from filelock import FileLock
from PIL import Image
from quick_recipe import RECIPE
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

from scholars.errors import InputError, Interrupted, ScholarsWarning
from scholars.evaluation.accuracy import accuracy
from scholars.evaluation.metrics import summary
from scholars.experiments.environment import describe_environment
from scholars.experiments.recipe import Recipe, read_recipe
from scholars.experiments.run import run
from scholars.experiments.samples import read_evaluation
from scholars.learning.algorithm import learn
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.dreams import dream_bank
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.overrides import build, changed
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.training.meter import Tick


def recipe(**changes: Any) -> Recipe:
    return build(Recipe, {"name": "tiny", **RECIPE, **changes}, None, where="tests")


@pytest.fixture(scope="module", autouse=True)
def _quick_collection() -> Iterator[None]:
    """A run collects garbage before each task: half a second each time, where it looks through all of torch."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    run(recipe(seeds=[0, 1], export_dreams=True), folder, command="scholars run tiny")
    return folder


def results(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


def test_the_contract(done: Path) -> None:
    document = results(done)
    assert document["schema"] == 1
    assert document["tasks"] == ["low", "high"]
    assert document["generator"] == "flow"
    assert document["environment"]["command"] == "scholars run tiny"
    assert Recipe.model_validate(document["config"]) == recipe(seeds=[0, 1], export_dreams=True)
    assert [(entry["seed"], entry["method"]) for entry in document["runs"]] == [
        (seed, method) for seed in (0, 1) for method in ("replay", "naive", "exact", "joint")
    ]
    for entry in document["runs"]:
        rows = entry["accuracy"]
        assert [len(row) for row in rows] == ([2] if entry["method"] == "joint" else [1, 2])
        assert all(0 <= value <= 1 for row in rows for value in row)
        assert entry["average_accuracy"] == pytest.approx(sum(rows[-1]) / 2)
        means = entry["mean_class_accuracy"]
        assert [len(row) for row in means] == [len(row) for row in rows]
        # The digits have 34 to 37 test images each.
        for row, mean_row in zip(rows, means, strict=True):
            assert mean_row == pytest.approx(row, abs=0.05)
        assert means != rows
        assert entry["average_mean_class_accuracy"] == pytest.approx(sum(means[-1]) / 2)
        if entry["method"] == "joint":
            assert entry["forgetting"] is entry["backward_transfer"] is None
        else:
            assert entry["forgetting"] == pytest.approx(rows[0][0] - rows[1][0])
            assert entry["backward_transfer"] == pytest.approx(rows[1][0] - rows[0][0])
        assert entry["seconds"] == pytest.approx(sum(entry["seconds_per_task"]), abs=0.01)
        assert entry["peak_memory_mb"] > 50


def test_what_a_run_leaves(done: Path) -> None:
    assert sorted(path.name for path in done.iterdir()) == [
        "dreams",
        "evaluations",
        "metrics.jsonl",
        "results.json",
        "run.json",
        "samples.safetensors",
        "scholars",
    ]
    assert Scholar.load(done / "scholars" / "1").classes == tuple("01234")
    last = Scholar.load(done / "scholars" / "2")
    assert last.classes == tuple("0123456789")
    assert last.lineage[1].train_count == 300
    line = json.loads((done / "metrics.jsonl").read_text().splitlines()[1])
    assert line.keys() >= {"seed", "method", "task", "stage", "step", "steps", "metrics", "images_per_second"}


def test_the_dreams_that_were_replayed_are_an_image_folder(done: Path) -> None:
    folder = ImageFolder(str(done / "dreams" / "1"), allow_empty=True)
    assert folder.classes == list("01234")
    assert len(folder) == 600
    # Of the first seed, as the scholars that are kept are.
    bank = dream_bank(Scholar.load(done / "scholars" / "1"), recipe().settings().replay, 0)
    files = sorted((Path(name) for name, _ in folder.imgs), key=lambda path: int(path.stem))
    written = torch.stack([pil_to_tensor(Image.open(file)) for file in files])
    assert torch.equal(written, bank.inputs)


def test_methods_share_the_first_task(done: Path) -> None:
    first = {entry["method"]: entry["accuracy"][0] for entry in results(done)["runs"] if entry["seed"] == 0}
    assert first["replay"] == first["naive"] == first["exact"]
    lines = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    assert {line["method"] for line in lines if line["task"] == "low"} == {"replay"}, "it is learned once"


def test_what_is_kept_for_the_report_is_of_all_tasks(done: Path) -> None:
    evaluation, classes = read_evaluation(done, 0, "replay") or pytest.fail("none was kept")
    tested = sum(record.test_count for record in Scholar.load(done / "scholars" / "2").lineage)
    assert (int(evaluation.confusion.sum()), len(classes)) == (tested, 10)
    audit = Scholar.load(done / "scholars" / "2").lineage[-1].audit
    assert audit is not None
    assert [task.name for task in audit.tasks] == ["low", "high"]


def test_the_brackets_bracket(done: Path) -> None:
    accuracy = {method: entry["average_accuracy"]["mean"] for method, entry in results(done)["summary"].items()}
    assert accuracy["naive"] < 0.6 < accuracy["exact"]
    assert accuracy["joint"] > 0.8


def test_what_each_method_costs(done: Path) -> None:
    entries = {entry["method"]: entry for entry in results(done)["runs"] if entry["seed"] == 0}
    assert entries["replay"]["images_generated"] == 600
    assert all(entries[name]["images_generated"] == 0 for name in ("naive", "exact", "joint"))
    solver, generator = (
        (done / "scholars" / "1" / f"{part}.safetensors").stat().st_size for part in ("solver", "generator")
    )
    assert entries["naive"]["kept_bytes"] == pytest.approx(solver, rel=0.1)
    assert entries["replay"]["kept_bytes"] == pytest.approx(solver + generator, rel=0.1)
    # The scholar sees 16 x 16 pixels, but to keep an image is to keep the 8 x 8 that it has.
    low = Scholar.load(done / "scholars" / "1").lineage[0].train_count * 8 * 8
    assert entries["exact"]["kept_bytes"] == entries["naive"]["kept_bytes"] + low
    assert entries["joint"]["kept_bytes"] == low + 300 * 8 * 8


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The methods beside the brackets, on tasks that share their classes by place."""
    plan = {"split": {"source": "digits", "tasks": 3, "order": list("012345")}, "tasks": [], "scenario": "domain"}
    changes = {**plan, "methods": ["naive", "lwf", "er", "joint"], "buffer": 40}
    return run(recipe(**changes), tmp_path_factory.mktemp("others") / "out")


def test_learning_without_forgetting_and_a_buffer(others: dict[str, Any]) -> None:
    entries = {entry["method"]: entry for entry in others["runs"]}
    assert [len(row) for row in entries["er"]["accuracy"]] == [1, 2, 3]
    assert entries["lwf"]["kept_bytes"] == entries["naive"]["kept_bytes"]
    # 40 images of 8 x 8 grey pixels, however many tasks there were.
    assert entries["er"]["kept_bytes"] == entries["naive"]["kept_bytes"] + 40 * 64
    assert entries["er"]["average_accuracy"] > entries["naive"]["average_accuracy"]
    assert entries["naive"]["learning_accuracy"] > 0.9
    assert entries["lwf"]["accuracy"][1] != entries["naive"]["accuracy"][1]
    assert entries["naive"]["forward_transfer"] is not None
    assert entries["joint"]["forward_transfer"] is None


def test_forward_transfer_is_beside_a_guess_among_all_that_may_be_answered(tmp_path: Path) -> None:
    """Two digits that are known among ten: a guess is right once in ten times, not in two."""
    few = {"source": "digits", "name": "few", "classes": ["3", "8"]}
    found = run(recipe(tasks=["digits", few], methods=["replay"]), tmp_path / "out")
    first = Scholar.load(tmp_path / "out" / "scholars" / "1")
    ahead = accuracy(first, open_task("digits", classes=["3", "8"]))
    assert found["runs"][0]["forward_transfer"] == pytest.approx(ahead - 1 / 10)


def test_a_bank_that_cannot_hold_a_dream_of_each_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"replay\.bank=4 cannot hold a dream .* these are 5"):
        run(recipe(replay={"bank": 4}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_filter_that_the_generator_cannot_answer_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    plan = {"generator.kind": "wgan-gp", "replay.filter": "agreement"}
    with pytest.raises(InputError, match=r"replay\.filter=agreement.*generator\.kind=wgan-gp"):
        run(build(Recipe, recipe().model_dump(mode="json"), plan, where="tests"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_was_killed_as_it_began_is_begun_again(tmp_path: Path) -> None:
    """It had made its folder, and was about to say in it what it would do."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".run.json.a1b2c3d4.tmp").write_text("{")
    done = run(recipe(methods=["naive"]), tmp_path / "out")
    assert [entry["method"] for entry in done["runs"]] == ["naive"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        run(recipe(methods=["naive"]), tmp_path / "other")


def test_a_buffer_that_cannot_hold_an_image_of_each_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="buffer=4 is less than one image for each of 5 classes"):
        run(recipe(methods=["er"], buffer=4), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_test_image_is_taken_for_a_class_of_its_own_task_only(tmp_path: Path) -> None:
    scores = {}
    for scenario in ("class", "task"):
        # Learned all at once, it knows no task by name, and is scored as the others are.
        methods = ["naive", "joint"] if scenario == "task" else ["naive"]
        plan = recipe(scenario=scenario, methods=methods)
        entries = {entry["method"]: entry for entry in run(plan, tmp_path / scenario)["runs"]}
        scores[scenario] = entries["naive"]["accuracy"][1]
        if "joint" in entries:
            assert min(entries["joint"]["accuracy"][0]) > 0.5
    assert scores["class"][0] < 0.2
    assert scores["task"][0] > scores["class"][0] + 0.3


def plain(document: dict[str, Any]) -> list[Any]:
    """What must agree between equal runs: everything but the cost."""
    return [(entry["seed"], entry["method"], entry["accuracy"]) for entry in document["runs"]]


@pytest.mark.parametrize("stop_at", [100, 200])
def test_an_interrupted_run_resumes_to_the_same_results(done: Path, tmp_path: Path, stop_at: int) -> None:
    asked = iter(range(100_000))
    plan = recipe(methods=["replay", "naive"], export_dreams=True)
    with pytest.raises(Interrupted):
        run(plan, tmp_path / "out", callbacks=Callbacks(stopping=lambda: next(asked) >= stop_at))
    run(plan, tmp_path / "out", resume=True)
    whole = [row for row in plain(results(done)) if row[:2] in ((0, "replay"), (0, "naive"))]
    assert plain(results(tmp_path / "out")) == whole
    assert not (tmp_path / "out" / "work").exists()
    for generation in "12":
        for part in ("solver", "generator"):
            file = Path("scholars") / generation / f"{part}.safetensors"
            assert (tmp_path / "out" / file).read_bytes() == (done / file).read_bytes()


def test_what_the_audits_warn_of_is_told(tmp_path: Path) -> None:
    notes: list[tuple[str, str]] = []
    callbacks = Callbacks(on_note=lambda position, note: notes.append((position.task, note)))
    run(recipe(methods=["replay"]), tmp_path / "out", callbacks=callbacks)
    audits = [Scholar.load(tmp_path / "out" / "scholars" / number).lineage[-1] for number in "12"]
    expected = [(task.name, f"warning: {warning}") for task in audits if task.audit for warning in task.audit.warnings]
    assert expected, "generators of a dozen steps dream badly"
    assert notes == expected


def test_a_finished_run_resumes_to_itself(done: Path) -> None:
    before = (done / "results.json").read_bytes()
    assert run(recipe(seeds=[0, 1], export_dreams=True), done, resume=True) == json.loads(before)
    assert (done / "results.json").read_bytes() == before


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".out.lock"), pytest.raises(InputError, match="another process is running what is in"):
        run(recipe(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_something_else_are_refused(done: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already holds another run"):
        run(recipe(), done, resume=True)
    with pytest.raises(InputError, match="--resume"):
        run(recipe(seeds=[0, 1], export_dreams=True), done)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no run"):
        run(recipe(), tmp_path)
    with pytest.raises(InputError, match="is a file"):
        run(recipe(), tmp_path / "note.txt")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["digits", "digits"], "different names"),
        ([{"source": "digits", "classes": ["3"]}], "one class only"),
        ([{"source": "digits", "classes": ["3", "eleven"]}], "no class 'eleven'"),
        (["digitz"], "digits"),
    ],
)
def test_bad_streams_are_refused_with_nothing_written(tmp_path: Path, tasks: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(recipe(tasks=tasks), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_generator_kind_is_one_setting_away(tmp_path: Path) -> None:
    document = run(changed(recipe(methods=["replay"]), tiny_generator("wgan-gp")), tmp_path / "out")
    assert document["generator"] == "wgan-gp"
    assert document["summary"]["replay"]["gap_closed"] is None


def test_summary_is_of_seeds() -> None:
    runs = [
        {"method": method, "seed": seed, "average_accuracy": value}
        for method, values in {"replay": (0.8, 0.9), "naive": (0.5, 0.5), "joint": (0.9, 1.0)}.items()
        for seed, value in enumerate(values)
    ]
    # Two values 0.05 from their mean; t of 97.5 % with one degree of freedom is 12.706.
    expected = {"mean": 0.85, "std": 0.0707107, "n": 2, "interval": 12.7062 * 0.05}
    assert summary(runs)["replay"]["average_accuracy"] == pytest.approx(expected, rel=1e-4)
    assert summary(runs)["replay"]["gap_closed"] == pytest.approx(0.35 / 0.45)
    alone = {"mean": 0.8, "std": 0.0, "n": 1, "interval": None}
    assert summary(runs[:1])["replay"] == {"average_accuracy": alone, "gap_closed": None}


def test_the_articles_pipeline_on_small_data(tmp_path: Path) -> None:
    """Generator at its own size, hard labels, fresh starts, dreams as an image folder; only the data is another."""
    small = {
        "tasks": [{"source": "digits", "limit": 200}, {"source": "digits", "name": "again", "limit": 100}],
        "methods": ["replay"],
        "solver.steps": 5,
        "solver.width": 8,
        "generator.size": 36,
        "generator.steps": 2,
        "generator.width": 4,
        "generator.batch": 8,
        "replay.bank": 40,
        "ood.dreams": 0,
        "audit.dreams": 0,
    }
    plan = read_recipe("article", small)
    assert (plan.replay.labels, plan.image_solver.start, plan.trained_generator.start) == ("hard", "fresh", "fresh")
    document = run(plan, tmp_path / "out")
    assert len(document["runs"][0]["accuracy"]) == 2
    folder = ImageFolder(str(tmp_path / "out" / "dreams" / "1"), allow_empty=True)
    assert len(folder) == 40
    assert folder[0][0].size == (28, 28)


def test_the_pictures_follow_the_stream(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scholars.report import draw_figures, figures

    folder = tmp_path / "out"
    shutil.copytree(done, folder)
    shown: list[str] = []
    show_images = figures.show_images

    def noting(grids: dict[str, Any]) -> Any:
        shown.extend(grids)
        return show_images(grids)

    monkeypatch.setattr(figures, "show_images", noting)
    draw_figures(folder)
    # In the order of learning, which is not that of the alphabet.
    assert shown == ["real low", "real high", "dreams of generation 1", "dreams of generation 2"]
    assert {path.name for path in folder.glob("*.png")} == {"accuracy.png", "dreams.png", "losses.png"}


def test_an_interrupted_audit_trains_nothing_again(tmp_path: Path) -> None:
    plan = recipe(methods=["replay"], tasks=[{"source": "digits", "name": "low", "classes": list("01234")}])
    stages: list[str] = []
    with pytest.raises(Interrupted):
        run(
            plan,
            tmp_path / "out",
            callbacks=Callbacks(
                on_tick=lambda place, tick: stages.append(tick.stage), stopping=lambda: "audit" in stages
            ),
        )
    first: dict[str, int] = {}

    def noting(position: Position, tick: Tick) -> None:
        first.setdefault(tick.stage, tick.step)

    run(plan, tmp_path / "out", resume=True, callbacks=Callbacks(on_tick=noting))
    assert first == {"solver": 60, "generator": 12, "audit": 0}
    assert Scholar.load(tmp_path / "out" / "scholars" / "1").lineage[0].audit is not None


def test_export_and_fresh_dreams_contradict_each_other() -> None:
    with pytest.raises(InputError, match=r"export_dreams.*replay\.dreams=fresh"):
        recipe(export_dreams=True, replay={"dreams": "fresh"})


def test_a_run_that_goes_on_otherwise_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = recipe(methods=["naive"])
    asked = iter(range(100_000))
    with pytest.raises(Interrupted):
        run(plan, tmp_path / "out", callbacks=Callbacks(stopping=lambda: next(asked) >= 30))
    here = describe_environment(plan.compute)
    monkeypatch.setattr("scholars.experiments.run.describe_environment", lambda _: {**here, "threads": 99})
    with pytest.warns(ScholarsWarning, match=rf"its results are of both: threads was {here['threads']} and is 99$"):
        run(plan, tmp_path / "out", resume=True)


def test_joint_is_of_all_data_alike_whatever_share_replay_gives_to_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float | str, int | None]] = []

    def noting(task: Task, previous: Scholar | None = None, *, settings: Settings, **named: Any) -> Scholar:
        seen.append((settings.replay.ratio, settings.image_solver.steps))
        return learn(task, previous, settings=settings, **named)

    monkeypatch.setattr("scholars.experiments.method_run.learn", noting)
    plan = changed(recipe(methods=["exact", "joint"]), {"replay.ratio": 0.3, "solver.steps": 6})
    run(plan, tmp_path / "out")
    assert seen == [(0.3, 6), (0.3, 6), ("auto", 12)]


def test_the_cost_of_an_interrupted_attempt_counts(tmp_path: Path) -> None:
    plan = recipe(methods=["naive"])
    asked = iter(range(100_000))
    with pytest.raises(Interrupted):
        run(plan, tmp_path / "out", callbacks=Callbacks(stopping=lambda: next(asked) >= 30))
    spent = tmp_path / "out" / "work" / "0-naive-1-checkpoints-spent.json"
    before = json.loads(spent.read_text())["seconds"]
    assert before > 0
    spent.write_text(json.dumps({"seconds": before + 1000}))
    run(plan, tmp_path / "out", resume=True)
    assert 1000 < results(tmp_path / "out")["runs"][0]["seconds_per_task"][0] < 1000 + 600


def test_files_of_a_source_that_are_left_out_are_said_once(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for label in range(4):
        for number in range(4):
            file = photos / f"c{label}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 40 * label + number).save(file)
    (photos / "c0" / "clip.mp4").write_bytes(b"x")
    notes: list[str] = []
    callbacks = Callbacks(on_note=lambda position, note: notes.append(note))
    plan = recipe(tasks=[], split={"source": str(photos), "tasks": 2}, methods=["naive"], export_dreams=False)
    run(plan, tmp_path / "out", callbacks=callbacks)
    assert [note for note in notes if "left out" in note] == ["left out 1 file: 1 .mp4 (videos)"]


def test_joint_takes_as_many_steps_as_the_tasks_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of each task follow from its own data, and so does not their sum from all data."""
    taken: dict[str, int] = {}

    def noting(position: Position, tick: Tick) -> None:
        taken[f"{position.method} {position.task}"] = tick.steps

    document = {**RECIPE, "solver": {"kind": "mlp", "width": 16, "batch": 8}, "budget": 0.02}
    plan = build(Recipe, {"name": "tiny", **document, "methods": ["naive", "joint"]}, None, where="tests")
    run(plan, tmp_path / "out", callbacks=Callbacks(on_tick=noting))
    low, high = (round(0.02 * 9 * count**0.5) for count in (len(open_task("digits").train) * 0.5, 300))
    assert taken["naive high"] == high
    assert taken["naive low"] == pytest.approx(low, abs=1)
    assert taken["joint high"] == taken["naive low"] + taken["naive high"]


def test_a_folder_of_something_else_is_refused_before_the_pace_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        pytest.fail("nothing is to be measured")

    monkeypatch.setattr("scholars.experiments.run.estimate_run", measured)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        run(changed(recipe(), {"minutes": 1.0}), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
