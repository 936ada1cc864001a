"""Files that are left out are counted by ending and reason."""

from __future__ import annotations

from pathlib import Path

from scholars.tasks.skipped import Skipped, SkippedFiles, describe_skipped, merge_skipped, skipped_rows


def test_they_are_counted_by_ending_and_reason() -> None:
    skipped = SkippedFiles()
    for name, reason in (("b.MP4", "videos"), ("a.txt", "no images"), ("c.mp4", "videos"), ("README", "no images")):
        skipped.add(Path("x") / name, reason)
    assert skipped.counts() == (
        Skipped("", "no images", 1, "x/README"),
        Skipped(".mp4", "videos", 2, "x/b.MP4"),
        Skipped(".txt", "no images", 1, "x/a.txt"),
    )
    assert describe_skipped(skipped.counts()) == (
        "left out 4 files: 1 without an ending (no images), 2 .mp4 (videos), 1 .txt (no images)"
    )


def test_counts_of_several_sources_add_up() -> None:
    one, two = Skipped(".txt", "no images", 2, "a"), Skipped(".txt", "no images", 3, "b")
    other = Skipped(".txt", "beside the class folders", 1, "c")
    assert merge_skipped((one, other), (two,)) == (other, Skipped(".txt", "no images", 5, "a"))
    assert merge_skipped() == ()


def test_as_json() -> None:
    assert skipped_rows([Skipped(".txt", "no images", 2, "a")]) == [
        {"ending": ".txt", "reason": "no images", "count": 2, "example": "a"}
    ]
