"""Files that are left out are told to people by ending and reason."""

from __future__ import annotations

import pytest

from scholars.tasks.skipped import Skipped, describe_skipped


@pytest.mark.parametrize(
    ("file", "ending"), [("x/README", ""), ("x/b.MP4", ".mp4"), (".hidden", ""), ("photos.tar.gz", ".gz")]
)
def test_the_ending_is_that_of_the_name(file: str, ending: str) -> None:
    assert Skipped(file, "why").ending == ending


def test_people_are_told_how_many_and_why() -> None:
    one = Skipped("a.txt", "no images")
    assert describe_skipped([one]) == "left out 1 file: 1 .txt (no images)"
    more = [Skipped("README", "no images"), Skipped("a.MP4", "videos"), Skipped("b.mp4", "videos"), one]
    assert describe_skipped([*more, Skipped("a.png", "beside the class folders")]) == (
        "left out 5 files: 1 without an ending (no images), 2 .mp4 (videos), 1 .png (beside the class folders), "
        "1 .txt (no images)"
    )
