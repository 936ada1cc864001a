from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image

from scholars.errors import InputError
from scholars.report import plots
from scholars.report.labels import LABEL_HEIGHT, apart
from scholars.report.methods import look

from .documents import one_run, results, single, tick


def line(axes: Axes, method: str) -> Any:
    (found,) = [item for item in axes.lines if str(item.get_label()).startswith(f"{method}:")]
    return found


def labels(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def test_accuracy_has_a_panel_a_task_and_a_line_a_method() -> None:
    mnist, svhn = plots.accuracy(results()).axes
    assert mnist.get_title(loc="left") == "mnist"
    assert svhn.get_title(loc="left") == "svhn"
    assert mnist.get_ylim() == (0, 100)
    assert [label.get_text() for label in mnist.get_xticklabels()] == ["mnist", "svhn"]
    np.testing.assert_allclose(line(mnist, "replay").get_xydata(), [(0, 98), (1, 95)])
    np.testing.assert_allclose(line(mnist, "naive").get_xydata(), [(0, 98), (1, 25)])
    np.testing.assert_allclose(line(svhn, "replay").get_xydata(), [(1, 91)])
    np.testing.assert_allclose(line(svhn, "joint").get_ydata(), [93, 93])
    assert line(svhn, "joint").is_dashed()
    assert labels(mnist) == {"replay 95.0", "naive 25.0", "joint 98.0"}
    assert labels(svhn) >= {"replay 91.0", "naive 94.0", "joint 93.0"}


def test_accuracy_bands_reach_from_the_worst_seed_to_the_best() -> None:
    axes = plots.accuracy(results()).axes[0]
    colour = to_rgb(look("replay").colour)
    (band,) = [item for item in axes.collections if np.allclose(np.asarray(item.get_facecolor())[0, :3], colour)]
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert heights.min() == pytest.approx(94)
    assert heights.max() == pytest.approx(99)


def test_accuracy_of_one_seed_has_no_bands() -> None:
    document = results()
    first = [run for run in document["runs"] if run["seed"] == 0]
    figure = plots.accuracy({**document, "runs": first})
    assert not any(axes.collections for axes in figure.axes)
    np.testing.assert_allclose(line(figure.axes[0], "naive").get_ydata(), [99, 30])


def test_accuracy_of_one_task_and_of_a_method_nobody_knows() -> None:
    document = single()
    document["runs"].append(one_run(0, "rehearsal", [[0.5]]))
    (axes,) = plots.accuracy(document).axes
    assert labels(axes) == {"replay 98.7", "rehearsal 50.0"}


def test_accuracy_leaves_out_what_is_missing(tmp_path: Path) -> None:
    document = results()
    document["runs"] = [
        {**one_run(0, "replay", [[0.9]]), "accuracy": [[0.9], [None, 0.8]]},
        {**one_run(0, "naive", [[0.9]]), "accuracy": []},
        {**one_run(0, "joint", [[0.9]]), "accuracy": [[None, 0.7]]},
    ]
    figure = plots.accuracy(document)
    np.testing.assert_allclose(line(figure.axes[0], "replay").get_xydata(), [(0, 90)])
    assert labels(figure.axes[1]) >= {"replay 80.0", "joint 70.0"}
    plots.save(figure, tmp_path / "accuracy.png")


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "<script>", "a\nb", "x" * 200, ""])
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    plots.save(plots.accuracy(single(name)), tmp_path / "accuracy.png")
    plots.save(plots.losses([tick("replay", name, 1)]), tmp_path / "losses.png")
    plots.save(plots.dreams([(name, np.zeros((1, 1, 8, 8), np.uint8))]), tmp_path / "dreams.png")


def test_accuracy_refuses_what_is_no_results_document() -> None:
    with pytest.raises(InputError, match="runs"):
        plots.accuracy({**results(), "runs": "none"})


@pytest.mark.parametrize("count", [1, 4, 10])
def test_panels_do_not_overlap(count: int) -> None:
    names = [f"task {place}" for place in range(count)]
    rows = [[0.9] * (row + 1) for row in range(count)]
    figure = plots.accuracy({**results(), "tasks": names, "runs": [one_run(0, "replay", rows)]})
    figure.draw_without_rendering()
    boxes = [box for axes in figure.axes if (box := axes.get_tightbbox())]
    assert len(boxes) == count
    assert not any(one.overlaps(two) for place, one in enumerate(boxes) for two in boxes[:place])


