"""Networks of one's own: registered, trained, saved, loaded, and trained again."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from command_line import scholars
from conftest import with_changes

from scholars import Scholar, learn, register_generator, register_solver
from scholars.errors import InputError
from scholars.learning.audit import audit
from scholars.settings import Settings, registry
from scholars.settings.overrides import build
from scholars.tasks.task import Task

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_resnet18_is_trained_saved_loaded_and_trained_again(
    low: Task, high: Task, tiny: Settings, tmp_path: Path
) -> None:
    registry.load_plugin(str(EXAMPLES / "resnet18.py"))
    solver = {"kind": "resnet18", "steps": 10, "rate": 1e-3, "shift": 0}
    few = {"image__size": 8, "generator__steps": 2, "replay__bank": 100, "ood__dreams": 0}
    settings = with_changes(tiny, **few, **{f"solver__{key}": value for key, value in solver.items()})
    learn(low, settings=settings).save(tmp_path / "s")
    one = Scholar.load(tmp_path / "s")
    assert type(one.solver).__name__ == "ResNet18"
    assert (one.lineage[0].accuracy or 0) > 0.5
    two = learn(high, one)
    assert two.features_and_logits(torch.zeros(3, 1, 8, 8, dtype=torch.uint8))[0].shape == (3, 512)
    assert two.classes == (*low.classes, *high.classes)
    assert (two.lineage[1].accuracy or 0) > 0.5
    two.save(tmp_path / "s")

    del registry._KINDS["solver"]["resnet18"]
    with pytest.raises(InputError, match=r"solver\.kind='resnet18' is not known.*register it first"):
        Scholar.load(tmp_path / "s")


def test_a_generator_of_ones_own_dreams(low: Task, high: Task, tiny: Settings, tmp_path: Path) -> None:
    registry.load_plugin(str(EXAMPLES / "blobs.py"))
    changes = {"generator.kind": "blobs", "generator.steps": 120, "generator.batch": 32}
    settings = build(Settings, tiny.model_dump(mode="json"), changes, where="test")
    learn(low, settings=settings).save(tmp_path / "s")
    one = Scholar.load(tmp_path / "s")
    images, targets = one.dream(50)
    # Blurred means of a class are seen as it, mostly.
    asked = torch.arange(50) % 5
    assert (targets.argmax(1) == asked).float().mean() > 0.5
    assert images.shape == (50, 1, 16, 16)
    assert audit(one, [low]).classes[0].agreement is not None
    two = learn(high, one)
    assert two.conditions == tuple(
        (task, output) for task, outputs in ((0, range(5)), (1, range(5, 10))) for output in outputs
    )
    assert (two.dream(10)[0].shape, two.settings.generator.kind) == ((10, 1, 16, 16), "blobs")


def test_what_is_no_network_is_refused(low: Task, tiny: Settings) -> None:
    register_solver("list", lambda *args: [])
    register_generator("list", lambda *args: torch.nn.Linear(1, 1))
    for key in ("solver.kind", "generator.kind"):
        settings = build(Settings, tiny.model_dump(mode="json"), {key: "list", "solver.steps": 1}, where="test")
        with pytest.raises(InputError, match=rf"{key}='list' built a (list|Linear)"):
            learn(low, settings=settings)


def test_a_kind_that_nobody_registered_is_refused_when_the_configuration_is_read() -> None:
    with pytest.raises(InputError, match=r"generator\.kind='flaw' is not known\. Did you mean 'flow'"):
        build(Settings, {}, {"generator.kind": "flaw"}, where="test")
    with pytest.raises(InputError, match=r"solver\.kind='resnet' is not known\. .*Known: cnn"):
        build(Settings, {}, {"solver.kind": "resnet"}, where="test")


def test_entry_points_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    entry = EntryPoint("theirs", "torch.nn:Linear", "scholars.solvers")
    monkeypatch.setattr(registry, "entry_points", lambda group, name: [entry] if name == "theirs" else [])
    assert build(Settings, {}, {"solver.kind": "theirs"}, where="test").solver.kind == "theirs"
    assert registry.builder("solver", "theirs") is torch.nn.Linear


def test_plugins_that_are_not_there(tmp_path: Path) -> None:
    for word in (str(tmp_path / "gone.py"), "no_such_module_here", "./no_ending", ""):
        with pytest.raises(InputError, match="--plugin"):
            registry.load_plugin(word)


def test_a_plugin_that_fails_is_said_in_a_line(tmp_path: Path) -> None:
    for code, said in (("1 / 0", "ZeroDivisionError: division by zero"), ("def (", "SyntaxError: ")):
        (tmp_path / "broken.py").write_text(code)
        with pytest.raises(InputError, match=said):
            registry.load_plugin(str(tmp_path / "broken.py"))


def test_what_a_plugin_makes_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    """Pickled by its module's name; which hides no other module's."""
    lines = ["from __future__ import annotations", "from dataclasses import dataclass", "import torch"]
    lines += ["@dataclass", "class Plan:", "    width: int = 3", "class Net(torch.nn.Linear): pass"]
    lines += ["from scholars import register_solver", "register_solver('sent', lambda *words: Net(2, 2))"]
    (tmp_path / "json.py").write_text("\n".join(lines))
    registry.load_plugin(str(tmp_path / "json.py"))
    built = registry.builder("solver", "sent")()
    assert torch.equal(pickle.loads(pickle.dumps(built)).weight, built.weight)
    assert sys.modules["json"] is json
    (tmp_path / "json.py").write_text("1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        registry.load_plugin(str(tmp_path / "json.py"))


def test_the_kinds_of_the_package_cannot_be_replaced() -> None:
    for register, kind in ((register_solver, "cnn"), (register_generator, "r3gan")):
        with pytest.raises(InputError, match=f"kind='{kind}' is part of this package"):
            register(kind, torch.nn.Linear)


def test_the_command_line_runs_a_plugin_first(tmp_path: Path) -> None:
    tiny = ["image.size=8", "image.channels=1", "solver.steps=2", "solver.batch=16", "solver.width=4"]
    tiny += ["generator.steps=2", "audit.dreams=0", "ood.dreams=0"]
    plugin = ["--plugin", str(EXAMPLES / "blobs.py")]
    learned = scholars(*plugin, "learn", "s", "digits", "--generator", "blobs", "--set", *tiny, cwd=tmp_path)
    assert learned.returncode == 0
    found = scholars(*plugin, "inspect", "s", "--json", cwd=tmp_path)
    assert json.loads(found.stdout)["generator"] == "blobs"
    del registry._KINDS["generator"]["blobs"]  # as in another process
    without = scholars("inspect", "s", cwd=tmp_path)
    assert (without.returncode, without.stdout) == (2, "")
    assert "generator.kind='blobs' is not known" in without.stderr
