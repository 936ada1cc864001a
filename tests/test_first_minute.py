"""What somebody meets who has just installed it: the bare command, help, the Tab key, --quiet, pipes, first errors."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import scholars

from scholars.commands import completion
from scholars.config import METHODS
from scholars.terminal import messages, quiet
from scholars.welcome import welcome

COMMAND = [sys.executable, "-m", "scholars"]


def shell(*words: str, cwd: Path, **variables: str) -> str:
    """What a command in a process of its own prints to a pipe."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout


def tab(words: str, cwd: Path) -> list[str]:
    """What bash offers after ``words``."""
    variables = {"COMP_WORDS": f"scholars {words}", "COMP_CWORD": str(len(words.split(" ")))}
    script = "import sys; sys.argv[0] = 'scholars'; from scholars.cli import main; main()"
    environment = {**os.environ, **variables, "_SCHOLARS_COMPLETE": "complete_bash"}
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, env=environment, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode().split()


def test_the_bare_command_says_how_to_begin(tmp_path: Path) -> None:
    done = scholars(cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "scholars run quickstart" in done.stdout
    assert "scholars learn my-scholar photos/" in done.stdout
    assert "In this folder" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_it_knows_what_is_there(tmp_path: Path) -> None:
    """A run that was stopped, one that is done, and a scholar with a blank in its name."""
    for name, files in {"stopped": ["run.json"], "done": ["run.json", "results.json", "report.html"]}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "runs" / name / file).touch()
    (tmp_path / "my cats").mkdir()
    (tmp_path / "my cats" / "scholar.json").touch()
    (tmp_path / "photos").mkdir()
    text = welcome(tmp_path)
    assert "scholars run ... --out runs/stopped --resume" in text
    assert "scholars report runs/done" in text
    assert "scholars inspect 'my cats'" in text
    assert "inspect photos" not in text
    (tmp_path / "runs" / "done" / "work").mkdir()  # more methods are under way
    assert "--out runs/done --resume" in welcome(tmp_path)


def test_of_many_it_shows_a_few(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        (tmp_path / name / "scholar.json").touch()
    text = welcome(tmp_path)
    assert "In this folder (5 of 8):" in text
    assert text.count("scholars inspect") == 5


def test_help_has_a_whole_sentence_for_every_command(tmp_path: Path) -> None:
    text = shell("--help", cwd=tmp_path, COLUMNS="80")
    listed = text.partition("Commands:")[2].strip().splitlines()
    assert len(listed) >= 12
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_the_version(tmp_path: Path) -> None:
    done = scholars("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("scholars ")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("insp", ["inspect"]),
        ("run mnist-svhn", ["mnist-svhn", "mnist-svhn-digits"]),
        ("run quickstart --generator wgan", ["wgan", "wgan-gp"]),
        ("run quickstart --methods replay,n", ["replay,naive"]),
        ("learn my-scholar us", ["usps"]),
        ("learn my-scholar photos/", []),  # the shell goes on with files
    ],
)
def test_the_tab_key(words: str, offered: list[str], tmp_path: Path) -> None:
    assert sorted(tab(words, tmp_path)) == offered


def test_a_method_is_offered_once() -> None:
    assert completion.method_lists("naive,") == [f"naive,{name}" for name in METHODS if name != "naive"]


def test_what_the_first_minute_needs_does_not_wait_for_torch(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from scholars.cli import app
from scholars.commands import completion
from scholars.welcome import welcome
welcome(Path.cwd())
completion.recipe_names(""), completion.generator_kinds(""), completion.source_names(""), completion.method_lists("")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


def test_quiet_may_stand_anywhere() -> None:
    assert quiet(["run", "r", "-q"]) == quiet(["--quiet", "run", "r"]) == ["--quiet", "run", "r"]
    assert quiet(["run", "r"]) == ["run", "r"]
    assert quiet(["predict", "s", "--", "-q"]) == ["predict", "s", "--", "-q"]


def test_quiet_leaves_results_and_errors(tmp_path: Path) -> None:
    done = scholars("recipes", "--quiet", cwd=tmp_path)
    assert messages.quiet
    assert "quickstart" in done.stdout
    refused = scholars("-q", "inspect", "nothing", cwd=tmp_path)
    assert refused.returncode == 2
    assert "is not a scholar" in refused.stderr
    scholars("recipes", cwd=tmp_path)
    assert not messages.quiet


def test_a_pipe_gets_a_row_a_line_and_no_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # set by pytest-xdist; who sets it wants that width
    text = shell("recipes", cwd=tmp_path)
    assert "\x1b" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("permuted-mnist")]
    assert "order-9" in line
    assert line.rstrip().endswith("every time.")


def test_no_color_is_respected_on_a_terminal(tmp_path: Path) -> None:
    def on_a_terminal(**variables: str) -> bytes:
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run(
            [*COMMAND, "inspect", "nothing"],
            cwd=tmp_path,
            env={**environment, "TERM": "xterm-256color", **variables},
            stdout=theirs,
            stderr=theirs,
            check=False,
        )
        os.close(theirs)
        content = os.read(ours, 4096)
        os.close(ours)
        return content

    assert b"\x1b[31m" in on_a_terminal()  # red
    assert b"\x1b[3" not in on_a_terminal(NO_COLOR="1")


def test_an_error_says_what_to_do_next(tmp_path: Path) -> None:
    (tmp_path / "run" / "scholars" / "1").mkdir(parents=True)
    (tmp_path / "run" / "scholars" / "1" / "scholar.json").touch()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    for words, advice in [
        (["inspect", "new"], "`scholars learn new SOURCE` makes one"),
        (["inspect", "run"], "whose scholars are in run/scholars: 1"),
        (["inspect", "other"], "name the folder of one"),
        (["report", "run"], "by its command and --resume"),
        (["report", "other"], "it is not the folder of a run"),
        (["inspct", "s"], "inspect"),
        (["run"], "scholars run --help"),
    ]:
        done = scholars(*words, cwd=tmp_path)
        assert done.returncode == 2, words
        assert advice in " ".join(done.stderr.split()), words
