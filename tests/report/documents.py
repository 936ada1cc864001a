"""Small results documents, with figures that are easy to compute by hand."""

from __future__ import annotations

from typing import Any


def one_run(seed: int, method: str, accuracy: list[list[float]], **numbers: Any) -> dict[str, Any]:
    last = accuracy[-1]
    return {
        "seed": seed,
        "method": method,
        "accuracy": accuracy,
        "average_accuracy": sum(last) / len(last),
        "forgetting": None,
        "backward_transfer": None,
        "seconds": 100.0,
        "seconds_per_task": [50.0] * len(accuracy),
        "peak_memory_mb": 1500.0,
        "kept_bytes": 8_123_456,
        "images_generated": 12000,
        **numbers,
    }


def results(**changes: Any) -> dict[str, Any]:
    """Two tasks, two seeds, three methods; `exact` was not run."""
    return {
        "schema": 1,
        "recipe": "tiny",
        "tasks": ["mnist", "svhn"],
        "seeds": [0, 1],
        "generator": "flow",
        "runs": [
            one_run(0, "naive", [[0.99], [0.30, 0.95]], forgetting=0.69, backward_transfer=-0.69, seconds=1000.0),
            one_run(0, "replay", [[0.99], [0.96, 0.92]], forgetting=0.03, backward_transfer=-0.03, seconds=2000.0),
            one_run(0, "joint", [[0.98, 0.94]]),
            one_run(1, "naive", [[0.97], [0.20, 0.93]], forgetting=0.77, backward_transfer=-0.77, seconds=1002.0),
            one_run(1, "replay", [[0.97], [0.94, 0.90]], forgetting=0.03, backward_transfer=-0.03, seconds=2004.0),
            one_run(1, "joint", [[0.98, 0.92]]),
        ],
        "summary": {
            "naive": {
                "average_accuracy": {"mean": 0.595, "std": 0.0424, "n": 2, "interval": 0.3812},
                "gap_closed": 0.0,
            },
            "replay": {
                "average_accuracy": {"mean": 0.93, "std": 0.0141, "n": 2, "interval": 0.1271},
                "gap_closed": 0.9306,
            },
            "joint": {
                "average_accuracy": {"mean": 0.955, "std": 0.0071, "n": 2, "interval": 0.0635},
                "gap_closed": 1.0,
            },
        },
        "environment": {
            "command": "scholars run tiny",
            "cores": 2,
            "device": None,
            "packages": {"torch": "2.13.0", "numpy": "2.1"},
        },
        "config": {"name": "tiny", "solver": {"steps": 800}},
        **changes,
    }


def uneven() -> dict[str, Any]:
    """One task, two seeds, replay alone; its classes have different numbers of test images."""
    means = [[[0.9]], [[0.8]]]
    return results(
        tasks=["zoo"],
        runs=[
            one_run(seed, "replay", [[0.99]], mean_class_accuracy=mean, average_mean_class_accuracy=mean[0][0])
            for seed, mean in enumerate(means)
        ],
        summary={},
    )


def single(name: str = "mnist") -> dict[str, Any]:
    """One task, one seed, replay alone: nothing to compare with."""
    return results(
        tasks=[name],
        seeds=[0],
        runs=[one_run(0, "replay", [[0.987]])],
        summary={"replay": {"average_accuracy": {"mean": 0.987, "std": 0.0, "n": 1}, "gap_closed": None}},
    )


def tick(method: str, task: str, step: int, **changes: Any) -> dict[str, Any]:
    """A line of the metrics log."""
    return {
        "seed": 0,
        "method": method,
        "task": task,
        "stage": "solver",
        "step": step,
        "steps": 20,
        "images_per_second": 1000.0,
        "metrics": {"loss": 1.0 / step},
        **changes,
    }
