"""Write a page of HTML from a template, with the charts inside it, as one file that needs no network.

A page runs two scripts and no other, named by their hashes in its Content-Security-Policy: Vega with Vega-Lite and
vega-embed, and the dozen lines that draw the charts. Vega interprets its expressions instead of compiling them
(``ast``), for the page may not evaluate strings.
"""

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

from scholars.report.charts import CONFIG, Spec
from scholars.report.formatting import DASH, truncate
from scholars.storage import files
from scholars.storage.image_files import data_uri

_DRAW = """
function fill(spec, width) {  // panels side by side fill the page; on a phone they stand below one another
  if (!spec.columns) return;
  const margin = spec.facet ? 160 : 50;  // of a panel: its axis, and labels at the ends of lines
  spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(width / (150 + margin))));
  const panel = Math.max(150, Math.min(460, width / spec.columns - margin));
  for (const inner of spec.concat ?? [spec.spec]) inner.width = panel;
}
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const width = figure.querySelector("div").clientWidth;
  const legend = {...CONFIG.legend, columns: width < 560 ? 3 : 2};
  // The font by name: Vega measures what it writes.
  const font = getComputedStyle(document.body).fontFamily;
  const config = {...CONFIG, legend, background: "transparent", font};
  fill(spec, width);
  vegaEmbed(figure.querySelector("div"), spec, {ast: true, actions: false, renderer: "svg", config})
    .then(() => figure.querySelector("noscript")?.remove());
}
"""


@dataclass(frozen=True)
class Chart:
    """A chart in a page.

    alt: what it shows, figures included, for those who cannot see it
    fallback: a data URI of a picture for readers without scripts; may be empty
    """

    title: str
    alt: str
    spec: Spec
    fallback: str = ""

    @property
    def json(self) -> Markup:
        """The specification, as it may stand inside a script element: no ``<`` can end it."""
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
    environment.filters["text"] = to_text
    environment.filters["short"] = truncate
    scripts = (_vega(), f"const CONFIG = {json.dumps(CONFIG)};{_DRAW}")
    files.write_text(
        path,
        environment.get_template(template).render(
            scripts=[Markup(script) for script in scripts],
            hashes=" ".join(f"'sha256-{_hash(script)}'" for script in scripts),
            **values,
        ),
    )


def embed_picture(path: Path) -> str:
    """Return a PNG file as a data URI; empty where there is no such file."""
    return data_uri(path.read_bytes()) if path.is_file() else ""


def to_text(value: object) -> str:
    """Format any value of a description for reading."""
    match value:
        case None | "":
            return DASH
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}: {to_text(item)}" for key, item in value.items())
        case list():
            return ", ".join(to_text(item) for item in value)
        case _:
            return str(value)


@functools.cache
def _vega() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # As in JSON: the text of a script element ends at the first "</script", wherever it stands.
    return bundle.replace("</script", "<\\/script")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
