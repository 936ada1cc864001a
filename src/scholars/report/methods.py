"""How the compared methods look and what they are called in plain words: the same in every table and picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The appearance of one method.

    words: what it trains on, for somebody who has not read the paper
    colour: from the palette of Okabe and Ito, which colour-blind people can tell apart
    marker: shape of its points, so that colour alone carries nothing
    """

    words: str
    colour: str
    marker: str


LOOKS = {
    "replay": Look("new data and dreams, no old data kept", "#0072B2", "o"),
    "naive": Look("new data only", "#D55E00", "v"),
    "exact": Look("new data and all old data, kept", "#009E73", "s"),
    "lwf": Look("new data, and how the old solver sees it", "#CC79A7", "P"),
    "er": Look("new data and a buffer of real images", "#E69F00", "X"),
    "joint": Look("all data at once", "#6B6B6B", "D"),
}
_OTHER = Look("", "#AA4499", "P")


def look(method: str) -> Look:
    """The appearance of ``method``; one neutral look for any that is not known here."""
    return LOOKS.get(method, _OTHER)


def legend(method: str) -> str:
    """``replay: new data and ...``; the bare name if there is no more to say."""
    words = look(method).words
    return f"{method}: {words}" if words else method