def test_labels_are_moved_apart_and_no_further() -> None:
    np.testing.assert_allclose(apart([10.0, 50.0, 90.0]), [10, 50, 90])
    np.testing.assert_allclose(apart([50.0, 50.0]), [50 - LABEL_HEIGHT / 2, 50 + LABEL_HEIGHT / 2])
    for crowd in ([0.0] * 4, [98.0, 99.0, 99.5, 100.0], [1.0, 2.0, 98.0, 99.0]):
        placed = apart(crowd)
        assert np.diff(placed).min() > LABEL_HEIGHT - 1e-9
        assert placed[0] >= 0
        assert placed[-1] <= 100
    assert len(apart([])) == 0


def test_dreams_are_shown_pixel_by_pixel(tmp_path: Path) -> None:
    grey = np.arange(3 * 64, dtype=np.uint8).reshape(3, 1, 8, 8)
    colour = np.random.default_rng(0).integers(0, 256, (21, 3, 8, 8), np.uint8)
    figure = plots.dreams([("real mnist", grey), ("nothing", grey[:0]), ("dreams of generation 1", colour)])
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["real mnist", "dreams of generation 1"]
    shown = np.asarray(first.images[0].get_array())
    assert shown.shape == (8, 3 * 9 - 1, 3)
    np.testing.assert_array_equal(shown[:, 9:17, 0], grey[1, 0])
    shown = np.asarray(second.images[0].get_array())
    assert shown.shape == (2 * 9 - 1, 20 * 9 - 1, 3)
    np.testing.assert_array_equal(shown[9:, :8], colour[20].transpose(1, 2, 0))
    plots.save(figure, tmp_path / "dreams.png")
    with Image.open(tmp_path / "dreams.png") as picture:
        present = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    wanted = {tuple(pixel) for pixel in colour.transpose(0, 2, 3, 1).reshape(-1, 3)}
    assert wanted <= present


def test_losses_put_tasks_one_after_another_and_joint_beside_them_all() -> None:
    log = [tick(method, task, step) for method in ("replay", "naive") for task in ("a", "b") for step in (10, 20)]
    log += [tick("joint", "b", step) for step in (20, 40)]
    (axes,) = plots.losses(log).axes
    assert axes.get_title(loc="left") == "solver: loss"
    assert labels(axes) == {"a", "b"}
    drawn = [(str(item.get_label()).split(":")[0], np.asarray(item.get_xdata()).tolist()) for item in axes.lines]
    curves = [item for item in drawn if not item[0].startswith("_")]
    assert sorted(curves) == [
        ("joint", [20, 40]),
        ("naive", [10, 20]),
        ("naive", [30, 40]),
        ("replay", [10, 20]),
        ("replay", [30, 40]),
    ]


def test_losses_have_a_panel_for_each_loss_of_the_first_seed() -> None:
    metrics = {"critic_loss": -3.0, "wasserstein": 4.0, "penalty": float("nan"), "gradient_norm": 9.0}
    log = [
        tick("replay", "a", 10, seed=7),
        tick("replay", "a", 10, seed=8, metrics={"other_loss": 1.0}),
        tick("replay", "a", 5, seed=7, stage="generator", metrics=metrics),
        tick("replay", "a", 8000, seed=7, stage="bank", metrics={}),
    ]
    titles = [axes.get_title(loc="left") for axes in plots.losses(log).axes]
    assert titles == ["solver: loss", "generator: critic loss", "generator: wasserstein"]


def test_losses_of_a_step_taken_twice_are_those_of_the_second_time() -> None:
    log = [tick("replay", "a", step, metrics={"loss": loss}) for step, loss in [(10, 5.0), (20, 4.0), (10, 3.0)]]
    (axes,) = plots.losses(log).axes
    assert list(line(axes, "replay").get_ydata()) == [3.0, 4.0]


@pytest.mark.parametrize("figure", [plots.losses([]), plots.dreams([])])
def test_nothing_to_show_is_an_empty_picture(figure: Any, tmp_path: Path) -> None:
    plots.save(figure, tmp_path / "empty.png")
    with Image.open(tmp_path / "empty.png") as picture:
        assert picture.format == "PNG"
    assert not figure.axes
