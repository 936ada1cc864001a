"""The documents say what the code does."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import typer
import yaml

import scholars
from scholars.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_settings_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "settings.py"))
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert script["rewritten"](page) == page, "run: python docs/settings.py"


def test_every_command_and_option_is_on_its_page() -> None:
    """Without regard to where lines break, within a word, too: how help is set depends on the version of Typer."""
    script = runpy.run_path(str(ROOT / "docs" / "commands.py"))
    page = (ROOT / "docs" / "commands.md").read_text()
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    parts = dict(re.findall(r"## scholars (\S+)\n(.*?)(?=\n## |\Z)", page, re.DOTALL))
    assert list(parts) == script["commands"](), "run: python docs/commands.py"
    for command, part in parts.items():
        help_text = script["help_of"](command)
        assert set(re.findall(r"--[a-z-]+", help_text)) <= set(re.findall(r"--[a-z-]+", part)), (
            "run: python docs/commands.py"
        )
        letters = "".join(part.split())
        helps = [vars(one).get("help") or "" for one in root.commands[command].params]
        missing = [help for help in helps if "".join(help.split()) not in letters]
        assert missing == [], "run: python docs/commands.py"


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    assert all(f" {page.name}" in menu for page in (ROOT / "docs").glob("*.md"))


def test_every_link_and_picture_exists() -> None:
    for page in DOCS:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_issue_templates_ask_for_something() -> None:
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 3
    for form in forms:
        document = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= document.keys(), form.name
        asked = [field["id"] for field in document["body"]]
        assert len(set(asked)) == len(asked), form.name
        assert any(field.get("validations", {}).get("required") for field in document["body"]), form.name


def test_the_page_of_python_lists_exactly_what_is_public() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^::: scholars\.(\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(scholars.__all__)
    assert len(re.findall("^:::", page, re.MULTILINE)) == len(listed), "a name of an inner module"
    assert [name for name in listed if not getattr(scholars, name).__doc__] == []


def test_no_page_names_an_inner_module() -> None:
    for page in DOCS:
        assert re.findall(r"\bscholars(?:\.[a-z_]+)+\.[A-Za-z_]+|from scholars\.\S+", page.read_text()) == [], page.name


def test_arguments_become_a_list() -> None:
    with_lists = runpy.run_path(str(ROOT / "docs" / "docstrings.py"))["with_lists"]
    text = "What it does.\n\ntask: images\nsize, channels: what\n    they are\n\nRaises: never\nnote: this"
    assert with_lists(text, {"task", "size", "channels"}) == (
        "What it does.\n\n- **task**: images\n- **size, channels**: what they are\n\nRaises: never\nnote: this"
    )


def test_the_notebook_becomes_a_page() -> None:
    """With what its cells draw; its cells are run by test_notebook."""
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    text, pictures = hooks["notebook_page"](ROOT / "docs" / "notebook" / "founding-experiment.ipynb")
    assert text.startswith("# The founding experiment\n")
    assert set(re.findall(r"!\[what the cell above draws\]\((.+?)\)", text)) == set(pictures)
    assert len(pictures) == 5
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    shown = hooks["with_equations"](text)
    assert shown.count("<math ") == text.count("$$") / 2 > 0
    assert "$$" not in shown


def test_every_equation_can_be_set() -> None:
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    pages = [page.read_text() for page in DOCS if "```math" in page.read_text()]
    assert pages
    for page in pages:
        shown = hooks["with_equations"](page)
        assert shown.count("<math ") == page.count("```math")
        assert "\\" not in "".join(re.findall(r"<math .*?</math>", shown, re.DOTALL)), "a command that is not known"
