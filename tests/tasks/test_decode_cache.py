"""What was decoded once: found again by its content, gone with its source, and never in memory as a whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from scholars.errors import InputError, ScholarsError
from scholars.settings import Fit
from scholars.tasks import array_cache, decode_cache, decoding
from scholars.tasks.open import open_task


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path / "decoded"))
    return tmp_path / "decoded"


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each decoding looked at."""
    found: list[int] = []

    def counted(read: Callable[[str], bytes], keys: Sequence[str], size: int, fit: Fit, transforms: object) -> object:
        found.append(len(keys))
        return decoding.decode_squares(read, keys, size, fit)

    monkeypatch.setattr(decode_cache, "decode_squares", counted)
    return found


def photos(folder: Path, count: int = 5, colour: bool = False) -> Path:
    for number in range(count):
        for name in "ab":
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            level = number + 40 * (name == "b")
            Image.new("RGB", (8, 8), (level, level, 200 if colour and number == count - 1 else level)).save(path)
    return folder


def test_the_same_content_is_decoded_once(tmp_path: Path, cache: Path, decodings: list[int]) -> None:
    one = open_task(photos(tmp_path / "photos"))
    assert decodings == [10]
    (tmp_path / "photos" / "a" / "0.png").rename(tmp_path / "photos" / "a" / "renamed.png")
    two = open_task(tmp_path / "photos")
    assert decodings == [10]
    assert sorted(two.train.images[:, 0, 0, 0]) == sorted(one.train.images[:, 0, 0, 0])
    assert isinstance(two.train.images, np.memmap)

    open_task(tmp_path / "photos", size=6)
    assert decodings == [10, 10]
    Image.new("L", (8, 8), 99).save(tmp_path / "photos" / "a" / "0.png")
    assert 99 in open_task(tmp_path / "photos", size=8).test.images or 99 in open_task(tmp_path / "photos").train.images
    assert decodings[2:] == [11]


def test_what_is_decoded_belongs_to_its_owner_and_goes_with_its_source(tmp_path: Path, cache: Path) -> None:
    open_task(photos(tmp_path / "mine"))
    assert len(list(cache.iterdir())) == 1
    assert cache.stat().st_mode & 0o077 == 0
    shutil.rmtree(tmp_path / "mine")
    open_task(photos(tmp_path / "other", count=6))
    (left,) = cache.glob("*/about.json")
    assert "other" in left.read_text()


def test_the_oldest_of_too_much_is_removed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "_MAX_CACHE_BYTES", 1700)  # the first takes 640 bytes, the others 768 and 896
    for name in ("one", "two", "three"):
        open_task(photos(tmp_path / name, count={"one": 4, "two": 5, "three": 6}[name]))
    kept = {
        name for about in cache.glob("*/about.json") for name in ("one", "two", "three") if name in about.read_text()
    }
    assert kept == {"two", "three"}


def test_nothing_is_left_of_a_decoding_that_failed(tmp_path: Path, cache: Path) -> None:
    whole = photos(tmp_path / "photos") / "a" / "0.png"
    whole.write_bytes(whole.read_bytes()[:45])
    with pytest.raises(InputError, match=r"1 of 10 images cannot be read(.|\n)*a/0\.png"):
        open_task(tmp_path / "photos")
    assert not cache.exists() or not list(cache.iterdir())


