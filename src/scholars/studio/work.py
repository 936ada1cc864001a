"""The work that a job does, as the studio hands it to its worker."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

Kind = Literal["learn", "merge", "forget", "rename"]


@dataclass(frozen=True)
class Work:
    """A change of the scholar that the studio serves, which is to be made.

    kind: ``learn``: a task from the images in ``source``; ``merge``: with the scholar in the folder ``source``;
        ``forget``: ``classes``; ``rename``: the first of ``classes`` to the second
    name: of the task; of any other kind what people call it
    source: an image folder or archive, or a scholar's folder
    """

    kind: Kind
    name: str
    source: str = ""
    classes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the work as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the work that `to_json` wrote."""
        found = json.loads(text)
        return cls(**{**found, "classes": tuple(found["classes"])})
