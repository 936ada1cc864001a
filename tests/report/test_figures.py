"""The pictures of a run, as they are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from scholars.report.charts import Spec, chart_accuracy, write_png
from scholars.report.curves import chart_losses
from scholars.report.figures import show_images
from scholars.report.results import parse_results

from .documents import one_run, results, single, tick


def drawn(spec: Spec, path: Path) -> npt.NDArray[np.uint8]:
    """Return the pixels ``[H, W, 3]`` of a chart's picture."""
    write_png(spec, path, scale=1)
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.asarray(picture)


def blocks(inked: npt.NDArray[np.bool_], gap: int = 15) -> int:
    """Return into how many blocks empty stretches of ``gap`` pixels divide a row or column of pixels."""
    places = np.flatnonzero(inked)
    return 1 + int((np.diff(places) > gap).sum())


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (4, 2, 2), (5, 3, 2), (10, 3, 4)])
def test_panels_do_not_overlap(count: int, columns: int, rows: int, tmp_path: Path) -> None:
    names = [f"a task of a long name, number {place}" for place in range(count)]
    accuracy = [[0.9] * (row + 1) for row in range(count)]
    runs = [one_run(0, method, accuracy) for method in ("replay", "naive", "exact")]
    pixels = drawn(chart_accuracy(parse_results(results(tasks=names, runs=runs))), tmp_path / "accuracy.png")
    inked = pixels.min(2) < 250
    inked[: np.argwhere(inked)[0, 0] + 40] = False  # the legend
    assert (blocks(inked.any(0)), blocks(inked.any(1))) == (columns, rows)


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "<script>", "a\nb", "x" * 200, "", "datum", "'\"\\"])
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    usual = drawn(chart_accuracy(parse_results(single("mnist"))), tmp_path / "usual.png")
    pixels = drawn(chart_accuracy(parse_results(single(name))), tmp_path / "accuracy.png")
    assert abs(len(pixels) - len(usual)) < 20  # a panel of the same height, whatever its title
    spec = chart_losses([tick("replay", name, step) for step in (1, 2)])
    assert spec is not None
    assert (drawn(spec, tmp_path / "losses.png") < 250).any()
    drawn(show_images({name: torch.zeros(1, 1, 8, 8, dtype=torch.uint8)}), tmp_path / "dreams.png")


def test_images_are_shown_pixel_by_pixel(tmp_path: Path) -> None:
    """3 images in a row, and 21 in a row of 20 and one below; a picture is about 1,600 pixels wide."""
    grey = torch.arange(3 * 64, dtype=torch.uint8).reshape(3, 1, 8, 8)
    colour = torch.randint(0, 256, (21, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spec = show_images({"real mnist": grey, "nothing": grey[:0], "dreams of generation 1": colour})
    assert [part["title"] for part in spec["vconcat"]] == ["real mnist", "dreams of generation 1"]
    pixels = drawn(spec, tmp_path / "dreams.png")
    for image, zoom in ((grey[1].expand(3, -1, -1), 57), (colour[0], 9), (colour[20], 9)):
        wanted = image.permute(1, 2, 0).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).numpy()
        # Where its first row stands, the whole image stands.
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (1, wanted.shape[1], 3))[:, :, 0, 0]
        places = np.argwhere((windows == wanted[0]).all((2, 3)))
        assert any((pixels[y : y + len(wanted), x : x + wanted.shape[1]] == wanted).all() for y, x in places)


def test_nothing_to_show_is_an_empty_picture(tmp_path: Path) -> None:
    assert (drawn(show_images({}), tmp_path / "dreams.png") == 255).all()
    assert chart_losses([]) is None
