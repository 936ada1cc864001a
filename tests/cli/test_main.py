"""The command line as scripts and people meet it: output, exit codes, messages."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from command_line import scholars
from conftest import TINY, TINY_GENERATORS, flat
from forked import start_scholars
from PIL import Image
from quick_recipe import RECIPE

from scholars.experiments.recipe import shipped_recipes
from scholars.scholar import Scholar
from scholars.settings import DEFAULT_GENERATOR, GENERATORS


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"description": "Small enough for a test.", **RECIPE}))
    return path


def test_a_run_prints_a_table_and_where_the_report_is(recipe: Path, tmp_path: Path) -> None:
    done = scholars("run", str(recipe), "--out", "out", "--seed", "3", "--methods", "replay,naive", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "replay" in done.stdout
    assert "out/report.html" in done.stdout
    assert "low: replay, solver, 60 steps" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"results.json", "report.html", "accuracy.png", "dreams.png", "losses.png", "metrics.jsonl"}
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["seeds"] == [3]
    assert results["environment"]["command"].startswith("scholars run ")

    shown = scholars("inspect", "out/scholars/2", cwd=tmp_path)
    assert shown.returncode == 0
    assert "generation 2, 10 classes" in shown.stdout
    document = json.loads(scholars("inspect", "out/scholars/2", "--json", cwd=tmp_path).stdout)
    assert [task["name"] for task in document["lineage"]] == ["low", "high"]
    assert document["lineage"][1]["settings"]["replay"]["bank"] == 600


def test_reports_are_made_again_and_of_scholars(recipe: Path, two: Scholar, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        words = ["--methods", "replay", "--seed", seed, "--out", f"run{seed}"]
        assert scholars("run", str(recipe), *words, cwd=tmp_path).returncode == 0
    page = tmp_path / "run1" / "report.html"
    page.unlink()
    assert scholars("report", "run1", cwd=tmp_path).returncode == 0
    content = page.read_text(encoding="utf-8")
    assert "Real images and dreams of each class" in content
    assert "The most confident mistakes" in content
    assert len(content) < 6e6
    assert scholars("report", "run1", "run2", "--out", "both.html", cwd=tmp_path).returncode == 0
    assert "seeds" in (tmp_path / "both.html").read_text(encoding="utf-8")

    two.save(tmp_path / "kept")
    done = scholars("report", "kept", "--test", "digits", cwd=tmp_path)
    assert "Report: kept.html" in done.stdout
    assert "right now on" in (tmp_path / "kept.html").read_text(encoding="utf-8")
    (tmp_path / "kept.html").unlink()
    assert scholars("report", ".", cwd=tmp_path / "kept").returncode == 0
    assert (tmp_path / "kept.html").is_file()
    Scholar.load(tmp_path / "kept")  # nothing was added to its folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no such folder"),
        (["empty"], r"has no results.json"),
        (["empty", "--test", "digits"], "--test is for a scholar"),
        (["empty", "--out", "page.pdf"], "the report is an .html file"),
        (["empty", "./empty"], "is given twice"),
    ],
)
def test_what_cannot_be_reported(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = scholars("report", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "s", ""], "an image's name is empty"),
        (["run", "mnist-svnh"], "Did you mean 'mnist-svhn'"),
        (["run", "tiny.yaml", "--generator", "wgan-pg"], "generator.kind"),
        (["run", "tiny.yaml", "--set", "replay.rato=1"], "unknown key 'replay.rato'. Did you mean 'ratio'"),
        (["generators", "r3gann"], "generator.kind='r3gann' is not known. Did you mean 'r3gan'?"),
        (["run", "tiny.yaml", "--set", "replay.ratio=2"], "replay.ratio"),
        (["run", "tiny.yaml", "--methods", "replay,magic"], "methods"),
        (["run", "tiny.yaml", "--seed", "1", "1"], "twice"),
        (["run", "tiny.yaml", "--out", "tiny.yaml"], "is a file"),
        (["run", "mnist-svhn", "--data-dir", "nowhere"], "nowhere"),
        (["run", "tiny.yaml", "--seed", "x"], "--seed"),
        (["inspect", "nothing"], "is not a scholar"),
        (["fly"], "fly"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(recipe: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = scholars(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_ctrl_c_keeps_what_was_trained_and_resume_goes_on(recipe: Path, tmp_path: Path) -> None:
    out, printed = tmp_path / "out", tmp_path / "printed.txt"
    words = ["run", str(recipe), "--out", str(out), "--methods", "naive", "--set", "solver.steps=500"]
    process = start_scholars(*words, output=printed)
    log = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and len(log.read_text().splitlines()) > 2):
        assert time.monotonic() < deadline, "no training was seen"
        time.sleep(0.05)
    assert process.pid
    os.kill(process.pid, signal.SIGINT)
    process.join(120)
    errors = printed.read_text()
    assert process.exitcode == 130, errors
    assert "add --resume" in errors
    assert "Traceback" not in errors
    stopped = len(log.read_text().splitlines())
    last = json.loads(log.read_text().splitlines()[-1])
    again = scholars(*words, "--resume", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    resumed = [json.loads(line) for line in log.read_text().splitlines()[stopped:]]
    # The first report after the stop is at the step where the last one was, or later: nothing was trained again.
    assert resumed[0]["step"] >= last["step"]
    assert 0 < last["step"] < 500


def test_a_scholars_life(tmp_path: Path) -> None:
    """Created, taught again, evaluated, its dreams drawn, images classified."""
    settings = [f"{key}={value}" for key, value in flat({**TINY, "generator": TINY_GENERATORS["vae"]}).items()]
    low, high = ["--classes", "0,1,2,3,4", "--name", "low"], ["--classes", "5,6,7,8,9", "--name", "high"]
    made = scholars("learn", "s", "digits", *low, "--generator", "vae", "--set", *settings, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "generation 1 knows 5 classes" in made.stdout
    taught = scholars("learn", "s", "digits", *high, "--keep", cwd=tmp_path)
    assert taught.returncode == 0, taught.stderr
    assert "generation 2 knows 10 classes" in taught.stdout
    assert Scholar.load(tmp_path / "s.gen-1").generation == 1
    assert Scholar.load(tmp_path / "s").settings.generator.kind == "vae"

    score = scholars("evaluate", "s", "digits", "--classes", "5,6", "--json", cwd=tmp_path)
    result = json.loads(score.stdout)["results"][0]
    shares = [row["accuracy"] * row["images"] for row in result["classes"]]
    assert sorted(row["name"] for row in result["classes"]) == ["5", "6"]
    assert result["accuracy"] * result["images"] == pytest.approx(sum(shares))
    printed = scholars("evaluate", "s", "digits", "--classes", "0,1", cwd=tmp_path).stdout
    first, *worst = printed.splitlines()
    assert re.fullmatch(r"digits: \d+\.\d\d % of \d+ images", first)
    assert all(re.fullmatch(r"  [01]: \d+\.\d\d % of \d+, most often mistaken for \d", line) for line in worst)

    sheet = scholars("dream", "s", "-n", "9", "--out", "nine.png", cwd=tmp_path)
    assert sheet.returncode == 0, sheet.stderr
    assert Image.open(tmp_path / "nine.png").size == (2 * (3 * 17 + 1),) * 2
    assert scholars("dream", "s", "-n", "30", "--out", "many", cwd=tmp_path).returncode == 0
    pictures = sorted((tmp_path / "many").rglob("*.png"))
    assert len(pictures) == 30

    (tmp_path / "many" / "clip.mp4").write_bytes(b"x")
    predicted = scholars("predict", "s", "many", "--top", "2", "--json", cwd=tmp_path)
    rows = json.loads(predicted.stdout)["predictions"]
    assert [Path(each["file"]).name for each in json.loads(predicted.stdout)["skipped"]] == ["clip.mp4"]
    assert "left out 1 file: 1 .mp4 (videos)" in predicted.stderr
    assert len(rows) == 30
    # A dream is in the folder of the class that the solver takes it for.
    assert all(Path(row["file"]).parent.name == row["guesses"][0]["class"] for row in rows)
    broken = pictures[0].parent / "broken.png"
    broken.write_bytes(b"")
    refused = scholars("evaluate", "s", "many", cwd=tmp_path)
    assert (refused.returncode, "broken.png: is empty" in refused.stderr) == (2, True)
    scored = scholars("evaluate", "s", "many", "--skip-unreadable", "--json", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    (result,) = json.loads(scored.stdout)["results"]
    assert {(Path(each["file"]).name, each["reason"]) for each in result["skipped"]} == {
        ("clip.mp4", "videos"),
        ("broken.png", "cannot be read"),
    }
    broken.unlink()
    lines = scholars("predict", "s", str(pictures[0]), "--among", "low", "--csv", cwd=tmp_path).stdout.splitlines()
    assert lines[0] == "file,class,probability,unfamiliar"
    assert lines[1].split(",")[1] in "01234"
    for words, message in [
        (["learn", "s", "digits", "--set", "image.size=64"], "image shape is fixed"),
        (["learn", "new", "digits", "--classes", "3"], "one class only"),
        (["dream", "s", "--out", "many"], "there already"),
    ]:
        refused = scholars(*words, cwd=tmp_path)
        assert refused.returncode == 2, words
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert Scholar.load(tmp_path / "s").generation == 2


@pytest.mark.parametrize("backbone", ["auto", "none"])
def test_the_first_task_gives_pixels_their_shape(backbone: str, tmp_path: Path) -> None:
    """The images decide it before they are decoded, whether or not they decide that there is no backbone."""
    for number in range(24):
        path = tmp_path / "tiles" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (26, 26), (10 * number,) * 3).save(path)
    few = ["solver.width=4", "generator.width=8", "generator.batch=8", "audit.dreams=0", "ood.dreams=0"]
    words = ["learn", "s", "tiles", "--backbone", backbone, "--dry-run", "--set", *few]
    done = scholars(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "images: 28 pixels a side, grey, as for all later tasks" in done.stdout
    by_hand = scholars(*words, "image.size=16", "image.channels=3", cwd=tmp_path)
    assert "images: 16 pixels a side, in colour" in by_hand.stdout


def test_lists(tmp_path: Path) -> None:
    recipes = scholars("recipes", cwd=tmp_path)
    assert recipes.returncode == 0
    assert all(name in recipes.stdout for name in shipped_recipes())
    generators = scholars("generators", cwd=tmp_path)
    assert "r3gan (default)" in generators.stdout
    assert [name for name in GENERATORS if f"{name}: " not in generators.stdout.replace(" (default)", "")] == []
    assert "generator.critic_steps" in generators.stdout


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_settings_of_one_kind_of_generator(kind: str, tmp_path: Path) -> None:
    done = scholars("generators", kind, cwd=tmp_path)
    assert done.returncode == 0
    settings = GENERATORS[kind]
    assert done.stdout.startswith(f"{kind}{' (default)' if kind == DEFAULT_GENERATOR else ''}: {settings.__doc__}")
    _, header, *rows = done.stdout.splitlines()
    assert header.split() == ["setting", "default", "meaning"]
    assert [row.split()[0] for row in rows] == [f"generator.{key}" for key in settings.model_fields if key != "kind"]


def test_inspect_leaves_a_scholar_as_it_is(two: Scholar, tmp_path: Path) -> None:
    two.save(tmp_path / "s")
    before = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    assert scholars("inspect", "s", cwd=tmp_path).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()} == before


def test_names_on_stdin_need_not_be_text(two: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the locale is strict about them, as most are."""
    two.save(tmp_path / "s")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff.png\n"), "utf-8", "strict"))
    done = scholars("predict", "s", "-", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "\udcff.png" in done.stderr


def test_brackets_in_names_are_shown_as_they_are(two: Scholar, tmp_path: Path) -> None:
    from rich.console import Console

    from scholars.inference.describe import describe, lineage_tree

    record = two.lineage[0].model_copy(update={"name": "[/red] one"})
    odd = replace(two, classes=("[/b]", *two.classes[1:]), lineage=(record, two.lineage[1]))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(lineage_tree(odd, "[s]", describe(odd, tmp_path)))
    text = console.export_text()
    assert "[/red] one" in text
    assert "[/b]" in text
    assert "[s]: generation 2" in text


def test_sources_of_one_name_are_each_told(two: Scholar, tmp_path: Path) -> None:
    two.save(tmp_path / "s")
    for year, names in (("2025", "01"), ("2026", "10")):
        for index, name in enumerate(names):
            for number in range(8):
                path = tmp_path / year / "test" / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (16, 16), 25 * number + index).save(path)
    found = json.loads(
        scholars("inspect", "s", "--test", "2025/test", "--test", "2026/test", "--json", cwd=tmp_path).stdout
    )
    assert list(found["accuracy_now"]) == ["2025/test", "2026/test"]
    printed = scholars("evaluate", "s", "2025/test", "2026/test", cwd=tmp_path).stdout
    assert "2025/test: " in printed
    assert "2026/test: " in printed
    twice = scholars("evaluate", "s", "2025/test", "2025/test", cwd=tmp_path)
    assert (twice.returncode, "is given twice" in twice.stderr) == (2, True)


