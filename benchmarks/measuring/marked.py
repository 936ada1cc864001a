"""A part of a page that a benchmark writes, between marks; the rest is written by people."""

from __future__ import annotations

END = "<!-- until here -->\n"


def marked(page: str, benchmark: str, part: str) -> str:
    """The page with what ``benchmark`` makes put anew between its marks. Raises ValueError for a page without them."""
    start = f"<!-- made by benchmarks/{benchmark} -->\n"
    before, rest = page.split(start)
    _, after = rest.split(END, 1)
    return before + start + "\n" + part + "\n" + END + after
