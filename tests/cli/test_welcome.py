"""What the bare command prints."""

from __future__ import annotations

from pathlib import Path

from command_line import scholars

from scholars.cli.welcome import welcome_text


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
    text = welcome_text(tmp_path)
    assert "scholars run ... --out runs/stopped --resume" in text
    assert "scholars report runs/done" in text
    assert "scholars inspect 'my cats'" in text
    assert "inspect photos" not in text
    (tmp_path / "runs" / "done" / "work").mkdir()  # more methods are under way
    assert "--out runs/done --resume" in welcome_text(tmp_path)


def test_of_many_it_shows_a_few(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        (tmp_path / name / "scholar.json").touch()
    text = welcome_text(tmp_path)
    assert "In this folder (5 of 8):" in text
    assert text.count("scholars inspect") == 5
