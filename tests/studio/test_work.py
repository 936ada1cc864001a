"""What a job does, on its way to the worker."""

from __future__ import annotations

import pytest

from scholars.studio.work import Work


@pytest.mark.parametrize(
    "work",
    [Work("learn", "pets", "/tmp/pets.zip"), Work("rename", "a to b", classes=('"cat"', "k\u00fcche\n"))],
)
def test_the_worker_is_told_what_the_studio_was_told(work: Work) -> None:
    assert Work.from_json(work.to_json()) == work
