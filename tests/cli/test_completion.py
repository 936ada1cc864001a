"""What the Tab key offers."""

from __future__ import annotations

import pytest

from scholars.cli.completion import complete_methods
from scholars.cli.main import app
from scholars.experiments.methods import METHOD_NAMES


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
def test_the_tab_key(
    words: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As bash asks for it."""
    monkeypatch.setenv("_SCHOLARS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"scholars {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    with pytest.raises(SystemExit):
        app(prog_name="scholars")
    assert sorted(capsys.readouterr().out.split()) == offered


def test_a_method_is_offered_once() -> None:
    assert complete_methods("naive,") == [f"naive,{name}" for name in METHOD_NAMES if name != "naive"]
