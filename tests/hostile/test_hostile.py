"""Files that mean harm: refused in words, before they cost memory, and without a look outside their folder."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scholars.errors import InputError
from scholars.experiments import recipe, samples
from scholars.experiments.recipe import read_recipe
from scholars.ood import OODDetector
from scholars.report import results
from scholars.report.figures import read_ticks
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.overrides import build, parse_changes
from scholars.storage import files, scholar_folder
from scholars.storage.weights import build_from_weights, load_weights
from scholars.tasks import csv_table, decoding, npz
from scholars.tasks.open import open_task

examples = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def folder(one: Scholar, tmp_path: Path) -> Path:
    one.save(tmp_path / "scholar")
    return tmp_path / "scholar"


def description(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "scholar.json").read_text())
    return document


def described(folder: Path, document: object) -> None:
    (folder / "scholar.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["0", "0"]}, "one name twice"),
        ({"classes": ["zero"]}, "not among classes"),
        ({"classes": []}, "classes"),
        ({"lineage": []}, "lineage"),
        ({"lineage": [{}]}, "lineage.0"),
        ({"format": 10**30}, "update scholars"),
        ({"format": 1}, "it is of an older version: learn its tasks again"),
        ({"sha256": {"../solver.safetensors": ""}}, "not a weight file of this folder"),
        ({"sha256": {"/etc/passwd": ""}}, "not a weight file of this folder"),
        ({"classes": ["0", "1", "2", "3", "4\x1b]0;obeyed\x07"]}, "control character"),
        ({"generation": 77}, "generation is 77"),
        ({"image": {"size": 999, "channels": 1}}, "image"),
        ({"image": {"size": 20, "channels": 1}}, "image differs from image in the settings"),
        ({"further": 1}, "further"),
    ],
)
def test_a_description_that_contradicts_itself(folder: Path, change: dict[str, Any], said: str) -> None:
    described(folder, description(folder) | change)
    with pytest.raises(InputError, match=said):
        Scholar.load(folder)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"solver.noise": -1}, "plan: solver.noise"),
        ({"solver.noise": "x"}, "plan"),
        ({"solver.noise.x": 1}, "do not leave open"),
        ({"solver.steps": 7}, "do not leave open"),
        ({"compute.device": 1}, "do not leave open"),
        ({"solver.further": 1}, "do not leave open"),
        ({"solver.__class__": 1}, "do not leave open"),
        ({"solver.model_extra": 1}, "plan: solver.model_extra"),
        ({"solver": 1}, "do not leave open"),
        ({"": 1}, "do not leave open"),
        ([], "plan"),
    ],
)
def test_a_plan_fills_in_what_the_settings_leave_open(folder: Path, plan: object, said: str) -> None:
    document = description(folder)
    record = document["lineage"][0]
    record["settings"]["solver"]["noise"], record["plan"] = None, {"solver.noise": 3.0}
    described(folder, document)
    assert Scholar.load(folder).lineage[0].plan == {"solver.noise": 3.0}
    record["plan"] = plan
    described(folder, document)
    with pytest.raises(InputError, match=said):
        Scholar.load(folder)


def test_weights_elsewhere_are_not_read(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "elsewhere.safetensors"
    (folder / "solver.safetensors").rename(away)
    (folder / "solver.safetensors").symlink_to(away)
    with pytest.raises(InputError, match="is a link"):
        Scholar.load(folder)


def test_numbers_that_are_none_are_no_weights(one: Scholar, folder: Path, tmp_path: Path) -> None:
    """With the right SHA-256: whoever made the folder wrote that, too."""
    weights = one._weights()
    name = next(iter(weights["solver"]))
    weights["solver"] = weights["solver"] | {name: torch.full_like(weights["solver"][name], torch.nan)}
    scholar_folder.write_scholar(
        folder, {key: value for key, value in description(folder).items() if key != "sha256"}, weights
    )
    with pytest.raises(InputError, match="is not finite"):
        Scholar.load(folder)


def test_weights_of_another_type_are_refused() -> None:
    module = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"expected float32 \[2\], found complex64 \[2\]"):
        load_weights(module, {"weight": module.weight, "bias": torch.zeros(2, dtype=torch.complex64)}, "here")


@pytest.mark.parametrize("part", ["solver", "generator"])
def test_a_description_larger_than_its_weights(folder: Path, part: str) -> None:
    document = json.loads((folder / scholar_folder.DESCRIPTION).read_text())
    document["lineage"][-1]["settings"][part]["width"] = 2048  # the most that settings allow: gigabytes
    (folder / scholar_folder.DESCRIPTION).write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"{part}: the tensors do not fit the description"):
        Scholar.load(folder)


@pytest.mark.parametrize(
    "make", [lambda: torch.empty(10**6, 10**9), lambda: torch.zeros(size=(10**15,)), lambda: torch.ones((10**15,))]
)
def test_no_network_takes_more_memory_than_its_weights(make: Callable[[], torch.Tensor]) -> None:
    def build() -> torch.nn.Module:
        module = torch.nn.Linear(2, 2)
        module.register_buffer("table", make())
        return module

    with pytest.raises(InputError, match="do not fit the description, first at 'table'"):
        build_from_weights(build, torch.nn.Linear(2, 2).state_dict(), "here")


def test_what_is_told_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        Scholar.load(folder)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for read in (files.read_json, files.read_tensors, csv_table.read_rows):
        with pytest.raises(InputError, match="is no file"):
            read(tmp_path / "pipe.csv")


def test_a_variance_below_zero_is_no_weight(tmp_path: Path) -> None:
    module = torch.nn.BatchNorm1d(2)
    with pytest.raises(InputError, match=r"'running_var' is a variance below 0"):
        load_weights(module, module.state_dict() | {"running_var": torch.tensor([1.0, -1.0])}, "here")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mean", torch.zeros(2, dtype=torch.bool), "do not fit"),
        ("dreams", torch.zeros(5, 3), "do not fit"),
        ("threshold", torch.tensor(torch.nan), "not finite"),
        ("std", torch.tensor([1.0, 0.0]), "not above 0"),
    ],
)
def test_an_ood_detector_of_what_are_no_numbers(name: str, value: torch.Tensor, said: str) -> None:
    tensors = {"dreams": torch.zeros(5, 3).half(), "mean": torch.zeros(2), "std": torch.ones(2)}
    tensors["threshold"] = torch.tensor(0.0)
    assert OODDetector.from_tensors(tensors, 3, "here").dreams.shape == (5, 3)
    with pytest.raises(InputError, match=said):
        OODDetector.from_tensors(tensors | {name: value}, 3, "here")


@pytest.mark.parametrize("shape", [(), (3,), (0, 64), (5, 5)])
def test_an_ood_detector_of_another_shape(shape: tuple[int, ...]) -> None:
    tensors = {
        "dreams": torch.zeros(shape),
        "mean": torch.zeros(2),
        "std": torch.ones(2),
        "threshold": torch.ones(()),
    }
    with pytest.raises(InputError, match="do not fit the description, first at 'dreams'"):
        OODDetector.from_tensors(tensors, 64, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "an alias"),
        ("a: &x {b: *x}", "an alias"),
        ("tasks: " + "[" * 20_000, "not readable YAML"),
        ("steps: 2001-99-99", "not readable YAML"),
        ("steps: " + "9" * 10_000, "not readable YAML"),
        ("!!python/object/apply:os.system [touch here]", "not readable YAML"),
        ("? [a, b]\n: c", "not readable YAML"),
        ("tasks: [digits]\nsolver: {steps: 1e999}", "solver.steps"),
        ("tasks: [digits]\nsolver: {steps: 99999999999999999999}", "solver.steps"),
        ("tasks: [digits]\nunknown: 1", "unknown key 'unknown'"),
    ],
)
def test_recipes(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(path)
    assert not (tmp_path / "here").exists()


def test_what_is_repeated_of_a_value_is_short(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"tasks: [digits]\nbuffer: {'x' * 10_000}")
    with pytest.raises(InputError) as refused:
        read_recipe(tmp_path / "recipe.yaml")
    assert len(str(refused.value)) < 300


def test_a_recipe_is_a_page_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.yaml").write_text("tasks: [digits]")
    monkeypatch.setattr(recipe, "MAX_BYTES", 5)
    with pytest.raises(InputError, match="larger than"):
        read_recipe(tmp_path / "recipe.yaml")


@given(st.text())
@examples
def test_any_recipe_is_read_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(InputError):
        read_recipe(tmp_path / "recipe.yaml")


@given(st.sampled_from(["replay.ratio", "solver", "generator.own.options", "image.size", "x"]), st.text())
@examples
def test_any_change_is_taken_or_refused(key: str, text: str) -> None:
    try:
        changed = build(Settings, {}, parse_changes([f"{key}={text}"]), where="--set")
    except InputError:
        return
    assert isinstance(changed, Settings)


def write_npz(path: Path, header: dict[str, Any], data: bytes = b"") -> None:
    """An archive whose images say of themselves what ``header`` says."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    x = np.zeros((2, 4, 4), np.uint8)
    np.savez(path, x_test=x, y_train=np.arange(2), y_test=np.arange(2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", file.getvalue() + data)


def test_an_array_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    write_npz(tmp_path / "task.npz", {"descr": "|u1", "fortran_order": False, "shape": (10**12, 32, 32, 3)})
    with pytest.raises(InputError, match="is smaller"):
        open_task(tmp_path / "task.npz")


def test_arrays_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "task.npz", {"descr": "|u1", "fortran_order": False, "shape": (2, 4, 4)}, bytes(32))
    assert len(open_task(tmp_path / "task.npz").train) == 2
    monkeypatch.setattr(npz, "MAX_BYTES", 60)
    with pytest.raises(InputError, match="the most that is read"):
        open_task(tmp_path / "task.npz")


def test_links_that_fan_out_end(tmp_path: Path) -> None:
    """Forty folders, of which each is linked to twice by the one before: 2^40 paths."""
    inner = tmp_path / "task" / "cat"
    inner.mkdir(parents=True)
    for number in range(40):
        (tmp_path / "task" / f".{number}").mkdir()
    for number in range(40):
        here = inner if number == 0 else tmp_path / "task" / f".{number - 1}"
        for name in ("a", "b"):
            (here / name).symlink_to(tmp_path / "task" / f".{number}")
    with pytest.raises(InputError, match="read already"):
        open_task(tmp_path / "task")


def test_folders_without_end(tmp_path: Path) -> None:
    deep = tmp_path / "task" / "cat" / Path(*["d"] * 150)
    deep.mkdir(parents=True)
    with pytest.raises(InputError, match="100 folders deep"):
        open_task(tmp_path / "task")


def test_a_picture_of_any_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 10)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(bytes(11))
    with pytest.raises(InputError, match="larger than"):
        open_task(tmp_path)