def test_what_a_terminal_would_obey_is_shown_instead(two: Scholar, tmp_path: Path) -> None:
    two.save(tmp_path / "s")
    name = "esc\x1b]0;mine\x07.png"
    Image.new("L", (16, 16)).save(tmp_path / name)
    (tmp_path / "esc\x1b[2J.png").write_bytes(b"no picture")
    done = scholars("predict", "s", *(str(path) for path in tmp_path.glob("esc*")), cwd=tmp_path)
    assert done.returncode == 2
    assert "esc\\x1b]0;mine\\x07.png: " in done.stdout
    assert "esc\\x1b[2J.png: is no image" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    table = scholars("predict", "s", str(tmp_path / name), "--csv", cwd=tmp_path).stdout
    assert name in table, "what programs read is as it is"


@pytest.mark.parametrize(
    ("closed", "words"), [(1, ["--version"]), (1, ["predict", "s", "a.png"]), (0, ["predict", "s", "-"])]
)
def test_streams_may_be_closed(two: Scholar, tmp_path: Path, closed: int, words: list[str]) -> None:
    two.save(tmp_path / "s")
    Image.new("L", (16, 16)).save(tmp_path / "a.png")
    command = [
        sys.executable,
        "-c",
        f"import os, sys; os.close({closed}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
    ]
    done = subprocess.run(
        [*command, "-m", "scholars", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_has_a_whole_sentence_for_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = scholars("--help", cwd=tmp_path).stdout
    listed = text.partition("Commands:")[2].strip().splitlines()
    assert len(listed) >= 12
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_the_version(tmp_path: Path) -> None:
    done = scholars("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("scholars ")


def test_an_error_says_what_to_do_next(tmp_path: Path) -> None:
    (tmp_path / "run" / "scholars" / "1").mkdir(parents=True)
    (tmp_path / "run" / "scholars" / "1" / "scholar.json").touch()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    for words, advice in [
        (["inspect", "new"], "`scholars learn new SOURCE` makes one"),
        (["inspect", "run"], "whose scholars are in run/scholars: 1"),
        (["inspect", "other"], "give the folder of a scholar"),
        (["report", "run"], "by its command and --resume"),
        (["report", "other"], "it is not the folder of a run"),
        (["inspct", "s"], "inspect"),
        (["run"], "scholars run --help"),
    ]:
        done = scholars(*words, cwd=tmp_path)
        assert done.returncode == 2, words
        assert advice in " ".join(done.stderr.split()), words


def test_what_the_first_minute_needs_does_not_wait_for_torch(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import pytest
from scholars.cli import completion
from scholars.cli.main import main
from scholars.cli.welcome import welcome_text

welcome_text(Path.cwd())
for complete in ("recipe", "generator", "source", "methods"):
    assert getattr(completion, f"complete_{complete}")("")
sys.argv = ["scholars", "--help"]
with pytest.raises(SystemExit):
    main()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ((), b"\\u0142\xf3d\\u017a \\u5e8a \xff"),
        (("--json",), "łódź 床 ".encode() + b"\xff"),
        (("--csv",), "łódź 床 ".encode() + b"\xff"),
    ],
)
def test_text_that_the_output_has_no_characters_for(option: tuple[str, ...], expected: bytes) -> None:
    """As Windows redirects it; the last character is a byte of a file's name that is no text."""
    code = "from scholars.cli import main as m; m.app = lambda: print('łódź 床 \\udcff'); m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *option],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
