"""Hooks of MkDocs: show the notebook as a page, and equations as MathML.

In the repository they are a notebook and blocks of ``math``, which GitHub shows by itself; the site needs no script.
"""

from __future__ import annotations

import re
from pathlib import Path

import latex2mathml.converter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

_EQUATION = re.compile(r"^```math\n(.*?)^```$|\$\$(.*?)\$\$", re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"!\[png\]\(([^)]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page, and its pictures, for each notebook. The notebook itself stays, for download."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb") and file.abs_src_path]:
        text, pictures = notebook_page(Path(str(notebook.abs_src_path)))
        folder = notebook.src_uri.rpartition("/")[0]
        page = File.generated(config, notebook.src_uri.removesuffix(".ipynb") + ".md", content=text)
        files.append(page)
        for name, content in pictures.items():
            files.append(File.generated(config, f"{folder}/{name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link to the notebook's page in place of the notebook, and convert equations."""
    if not page.file.generated_by:
        markdown = re.sub(r"\]\((notebook/[\w-]+)\.ipynb\)", r"](\1.md)", markdown)
    return with_equations(markdown)


def notebook_page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and the pictures that it shows, by their names."""
    text, resources = MarkdownExporter().from_filename(str(notebook))
    title, _, rest = text.partition("\n")
    download = f"[Download the notebook]({notebook.name})"
    text = f"{title}\n\n{download}, or read it here with what its cells print and draw.\n{rest}"
    return _PICTURE.sub(r"![what the cell above draws](\1)", text), dict(resources["outputs"])


def with_equations(markdown: str) -> str:
    """Return ``markdown`` with MathML in place of LaTeX."""
    return _EQUATION.sub(lambda match: _mathml((match[1] or match[2]).strip()), markdown)


def _mathml(latex: str) -> str:
    # A class of the theme: what is wider than a phone can be scrolled by itself.
    return f'<div class="md-typeset__scrollwrap">{latex2mathml.converter.convert(latex, display="block")}</div>'