KILLED = """
import os, signal, sys
from scholars import open_task
open_task(sys.argv[1], on_progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_who_dies_while_decoding_leaves_nothing_for_long(tmp_path: Path, cache: Path, decodings: list[int]) -> None:
    """The next one takes nothing half done for whole, and removes it; but not what another one is about."""
    folder = photos(tmp_path / "photos")
    died = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL
    (left,) = cache.iterdir()
    assert (left / "work" / "images.npy").is_file()
    busy = cache / ".decoding-busy"
    busy.mkdir()
    with FileLock(busy / "lock"):
        first = open_task(folder)
        assert decodings == [10]
        assert not left.exists()
        assert busy.exists()
    assert len(first.train) + len(first.test) == 10
    open_task(folder)
    assert not busy.exists()


def test_a_worker_that_fails_names_what_it_was_about(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large files are decoded by several threads; the one that runs out of memory takes no other's work with it."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 100, 100), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    decode, worst = decoding.open_upright, (tmp_path / "photos" / "b" / "3.png").read_bytes()

    def strained(content: bytes, least: int | None) -> object:
        if content == worst:
            raise MemoryError
        return decode(content, least)

    monkeypatch.setattr(decoding, "open_upright", strained)
    with pytest.raises(InputError, match=r"1 of 10 images cannot be read(.|\n)*b/3\.png: MemoryError"):
        open_task(tmp_path / "photos")
    monkeypatch.setattr(decoding, "open_upright", decode)
    assert len(open_task(tmp_path / "photos").train) > 0


def test_a_damaged_copy_is_decoded_again(tmp_path: Path, cache: Path, decodings: list[int]) -> None:
    before = open_task(photos(tmp_path / "photos")).train.images.copy()
    (array,) = cache.glob("*/images.npy")
    for damaged in (array.read_bytes()[:-5], b"", b"not an array"):
        array.unlink()
        array.write_bytes(damaged)
        assert np.array_equal(open_task(tmp_path / "photos").train.images, before)
    assert decodings == [10] * 4


def test_a_full_disk_is_said(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(decode_cache, "_create", full)
    with pytest.raises(ScholarsError, match=r"No space left on device; make room, or .* \$SCHOLARS_CACHE"):
        open_task(photos(tmp_path / "photos"))
    assert not list(cache.iterdir())


def test_colour_is_noticed_however_late(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_cache, "_CHUNK", 2)
    grey = open_task(photos(tmp_path / "grey"))
    assert grey.train.images.shape[1] == 1
    coloured = open_task(photos(tmp_path / "coloured", colour=True))
    assert coloured.train.images.shape[1] == 3
    pixels = np.concatenate([coloured.train.images, coloured.test.images])[:, :, 0, 0]
    assert sorted(map(tuple, pixels.tolist())) == sorted(
        (level, level, 200 if level % 40 == 4 else level) for level in [*range(5), *range(40, 45)]
    )
    asked = open_task(tmp_path / "coloured", channels=1, size=8)
    assert asked.train.images.shape[1] == 1


def test_bad_pictures_before_the_first_colour_are_listed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_cache, "_CHUNK", 2)
    for level in range(5):
        whole = photos(tmp_path / "photos", colour=True) / "a" / f"{level}.png"
        whole.write_bytes(whole.read_bytes()[:45])
        with pytest.raises(InputError, match=rf"1 of 10 images cannot be read(.|\n)*a/{level}\.png"):
            open_task(tmp_path / "photos")


def test_progress_is_told(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_cache, "_CHUNK", 4)
    told: list[tuple[int, int]] = []
    open_task(photos(tmp_path / "photos"), on_progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


LEARN_IN_LITTLE_MEMORY = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from scholars import Settings, learn, open_task
from scholars.settings.overrides import build

tiny = {"image": {"size": 128, "channels": 3}, "solver": {"width": 4, "steps": 2, "batch": 4},
        "generator": {"kind": "flow", "width": 4, "steps": 2, "batch": 4, "sampling_steps": 1},
        "audit": {"dreams": 0}, "ood": {"dreams": 0}}
settings = build(Settings, tiny, None, where="test")
few, many = sys.argv[1:]
learn(open_task(few, size=128, channels=3), settings=settings)   # libraries are loaded before memory is counted
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
data = 2400 * 3 * 128 * 128
# What decoding and training take does not grow with the data: less than 50 MB here, of 106 that are left.
resource.setrlimit(resource.RLIMIT_DATA, (used + data * 9 // 10, resource.RLIM_INFINITY))
task = open_task(many, size=128, channels=3)
assert task.train.images.nbytes + task.test.images.nbytes == data
scholar = learn(task, settings=settings)
try:
    np.ones(data, dtype=np.uint8)
except MemoryError:
    print("learned", scholar.generation)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's data by RLIMIT_DATA")
def test_a_data_set_larger_than_memory_is_learned(tmp_path: Path, cache: Path) -> None:
    """All memory but read-only mapped files is capped to nine tenths of what the decoded pictures take."""
    rng = np.random.default_rng(0)
    for folder, count in (("few", 50), ("many", 1200)):
        for name in "ab":
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(count):
                file = tmp_path / folder / name / f"{number}.png"
                if number < 10:
                    tile = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((128, 128), 0)
                    tile.save(file, compress_level=1)
                else:
                    # The same files by other names: each is decoded, and takes as much room as any.
                    file.hardlink_to(file.with_name(f"{number % 10}.png"))
    done = subprocess.run(
        [sys.executable, "-c", LEARN_IN_LITTLE_MEMORY, str(tmp_path / "few"), str(tmp_path / "many")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "learned 1\n", done.stderr


def test_the_folders_that_pictures_are_from_are_noted(tmp_path: Path, cache: Path) -> None:
    open_task(photos(tmp_path / "photos"))
    (about,) = cache.glob("*/about.json")
    assert json.loads(about.read_text())["folders"] == ["a", "b"]
    # Again when it is used again: an earlier version did not note them.
    about.write_text("{}")
    open_task(tmp_path / "photos")
    assert json.loads(about.read_text())["folders"] == ["a", "b"]
