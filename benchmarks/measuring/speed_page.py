"""Write docs/speed.md from what speed.py measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from measuring.pages import describe_machine, table
from scholars.report.formatting import DASH
from scholars.settings import DEFAULT_GENERATOR

Document = Mapping[str, Any]
# Target for the minutes of a run, and for its accuracy in %.
_TARGETS = {"mnist-svhn": ("6 min", ""), "split-mnist": ("6 min", "98 %"), "split-mnist-small": ("1 min", "95 %")}
_STAGE_HEADS = (
    "stage | a second | ratio | GFLOP an image | GFLOP/s | share of the best convolution | convolutions alone | "
    "outside | MiB"
)
_HOW_TO_READ = """## How to read it

The machine's speed differs from minute to minute, and from machine to machine. So each stage is measured
several times for about a second, with a reference workload right before and after it, and what counts is their
ratio:

- *ratio*: the images (megabytes for a checkpoint) that the stage does while the machine does one unit of
  the reference: a GFLOP of the convolution for what computes, a megabyte of inflating for what reads and
  writes. The median, and least and most. This is what `--check` compares.
- *GFLOP an image*, *GFLOP/s*: convolutions and matrix products as they are carried out, forward and
  backward, counted by PyTorch; norms, activations, pooling, optimizer and moving averages
  are not. A change that leaves out what was computed in vain lowers them, and raises the ratio.
- *share of the best convolution*: these over the reference, which for training is a 3 x 3 convolution,
  forward and backward, of 128 images of 8 x 8 from 128 to 128 channels, channels last - the fastest size of
  ten that were tried -, and for the rest the same forward.
- *convolutions alone*: what the share would be if nothing but the step's own convolutions and products took
  time, each measured by itself. What it is below 1 lies in their shapes; what the share is below it lies in
  everything between them.
- *outside*: of a training as `run` does it, the share of the time that is not forward, backward or
  optimizer: drawing and augmenting batches, reports, bookkeeping, a checkpoint a minute.
- *MiB*: memory at most: of the tensors of a step, beyond networks and data; for what computes nothing, what
  the process grew by. That of a whole run is among the targets.

A step of a generator counts the images of its batch once, however often critic and generator network see them.
Steps are those of `mnist-svhn`'s second task: each batch is SVHN and dreams, as the recipe mixes them."""


def format_page(document: Document) -> list[str]:
    """Return the lines of the page."""
    return [
        "# How fast it is",
        "",
        f"Made by `python benchmarks/speed.py --data-dir DIR` on {document['date']}: "
        f"{describe_machine(document, 'threads', 'precision')}, scholars "
        f"{document['environment']['packages']['scholars']}. The same with `--check` measures again and names every "
        "ratio that is more than 15 % worse than here.",
        "",
        "## Beside the targets",
        "",
        *table("what | measured | target", _target_rows(document)),
        "## Stage by stage",
        "",
        *table(_STAGE_HEADS, (_stage_row(name, row) for name, row in document["stages"].items())),
        "## What the machine can do",
        "",
        *table(
            "reference workload | median | least to most",
            (
                (name, f"{row['median']:,.0f} {row['unit']}", f"{row['least']:,.0f} to {row['most']:,.0f}")
                for name, row in document["references"].items()
            ),
        ),
        _HOW_TO_READ,
    ]


def _target_rows(document: Document) -> Iterator[Sequence[object]]:
    stages = document["stages"]
    for name, target in (("step of the solver", 0.5), (f"step of {DEFAULT_GENERATOR}", 0.4)):
        if "share" in stages.get(name, {}):
            share = _range(stages[name]["share"])
            yield f"{name}: operations a second over the best convolution's", share, target
    outside = {name: row["outside"]["median"] for name, row in stages.items() if "outside" in row}
    if outside:
        most = max(outside, key=lambda name: outside[name])
        what = "time of a training outside forward, backward and optimizer, at most"
        yield what, f"{100 * outside[most]:.1f} % ({most})", "5 %"
    for name, row in stages.items():
        if name.startswith("dream"):
            yield f"{name}, labels included", f"{row['speed']['median']:,.0f} a second", "1,000"
    for name, row in document.get("processes", {}).items():
        speeds = f"{row['two']:,.0f} / {row['one']:,.0f} images a second: {row['ratio']:.2f}"
        yield f"{name}: two processes of one thread over one of two", speeds, 0.9
    for name, row in document.get("runs", {}).items():
        yield from _run_rows(name, row)


def _run_rows(name: str, row: Document) -> Iterator[Sequence[object]]:
    replay, joint = row["runs"]["replay"], row["runs"].get("joint")
    accuracy = 100 * replay["average_accuracy"]
    minutes, target = _TARGETS[name]
    yield f"`{row['command']}`: replay, the whole stream", f"{replay['seconds'] / 60:.1f} min", minutes
    if target:
        yield "the same: accuracy at the end", f"{accuracy:.2f} %", target
    elif joint:
        beyond = 100 * joint["average_accuracy"] - accuracy
        yield "the same: average accuracy, below joint by", f"{accuracy:.2f} %, {beyond:.2f} points", "0.3 points"
    memory = f"{replay['peak_memory_mb'] / 1024:.2f} GiB"
    yield "the same: peak memory", memory, "2 GiB" if name == "mnist-svhn" else ""


def _stage_row(name: str, row: Document) -> Sequence[str]:
    unit = "" if row["unit"] == "images" else f" {row['unit']}"
    return (
        name,
        f"{row['speed']['median']:,.0f}{unit}",
        _range(row["ratio"]),
        f"{row['gflop']:.4f}" if "gflop" in row else DASH,
        f"{row['gflops']:.0f}" if "gflops" in row else DASH,
        _range(row["share"]) if "share" in row else DASH,
        f"{row['alone']:.2f}" if "alone" in row else DASH,
        f"{100 * row['outside']['median']:.1f} %" if "outside" in row else DASH,
        f"{row['memory']:,}",
    )


def _range(row: Mapping[str, float]) -> str:
    """Return the median, and least and most in brackets."""
    digits = 2 if row["median"] >= 0.095 else 3
    middle, least, most = (f"{row[name]:.{digits}f}" for name in ("median", "least", "most"))
    return f"{middle} ({least}-{most})"
