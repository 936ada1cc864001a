"""What a sweep varies, and what is wrong with it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from conftest import flat
from hypothesis import given
from hypothesis import strategies as st

from scholars.cli import main as cli
from scholars.cli.console import repeat_options
from scholars.errors import InputError
from scholars.experiments.recipe import read_recipe
from scholars.experiments.sweeps.grid import DEFAULT_VALIDATION, format_changes, plan_sweep, split_values
from scholars.settings import registry
from scholars.settings.generator import FlowSettings, GANSettings, R3GANSettings
from scholars.settings.overrides import parse_changes


def test_every_combination_is_a_trial() -> None:
    plan = plan_sweep("quickstart", ["solver.width=8, 16", "replay.ratio=auto,0.5", "audit.dreams=0"], [3, 4])
    assert [format_changes(trial.changes) for trial in plan.trials] == [
        "solver.width=8 replay.ratio=auto",
        "solver.width=8 replay.ratio=0.5",
        "solver.width=16 replay.ratio=auto",
        "solver.width=16 replay.ratio=0.5",
    ]
    recipe = plan.trials[3].recipe
    assert (recipe.image_solver.width, recipe.replay.ratio, recipe.audit.dreams) == (16, 0.5, 0)
    assert (recipe.seeds, recipe.methods, recipe.validation) == ((3, 4), ("replay",), DEFAULT_VALIDATION)
    assert plan.scored == "replay"


def test_several_kinds_of_generator_with_a_setting_that_all_of_them_have() -> None:
    sets = ["generator.kind=gan,r3gan", "generator.steps=10,20", "generator.width=8"]
    plan = plan_sweep("split-mnist-small", sets)
    found = [(trial.recipe.trained_generator.kind, trial.recipe.trained_generator.steps) for trial in plan.trials]
    assert found == [("gan", 10), ("gan", 20), ("r3gan", 10), ("r3gan", 20)]
    # The recipe's own settings hold for its own kind only.
    rates = [flat(trial.recipe.model_dump())["generator.critic_rate"] for trial in plan.trials]
    assert rates == [0.006, 0.006, R3GANSettings().critic_rate, R3GANSettings().critic_rate]
    assert R3GANSettings().critic_rate != 0.006
    for trial in plan.trials:
        words = repeat_options(shlex.split(plan.command(trial)))
        changes = parse_changes(word for place, word in enumerate(words) if words[place - 1] == "--set")
        assert read_recipe("split-mnist-small", changes).generator == trial.recipe.generator


def test_fixed_settings_need_not_be_of_the_recipes_own_kind() -> None:
    plan = plan_sweep("quickstart", ["generator.kind=gan,wgan", "generator.critic_steps=2"])
    assert [trial.recipe.trained_generator.batches_per_step for trial in plan.trials] == [2, 2]


@pytest.mark.parametrize("steps", ["5", "5,10"])
def test_a_setting_that_not_all_kinds_have_is_refused(steps: str) -> None:
    sets = ["generator.kind=flow,r3gan,vae", f"generator.sampling_steps={steps}"]
    with pytest.raises(
        InputError, match=r"sampling_steps: of generator\.kind=flow,r3gan,vae only flow has this setting"
    ):
        plan_sweep("quickstart", sets)
    with pytest.raises(
        InputError, match=r"only flow, vae have this setting: .*{kind: flow, distil: \.\.\.},{kind: r3gan}"
    ):
        plan_sweep("quickstart", [sets[0], "generator.distil=true,false"])


def test_whole_sections_may_be_varied() -> None:
    plan = plan_sweep(
        "quickstart", ["generator={kind: flow, sampling_steps: 9},{kind: gan, width: 8}", "solver.steps=9"]
    )
    first, second = (trial.recipe.generator for trial in plan.trials)
    assert first == FlowSettings(sampling_steps=9)
    assert second == GANSettings(width=8)
    words = repeat_options(shlex.split(plan.command(plan.trials[1])))
    changes = parse_changes(word for place, word in enumerate(words) if words[place - 1] == "--set")
    assert read_recipe("quickstart", changes).generator == second


def test_values_that_are_equal_are_refused() -> None:
    with pytest.raises(InputError, match=r"^solver\.rate=1e-3 and solver\.rate=0\.001 are the same settings"):
        plan_sweep("quickstart", ["solver.rate=1e-3,0.001"])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a,b", ["a", "b"]),
        ("[a,b],[b,a]", ["[a,b]", "[b,a]"]),
        ("{a: [1,2]}, 3", ["{a: [1,2]}", "3"]),
        ("\"a,b\",c,'d,e'", ['"a,b"', "c", "'d,e'"]),
        ("['a]',b],c", ["['a]',b]", "c"]),
        ("it's,that's", ["it's", "that's"]),
        ("", [""]),
        ("1,,2", ["1", "", "2"]),
    ],
)
def test_commas_within_brackets_and_quotes_belong_to_a_value(text: str, pieces: list[str]) -> None:
    assert split_values(text) == pieces


@given(st.lists(st.text("abc1.-_ ", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_plain_values_come_back(values: list[str]) -> None:
    assert split_values(",".join(values)) == values
    assert split_values(f"[{','.join(values)}]") == [f"[{','.join(values)}]"]


def test_the_command_runs_the_same_settings_on_the_real_test_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", [])  # what other tests loaded would be part of it
    sets = ["generator.kind=vae,flow", "replay.generator_ratio=0.1,auto", "validation=0.3", "solver.flip=false"]
    plan = plan_sweep("quickstart", sets, [0, 1], ["er", "replay"])
    trial = plan.trials[2]
    words = repeat_options(shlex.split(plan.command(trial, "my data")))
    assert words[-4:] == ["--out", "runs/quickstart-best", "--data-dir", "my data"]
    words = words[:-4]
    assert words[:3] == ["scholars", "run", "quickstart"]
    changes = parse_changes(word for place, word in enumerate(words) if words[place - 1] == "--set")
    assert words[-6:-2] == ["--seed", "0", "--seed", "1"]
    assert words[-2] == "--methods"
    methods = words[-1].split(",")
    read = read_recipe("quickstart", {**changes, "seeds": [0, 1], "methods": methods, "validation": 0.3})
    assert read == trial.recipe
    assert "validation" not in changes


def test_what_a_recipe_of_ones_own_holds_out_is_given_back(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("tasks: [digits, street]\nvalidation: 0.2\n")
    plan = plan_sweep(str(recipe), ["solver.flip=true,false"])
    words = repeat_options(shlex.split(plan.command(plan.trials[0])))
    changes = parse_changes(word for place, word in enumerate(words) if words[place - 1] == "--set")
    assert (plan.trials[0].recipe.validation, read_recipe(str(recipe), changes).validation) == (0.2, None)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["replay.ratio"], "takes KEY=VALUE"),
        (["replay.ratio="], "empty value"),
        (["replay.ratio=0.3,,0.5"], "empty value"),
        (["replay.ratio=0.3,0.30"], r"the value 0\.3 is given twice"),
        (["replay.ratio=0.3,0.5", "replay.ratio=0.7"], "given twice"),
        (["replay.ratoi=0.3,0.5"], r"unknown key 'replay\.ratoi'.*Did you mean 'ratio'"),
        (["generator.kind=flow,wgan-pg", "generator.steps=9"], r"generator\.kind='wgan-pg' is not known"),
        (
            ["generator.kind=flow,vae", "generator.stesp=9,10"],
            r"^generator\.kind=flow .*unknown key 'generator\.stesp'",
        ),
        (["replay.ratio=0.3,2"], r"^replay\.ratio=2: .*less than or equal to 1"),
        (["replay.ratio=0.3"], "nothing is varied"),
        ([], "nothing is varied"),
        (["replay.dreams=bank,fresh", "replay.balance=classes"], r"^replay\.dreams=fresh: .*contradicts"),
        (["seeds=1,2"], "by --seed"),
        (["seeds=[1]", "replay.ratio=0.3,0.5"], "by --seed"),
        (["methods=replay,naive"], "by --methods"),
        (["validation=0.1,0.2"], "cannot be compared"),
        (["validation=null", "replay.ratio=0.3,0.5"], "never by test images"),
        (["solver.width=[4,8"], "not a readable value"),
        (["solver.steps=" + ",".join(str(n) for n in range(1, 10_002))], "10,001 combinations"),
    ],
)
def test_what_is_wrong_is_said(sets: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_sweep("quickstart", sets)


def test_a_seed_twice_and_unknown_methods_are_refused() -> None:
    with pytest.raises(InputError, match="seeds: names something twice"):
        plan_sweep("quickstart", ["replay.ratio=0.3,0.5"], [1, 1])
    with pytest.raises(InputError, match="methods"):
        plan_sweep("quickstart", ["replay.ratio=0.3,0.5"], methods=["rehearsal"])
    with pytest.raises(InputError, match="methods"):
        plan_sweep("quickstart", ["replay.ratio=0.3,0.5"], methods=[])


@pytest.mark.parametrize(
    "words", [["--set", "replay.ratio=0.3,0.3"], ["--seed", "0", "0", "--set", "solver.width=8,9"]]
)
def test_the_command_line_refuses_before_anything_is_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["scholars", "sweep", "quickstart", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "twice" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