@given(st.binary(max_size=200))
@examples
def test_any_table_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(b"path,label,split\n" + data)
    try:
        rows, _ = csv_table.read_rows(tmp_path / "table.csv")
    except InputError:
        return
    assert rows
    assert all(place for place, _, _ in rows)


def test_methods_name_no_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "run" / "evaluations" / "0-").mkdir(parents=True)
    (tmp_path / "elsewhere.safetensors").write_bytes(b"")
    assert (tmp_path / "run" / "evaluations" / "0-" / "../../../elsewhere.safetensors").is_file()
    assert samples.read_evaluation(tmp_path / "run", 0, "/../../../elsewhere") is None


@given(st.dictionaries(st.sampled_from(["recipe", "tasks", "seeds", "generator", "runs", "summary"]), JSON))
@examples
def test_any_results_are_read_or_refused(document: dict[str, Any]) -> None:
    try:
        found = results.parse_results(document | {"schema": 1})
    except InputError:
        return
    assert isinstance(found.tasks, list)


LOGGED = b'{"seed": 0, "method": "replay", "task": "a", "stage": "solver", "step": 1, "metrics": {"loss": 1.5}}'


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff\xfe", b"[]", b"{}", b'{"seed": []}', b"null", b"[" * 100_000),
        *(LOGGED.replace(b"1.5", b'"x"'), LOGGED.replace(b": 1,", b': "one",'), LOGGED.replace(b"metrics", b"other")),
    ],
)
def test_logs_that_are_none(tmp_path: Path, line: bytes) -> None:
    for content in (line + b"\n", line + b"\n" + LOGGED):
        (tmp_path / "metrics.jsonl").write_bytes(content)
        with pytest.raises(InputError, match="line 1"):
            read_ticks(tmp_path)


