"""How the pages are made: templates, and the charts inside them, in one file that needs no network.

A page runs two scripts and no other, named by their hashes in its Content-Security-Policy: Vega with Vega-Lite and
vega-embed, and the dozen lines that draw. Vega interprets its expressions instead of compiling them (``ast``): a page
that may not evaluate strings cannot be made to.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scholars import store
from scholars.report.spec import Spec
from scholars.report.words import DASH

_DRAW = """
function fill(spec, width) {  // panels side by side fill the page; on a phone they stand below one another
  if (!spec.columns) return;
  if (width < 560) spec.columns = 1;
  const panel = Math.max(200, Math.min(460, width / spec.columns - 50));
  for (const inner of spec.concat ?? [spec.spec]) inner.width = panel;
}
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const config = {
    background: "transparent", view: {stroke: null}, line: {strokeWidth: 2},
    font: getComputedStyle(document.body).fontFamily,  // by name: Vega measures what it writes
    axis: {grid: true, domain: false, ticks: false, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal"},
    legend: {symbolStrokeWidth: 2, labelFontSize: 12, columnPadding: 16}, header: {labelFontSize: 13}
  };
  fill(spec, figure.querySelector("div").clientWidth);
  vegaEmbed(figure.querySelector("div"), spec, {ast: true, actions: false, renderer: "svg", config})
    .then(() => figure.querySelector("noscript")?.remove());
}
"""


@dataclass(frozen=True)
class Chart:
    """A chart in a page.

    alt: what it shows, figures included, for those who cannot see it
    instead: a data URI of a picture for readers without scripts; may be empty
    """

    title: str
    alt: str
    spec: Spec
    instead: str = ""

    @property
    def json(self) -> Markup:
        """The specification as it may stand inside a script element: no ``<`` can end it."""
        return Markup(json.dumps(self.spec, allow_nan=False).replace("<", "\\u003c"))


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page, atomically. Every value is escaped where it stands."""
    environment = Environment(
        loader=PackageLoader("scholars.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = words
    environment.filters["short"] = short
    scripts = (_vega(), _DRAW)
    store.write_text(
        path,
        environment.get_template(template).render(
            scripts=[Markup(script) for script in scripts],
            hashes=" ".join(f"'sha256-{_hash(script)}'" for script in scripts),
            **values,
        ),
    )


def picture_of(path: Path) -> str:
    """A PNG file as a data URI; empty where there is none."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii") if path.is_file() else ""


def words(value: object) -> str:
    """Anything from a description, for reading."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}: {words(item)}" for key, item in value.items())
        case list():
            return ", ".join(words(item) for item in value)
        case _:
            return str(value)


def short(name: str, most: int) -> str:
    """Beginning and end of a long name, ``most`` characters or so: names often differ in their last part only."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2) :]}"


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # As in JSON: the text of a script element ends at the first "</script", wherever it stands.
    return bundle.replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
