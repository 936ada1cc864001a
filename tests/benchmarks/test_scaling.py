"""scaling.py: could it fit wrongly, fit to points that it claims to have held back, or extrapolate wrongly?"""

from __future__ import annotations

import pytest
import scaling
import torch
import torch.nn.functional as F
from measuring.cost_model import COSTS, Cell, Cost, Formula, fit_formula, term_value
from measuring.costs_page import format_page
from measuring.extrapolation import growths, solver_gflop
from measuring.flop_count import count_flops

from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers import build_solver

CELLS = [cell for cells in scaling.FACTORS.values() for cell in cells]


def synthetic_rows(cell: Cell) -> list[dict[str, object]]:
    """Return rows whose costs are known sums."""

    def row(task: int) -> dict[str, object]:
        pixels = cell.batch * cell.size**2 * cell.width
        known = task * cell.classes
        return {
            "task": task,
            "reference_speed": 100.0,
            "solver": 1e-3 + 2e-8 * pixels + 1e-10 * pixels * cell.width,
            "generator": 2e-3 + 3e-8 * pixels + 1e-6 * known,
            "dream": 1e-4 if task > 1 else None,
            "evaluate": 1e-4,
            "draw": 1e-6 + 1e-9 * cell.size**2,
            "memory": 50 + 3e-6 * cell.images * cell.size**2,
            "bytes": {
                "scholar.json": 500 + 3000 * task + 20 * known,
                "solver.safetensors": 4000 + 300 * cell.width**2 + 32 * cell.width * known,
                "generator.safetensors": 5000 + 100 * cell.width**2 * 4 ** cell.symbols()["L"] + 256 * known,
            },
        }

    return [row(task) for task in range(1, cell.tasks + 1)]


ROWS = {scaling.cell_name(cell): synthetic_rows(cell) for cell in CELLS}


def test_a_term_is_the_product_that_it_says() -> None:
    cell = Cell(tasks=3, classes=5, images=7, size=64, width=11, batch=13)
    assert [term_value(term, cell) for term in ("1", "3 N S²", "B K")] == [1, 3 * 7 * 64**2, 13 * 15]
    levels, smallest = cell.symbols()["L"], cell.symbols()["s"]
    assert (levels, smallest) == (4, 4)
    assert term_value("W 2^L s²", cell) == 11 * 2**4 * 4**2


def test_the_coefficients_of_a_known_sum_are_found_again() -> None:
    cost = Cost("", "", 1, ("1", "B S² W", "3 N S²", "K"), lambda row: None)
    truth = Formula(cost, (3e-3, 4e-8, 0.0, 5e-6))
    found = fit_formula(cost, [(cell, truth(cell)) for cell in CELLS])
    assert found.coefficients == pytest.approx(truth.coefficients, rel=1e-6, abs=1e-15)


def test_a_cost_that_falls_with_size_gets_no_negative_coefficient() -> None:
    cost = Cost("", "", 1, ("1", "B S² W"), lambda row: None)
    found = fit_formula(cost, [(Cell(width=width), 1 / width) for width in (8, 16, 32)])
    assert min(found.coefficients) == 0


def test_points_that_are_held_back_are_predicted_where_the_formula_is_true() -> None:
    for key, formula in scaling.fit_formulas(ROWS).items():
        held = [point for point in scaling.points(ROWS, COSTS[key]) if not point.fitted]
        assert {point.factor for point in held} == {*scaling.HELD_BACK, "tasks"}
        for point in held:
            assert formula(point.cell) == pytest.approx(point.value, rel=0.01), (key, point)


def test_points_that_are_held_back_are_farther_out_than_those_fitted() -> None:
    points = scaling.points(ROWS, COSTS["memory"])
    for factor in set(scaling.HELD_BACK) - {"defaults"}:
        values = {
            fitted: [getattr(p.cell, factor) for p in points if p.factor == factor and p.fitted is fitted]
            for fitted in (True, False)
        }
        assert max(values[True]) < min(values[False])


def test_seconds_of_a_slow_moment_count_less() -> None:
    slow = {name: [row | {"reference_speed": 50.0} for row in rows] for name, rows in list(ROWS.items())[:1]}
    usual, corrected = (scaling.points(ROWS | changed, COSTS["solver"])[0].value for changed in ({}, slow))
    assert corrected == pytest.approx(usual / 2)
    assert scaling.points(ROWS | slow, COSTS["memory"])[0].value == scaling.points(ROWS, COSTS["memory"])[0].value


def test_the_task_at_which_something_breaks_is_as_by_hand() -> None:
    at = {growth.title: growth.breaks_at() for growth in growths(scaling.fit_formulas(ROWS))}
    by = {word: next(value for title, value in at.items() if word in title) for word in ("new images", "confusion")}
    assert by["new images"] == 129  # 128 images a batch, of which 1 in T is new
    assert by["confusion"] == 794  # 32 T^3 bytes are more than 16e9


def test_the_solver_computes_as_much_as_the_extrapolation_assumes() -> None:
    solver = build_solver(SolverSettings(width=32), ImageSettings(), 10)
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    labels = torch.zeros(2, dtype=torch.int64)
    counted = count_flops(lambda: torch.autograd.backward(F.cross_entropy(solver(images), labels))) / 2e9
    assert solver_gflop(32, 32) == pytest.approx(counted, rel=0.02)


def test_the_page_has_every_formula_and_the_points_that_were_held_back() -> None:
    document = {
        "date": "2026-01-01",
        "environment": {"processor": "a machine", "threads": 2, "precision": "bf16-mixed", "packages": {"torch": "2"}},
    }
    points = {key: scaling.points(ROWS, cost) for key, cost in COSTS.items()}
    page = "\n".join(format_page(document, scaling.fit_formulas(ROWS), points))
    assert all(f"| {cost.title} | {cost.unit} |" in page for cost in COSTS.values())
    assert "| the defaults | a step of the solver, ms |" in page
    assert "| tasks 20 | scholar.json, KB |" in page
    assert "| learning a task | 1.0" in page