def test_a_log_that_breaks_off_is_read_to_there(tmp_path: Path) -> None:
    for content, known in ((LOGGED + b"\n" + LOGGED[:40], 1), (LOGGED, 1), (LOGGED[:40], 0), (b"", 0)):
        (tmp_path / "metrics.jsonl").write_bytes(content)
        assert [tick["metrics"] for tick in read_ticks(tmp_path)] == [{"loss": 1.5}] * known


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 8, 8, dtype=torch.uint8), torch.zeros(2, 2, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 8)],
)
def test_kept_images_that_are_none(tmp_path: Path, images: torch.Tensor) -> None:
    files.write_tensors(tmp_path / "samples.safetensors", {"task": images}, {"task": '["a", "b"]'})
    with pytest.raises(InputError, match="is not a batch of images"):
        samples.read_samples(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"truth": torch.tensor([0, 2])},
        {"predicted": torch.tensor([-1, 0])},
        {"images": torch.zeros(1, 1, 8, 8, dtype=torch.uint8)},
        {"confusion": torch.zeros(2, 2, dtype=torch.int64)},
        {"confidence": torch.tensor([0.5, torch.nan])},
        {"confusion": torch.ones((), dtype=torch.int64)},
    ],
)
def test_evaluations_that_do_not_fit_together(tmp_path: Path, change: dict[str, torch.Tensor]) -> None:
    evaluation = {
        "confusion": torch.ones(2, 2, dtype=torch.int64),
        "images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
        "truth": torch.tensor([0, 1]),
        "predicted": torch.tensor([1, 0]),
        "confidence": torch.tensor([0.5, 0.9]),
    }
    path, notes = tmp_path / "evaluations" / "0-replay.safetensors", {"classes": '["a", "b"]'}
    files.write_tensors(path, evaluation, notes)
    assert samples.read_evaluation(tmp_path, 0, "replay") is not None
    files.write_tensors(path, evaluation | change, notes)
    with pytest.raises(InputError, match=r"do not fit together|does not hold an evaluation"):
        samples.read_evaluation(tmp_path, 0, "replay")
