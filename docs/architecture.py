"""Draws docs/images/architecture.svg from the imports of the code itself: python docs/architecture.py.

One row a package, from the lowest to the highest, with its first docstring line; on the right, a dot where it imports
another one. All dots are on one side of the diagonal: nothing imports upward (tests/test_architecture.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "scholars"
PICTURE = Path(__file__).with_name("images") / "architecture.svg"
# From the lowest to the highest: a package imports those before it only. Names without a folder are modules.
LAYERS = (
    "errors",
    "settings",
    "compute",
    "storage",
    "tasks",
    "backbones",
    "training",
    "solvers",
    "generators",
    "privacy",
    "ood",
    "scholar",
    "evaluation",
    "learning",
    "inference",
    "experiments",
    "report",
    "studio",
    "cli",
)
# Pixels: of the head, of a row, of the texts to the left of the dots, and of the font.
HEAD, ROW, TEXT, FONT = 100, 26, 680, 14


def modules() -> dict[str, Path]:
    """Return the file of each module, by its name without ``scholars.``; packages by their own name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, files: dict[str, Path]) -> Iterator[str]:
    """Yield the modules of this project that a module imports, wherever in it, for types only included."""
    for node in ast.walk(ast.parse(files[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "scholars":
            module = (node.module or "").partition(".")[2]
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                yield inner if inner in files else module
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("scholars."))


def layer(module: str) -> str:
    """Return the package of a module, or the module's own name at the top."""
    return module.partition(".")[0]


def layer_imports() -> list[tuple[str, str]]:
    """Return which layer imports which other one."""
    files = modules()
    pairs = {(layer(name), layer(other)) for name in files for other in imports(name, files)}
    return sorted(pair for pair in pairs if pair[0] != pair[1] and set(pair) <= set(LAYERS))


def summary(name: str) -> str:
    """Return the first sentence of a layer's docstring."""
    path = SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py"
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    return first.split(". ")[0].rstrip(".")


def drawn() -> str:
    """Return the picture as SVG."""
    height, width = HEAD + ROW * (len(LAYERS) + 1), TEXT + ROW * len(LAYERS) + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="{FONT}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    x = {name: TEXT + ROW * (place + 0.5) for place, name in enumerate(LAYERS)}
    # The highest package is the first row: data flows from the bottom to the top.
    y = {name: HEAD + ROW * (place + 0.5) for place, name in enumerate(reversed(LAYERS))}
    parts.append(f'<text x="16" y="{HEAD - 12}" fill="#555555">Each row imports only what is below it.</text>')
    for name in LAYERS:
        parts.append(
            f'<line x1="16" x2="{width - 16}" y1="{y[name] + ROW / 2}" y2="{y[name] + ROW / 2}" stroke="#E4E4E4"/>'
        )
        parts.append(f'<text x="16" y="{y[name] + 5}" font-weight="bold">{name}</text>')
        parts.append(f'<text x="120" y="{y[name] + 5}" fill="#333333">{escape(summary(name))}</text>')
        parts.append(f'<text transform="translate({x[name] + 5} {HEAD - 8}) rotate(-60)" fill="#555555">{name}</text>')
        parts.append(f'<rect x="{x[name] - 9}" y="{y[name] - 9}" width="18" height="18" rx="4" fill="#0072B2"/>')
    for name, other in layer_imports():
        label = f"<title>{name} imports {other}</title>"
        parts.append(f'<circle cx="{x[other]}" cy="{y[name]}" r="6" fill="#E69F00">{label}</circle>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
