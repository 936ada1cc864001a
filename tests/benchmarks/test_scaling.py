"""Could scaling.py fit wrong, show its formulas what it claims to have held back, or extrapolate wrongly?"""

from __future__ import annotations

import pytest
import scaling
import torch
import torch.nn.functional as F
from measuring.costs import COSTS, DATA, KNOWN, ONE, PIXELS, Cell, Cost, Fit, fitted
from measuring.costs_page import written
from measuring.extrapolation import growths, solver_gflop
from measuring.operations import flops

from scholars.settings import Settings
from scholars.solvers import build_solver

CELLS = [cell for cells in scaling.FACTORS.values() for cell in cells]


def made_up(cell: Cell) -> list[dict[str, object]]:
    """Rows whose costs are known sums."""

    def row(task: int) -> dict[str, object]:
        pixels = cell.batch * cell.size**2 * cell.width
        known = task * cell.classes
        return {
            "task": task,
            "yardstick": 100.0,
            "solver": 1e-3 + 2e-8 * pixels + 1e-10 * pixels * cell.width,
            "generator": 2e-3 + 3e-8 * pixels + 1e-6 * known,
            "dream": 1e-4 if task > 1 else None,
            "evaluate": 1e-4,
            "draw": 1e-6 + 1e-9 * cell.size**2,
            "memory": 50 + 3e-6 * cell.images * cell.size**2,
            "bytes": {
                "scholar.json": 500 + 3000 * task + 20 * known,
                "solver.safetensors": 4000 + 300 * cell.width**2 + 32 * cell.width * known,
                "generator.safetensors": 5000 + 100 * cell.width**2 * 4**cell.doublings + 256 * known,
            },
        }

    return [row(task) for task in range(1, cell.tasks + 1)]


ROWS = {scaling.name(cell): made_up(cell) for cell in CELLS}


def fits() -> dict[str, Fit]:
    return {
        key: fitted(cost, [(point.cell, point.value) for point in scaling.points(ROWS, cost) if point.shown])
        for key, cost in COSTS.items()
    }


def test_a_sum_of_known_terms_is_found_again() -> None:
    cost = Cost("", "", 1, (ONE, PIXELS, DATA, KNOWN), lambda row: None)
    truth = Fit(cost, (3e-3, 4e-8, 0.0, 5e-6))
    found = fitted(cost, [(cell, truth(cell)) for cell in CELLS])
    assert found.coefficients == pytest.approx(truth.coefficients, rel=1e-6, abs=1e-15)


def test_what_falls_with_size_gets_no_negative_coefficient() -> None:
    cost = Cost("", "", 1, (ONE, PIXELS), lambda row: None)
    found = fitted(cost, [(Cell(width=width), 1 / width) for width in (8, 16, 32)])
    assert min(found.coefficients) == 0


def test_what_is_held_back_is_predicted_where_the_formula_is_true() -> None:
    for key, fit in fits().items():
        held = [point for point in scaling.points(ROWS, COSTS[key]) if not point.shown]
        assert {point.factor for point in held} == {*scaling.HELD_BACK, "tasks"}
        for point in held:
            assert fit(point.cell) == pytest.approx(point.value, rel=0.01), (key, point)


def test_nothing_that_is_held_back_is_as_near_as_what_is_shown() -> None:
    points = scaling.points(ROWS, COSTS["memory"])
    for factor in set(scaling.HELD_BACK) - {"defaults"}:
        values = {
            shown: [getattr(p.cell, factor) for p in points if p.factor == factor and p.shown is shown]
            for shown in (True, False)
        }
        assert max(values[True]) < min(values[False])


def test_seconds_of_a_slow_moment_count_less() -> None:
    slow = {name: [row | {"yardstick": 50.0} for row in rows] for name, rows in list(ROWS.items())[:1]}
    usual, corrected = (scaling.points(ROWS | changed, COSTS["solver"])[0].value for changed in ({}, slow))
    assert corrected == pytest.approx(usual / 2)
    assert scaling.points(ROWS | slow, COSTS["memory"])[0].value == scaling.points(ROWS, COSTS["memory"])[0].value


def test_where_something_breaks_is_as_by_hand() -> None:
    at = {growth.title: growth.breaks_at() for growth in growths(fits())}
    by = {word: next(value for title, value in at.items() if word in title) for word in ("new images", "confusion")}
    assert by["new images"] == 129  # 128 images a batch, of which 1 in T is new
    assert by["confusion"] == 794  # 32 T^3 bytes are more than 16e9


def test_the_solver_is_as_large_as_the_extrapolation_takes_it_to_be() -> None:
    settings = Settings()
    solver = build_solver(settings.solver, settings.image, 10)
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    labels = torch.zeros(2, dtype=torch.int64)
    counted = flops(lambda: torch.autograd.backward(F.cross_entropy(solver(images), labels))) / 2e9
    assert solver_gflop(32, settings.solver.width) == pytest.approx(counted, rel=0.02)


def test_the_page_has_every_formula_and_what_was_held_back() -> None:
    document = {
        "date": "2026-01-01",
        "environment": {"processor": "a machine", "threads": 2, "precision": "bf16-mixed", "packages": {"torch": "2"}},
    }
    page = written(document, fits(), {key: scaling.points(ROWS, cost) for key, cost in COSTS.items()})
    assert all(f"| {cost.title} | {cost.unit} |" in page for cost in COSTS.values())
    assert "| the defaults | a step of the solver, ms |" in page
    assert "| tasks 20 | scholar.json, KB |" in page
    assert "| learning a task | 1.0" in page
