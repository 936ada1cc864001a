"""Features are computed once, whatever stops the computation in between, and by one process at a time."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from scholars.backbones import feature_cache
from scholars.backbones.feature_cache import cached_features, features_folder, forget_features
from scholars.errors import Interrupted, ScholarsError
from scholars.storage.files import read_json

ALL = np.arange(7 * 2 * 3, dtype=np.float16).reshape(7, 2, 3)
KEY = "abcdef"


@pytest.fixture(autouse=True)
def _own_cache_of_each_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path))


class Looking:
    """Yields two images at a time, and fails where it is told to."""

    def __init__(self, stop: int | None = None, error: BaseException | None = None) -> None:
        self.stop, self.error, self.asked = stop, error or Interrupted("stopped"), list[int]()

    def __call__(self, done: int) -> Iterator[npt.NDArray[np.float16]]:
        self.asked.append(done)
        for start in range(done, 7, 2):
            if self.stop is not None and start >= self.stop:
                raise self.error
            yield ALL[start : start + 2]


def test_features_are_computed_once() -> None:
    first, second = Looking(), Looking()
    found, seconds = cached_features(KEY, (7, 2, 3), first)
    assert np.array_equal(found, ALL)
    assert isinstance(found, np.memmap)
    again, same = cached_features(KEY, (7, 2, 3), second)
    assert np.array_equal(again, ALL)
    assert (first.asked, second.asked) == ([0], [])
    assert same == seconds > 0


def test_an_interrupted_computation_goes_on() -> None:
    with pytest.raises(Interrupted):
        cached_features(KEY, (7, 2, 3), Looking(stop=4))
    rest = Looking()
    assert np.array_equal(cached_features(KEY, (7, 2, 3), rest)[0], ALL)
    assert rest.asked == [4]


@pytest.mark.parametrize(("tail", "first"), [(5, 2), (11, 2), (12, 3)])
def test_a_killed_process_leaves_half_an_image(tail: int, first: int) -> None:
    """Bytes of a row that is not whole are written again: 12 bytes are one."""
    entry = features_folder() / KEY
    entry.mkdir(parents=True)
    (entry / "features.f16").write_bytes(ALL.tobytes()[: 24 + tail])
    rest = Looking()
    assert np.array_equal(cached_features(KEY, (7, 2, 3), rest)[0], ALL)
    assert rest.asked == [first]


def test_seconds_are_those_of_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    with pytest.raises(Interrupted):
        cached_features(KEY, (7, 2, 3), Looking(stop=2))
    assert cached_features(KEY, (7, 2, 3), Looking())[1] == 20


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ScholarsError, match=r"cannot be kept in .*features: No space left on device; make room, or"):
        cached_features(KEY, (7, 2, 3), Looking(stop=2, error=full))
    # What fitted is there when there is room.
    rest = Looking()
    assert np.array_equal(cached_features(KEY, (7, 2, 3), rest)[0], ALL)
    assert rest.asked == [2]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ScholarsError, match=r"name another folder with \$SCHOLARS_CACHE"):
        cached_features(KEY, (7, 2, 3), Looking())


def test_one_at_a_time() -> None:
    """The second one waits, and finds all of it."""
    begun, go_on = threading.Event(), threading.Event()
    second, found = Looking(), list[npt.NDArray[np.float16]]()

    def slow(done: int) -> Iterator[npt.NDArray[np.float16]]:
        begun.set()
        go_on.wait(10)
        yield ALL

    one = threading.Thread(target=lambda: cached_features(KEY, (7, 2, 3), slow))
    one.start()
    assert begun.wait(10)
    other = threading.Thread(target=lambda: found.append(cached_features(KEY, (7, 2, 3), second)[0]))
    other.start()
    # What another looks at just now is not removed.
    forget_features(KEY)
    other.join(0.3)
    assert other.is_alive()
    go_on.set()
    one.join(10)
    other.join(10)
    assert np.array_equal(found[0], ALL)
    assert second.asked == []


def test_what_is_forgotten_is_computed_again_and_stays_readable_where_it_is_in_use() -> None:
    found, _ = cached_features(KEY, (7, 2, 3), Looking())
    forget_features(KEY)
    forget_features(KEY)
    assert not (features_folder() / KEY).exists()
    assert np.array_equal(found, ALL)
    again = Looking()
    cached_features(KEY, (7, 2, 3), again)
    assert again.asked == [0]


def test_too_many_features_lose_those_not_used_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "_MAX_BYTES", 2 * ALL.nbytes)
    now = iter(range(100))
    monkeypatch.setattr(time, "time", lambda: next(now))
    for key in ("aaa", "bbb", "aaa", "ccc"):
        cached_features(key, (7, 2, 3), Looking())
    assert sorted(path.parent.name for path in features_folder().glob("*/features.f16")) == ["aaa", "ccc"]


def test_one_entry_larger_than_all_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "_MAX_BYTES", 1)
    assert np.array_equal(cached_features(KEY, (7, 2, 3), Looking())[0], ALL)
    assert (features_folder() / KEY / "features.f16").is_file()


def test_the_folders_that_images_are_from_are_noted() -> None:
    cached_features(KEY, (7, 2, 3), Looking(), {"dog", "cat"})
    assert read_json(features_folder() / KEY / "about.json")["folders"] == ["cat", "dog"]
    with pytest.raises(Interrupted):
        cached_features("other", (7, 2, 3), Looking(stop=2), ["cat"])
    assert read_json(features_folder() / "other" / "about.json")["folders"] == ["cat"], "also while it is unfinished"
