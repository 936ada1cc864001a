"""The documents say what the code does."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import yaml

from scholars.cli import app
from scholars.config import Recipe, build, shipped_recipes

ROOT = Path(__file__).parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_settings_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "settings.py"))
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert script["written"](page) == page, "run: python docs/settings.py"


def test_every_command_and_option_is_on_its_page() -> None:
    """Not word for word: how help is set depends on the version of Typer."""
    script = runpy.run_path(str(ROOT / "docs" / "commands.py"))
    page = (ROOT / "docs" / "commands.md").read_text()
    parts = dict(re.findall(r"## scholars (\S+)\n(.*?)(?=\n## |\Z)", page, re.DOTALL))
    assert list(parts) == script["commands"](), "run: python docs/commands.py"
    for command, part in parts.items():
        said = script["said"](command)
        assert set(re.findall(r"--[a-z-]+", said)) <= set(re.findall(r"--[a-z-]+", part)), (
            "run: python docs/commands.py"
        )


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


def test_every_recipe_in_the_docs_is_valid() -> None:
    blocks = [block for page in DOCS for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    assert blocks
    for block in blocks:
        build(Recipe, {"name": "docs", **yaml.safe_load(block)}, None, where="docs")


def test_every_command_in_the_docs_exists() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for page in DOCS:
        for command, rest in re.findall(
            r"^(?:\.venv/bin/)?scholars (?:--plugin \S+ )?(\S+)([^\n#]*)", page.read_text(), re.MULTILINE
        ):
            assert command in commands, f"{page.name}: scholars {command}"
            if command == "run":
                assert rest.split()[0] in shipped_recipes(), f"{page.name}: scholars run{rest}"


def test_the_python_in_the_readme_names_what_exists() -> None:
    import scholars

    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    names = re.search(r"from scholars import (.*)", block[1])
    assert names
    assert all(hasattr(scholars, name.strip()) for name in names[1].split(","))
    assert all(hasattr(scholars.Scholar, method) for method in re.findall(r"two\.(\w+)\(", block[1]))
