"""Dreams and predictions in shards: complete, in order, and the same after an interruption."""

from __future__ import annotations

import csv
import io
import itertools
import os
import shutil
import signal
import sys
import tracemalloc
import weakref
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import scholars
from forked import start
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

from scholars.errors import InputError
from scholars.inference import bulk, shards
from scholars.inference.bulk import write_dreams, write_predictions
from scholars.inference.predict import Prediction, find_images, predict_files, write_csv
from scholars.inference.shards import ShardedOutput
from scholars.scholar.scholar import CHUNK, Scholar
from scholars.storage.image_files import write_images
from scholars.tasks.task import Task
from scholars.training.batches import Batch

# Dreams of a chunk: few, so that many shards are soon drawn.
SMALL = 50
SHARD = 2 * SMALL


@pytest.fixture(scope="module")
def folder(one: Scholar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bulk") / "scholar"
    one.save(place)
    return place


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scholar, "chunk_size", SMALL)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a worker: the last bit of a sum depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def in_order(out: Path) -> torch.Tensor:
    """The images of a folder in the order of their numbers."""
    files = sorted(out.rglob("*.png"), key=lambda path: int(path.stem))
    return torch.stack([pil_to_tensor(Image.open(file)) for file in files])


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_few_dreams_are_in_one_folder_per_class(folder: Path, one: Scholar, tmp_path: Path) -> None:
    write_dreams(folder, 70, tmp_path / "out", seed=3)
    images, targets = one.dream(70, seed=3)
    assert torch.equal(in_order(tmp_path / "out"), images)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(one.classes)
    for number in (0, 69):
        assert (tmp_path / "out" / one.classes[int(targets[number].argmax())] / f"{number:06d}.png").is_file()
    assert hidden(tmp_path) == []


@pytest.mark.usefixtures("small_chunks")
def test_many_are_in_shards_and_the_same_dreams(folder: Path, one: Scholar, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    write_dreams(folder, 220, tmp_path / "out", shard=SHARD, on_progress=lambda *figures: progress.append(figures))
    assert progress == [(100, 220), (200, 220), (220, 220)]
    images, targets = one.dream(220)
    assert torch.equal(in_order(tmp_path / "out"), images)
    name = one.classes[int(targets[219].argmax())]
    assert (tmp_path / "out" / name / "00002" / "000000219.png").is_file()
    assert len(ImageFolder(str(tmp_path / "out"), allow_empty=True).samples) == 220


@pytest.mark.usefixtures("small_chunks")
def test_of_one_class_there_are_as_many_as_asked_for(folder: Path, one: Scholar, tmp_path: Path) -> None:
    _, targets = one.dream(300)
    common = one.classes[int(targets.argmax(1).mode().values)]
    write_dreams(folder, 120, tmp_path / "out", of=common, shard=SHARD)
    assert torch.equal(in_order(tmp_path / "out"), one.dream(120, of=common)[0])
    assert [path.name for path in (tmp_path / "out").iterdir() if any(path.iterdir())] == [common]


def test_a_rare_class_is_waited_for_over_all_shards(
    folder: Path, one: Scholar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 300th dream shows it: some shards of 500 show it once, and a shard of 250 may not."""
    order = itertools.count()

    def sample(scholar: Scholar, conditions: torch.Tensor) -> Batch:
        which = torch.tensor([int(next(order) % 300 == 299) for _ in conditions])
        targets = torch.nn.functional.one_hot(which, 5).float()
        images = torch.zeros(len(which), 1, 16, 16, dtype=torch.uint8)
        return Batch(images, targets, conditions, torch.ones(len(which)))

    monkeypatch.setattr(Scholar, "sample", sample)
    write_dreams(folder, 5, tmp_path / "out", of=one.classes[1], shard=CHUNK)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 5
    with pytest.raises(InputError, match=r"hardly ever dreams of '2': 0 of \d+ times"):
        write_dreams(folder, 400, tmp_path / "never", of=one.classes[2], shard=CHUNK)
    assert hidden(tmp_path) == []


def die_in_second_shard(folder: Path, out: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    patch, written = pytest.MonkeyPatch(), write_images
    patch.setattr(Scholar, "chunk_size", SMALL)

    def dying(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], *words: Any) -> int:
        def until() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for batch in batches:
                yield batch
                if words[1]:  # the first number
                    os.kill(os.getpid(), signal.SIGKILL)

        return written(until(), *words)

    patch.setattr(bulk, "write_images", dying)
    write_dreams(folder, 220, out, shard=SHARD)


@pytest.mark.usefixtures("small_chunks")
def test_killed_in_the_midst_it_goes_on_and_is_the_same_to_the_last_bit(folder: Path, tmp_path: Path) -> None:
    write_dreams(folder, 220, tmp_path / "whole", shard=SHARD)
    process = start(die_in_second_shard, folder, tmp_path / "out", torch.get_num_threads())
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    unfinished = tmp_path / ".out.unfinished"
    assert len(list(unfinished.rglob("*.png"))) == 150
    first = {path: path.stat().st_mtime_ns for path in unfinished.glob("partial/*/00000/*")}
    assert len(first) == 100

    with pytest.raises(InputError, match="unfinished work of another command"):
        write_dreams(folder, 220, tmp_path / "out", seed=1, shard=SHARD)
    progress: list[int] = []
    write_dreams(folder, 220, tmp_path / "out", shard=SHARD, on_progress=lambda done, total: progress.append(done))
    assert progress == [200, 220]
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    kept = {tmp_path / "out" / path.relative_to(unfinished / "partial"): when for path, when in first.items()}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert hidden(tmp_path) == []


@pytest.mark.usefixtures("workers", "one_thread")
def test_workers_make_the_same_files(folder: Path, tmp_path: Path, pictures: Path) -> None:
    """Two workers, then one: each needs seconds to import torch."""
    for where, address in (("here", None), ("there", "auto")):
        write_dreams(folder, CHUNK + 10, tmp_path / where / "dreams", shard=CHUNK, address=address)
        write_predictions(folder, [str(pictures)], tmp_path / where / "predictions", shard=30, top=2, address=address)
    assert content(tmp_path / "here") == content(tmp_path / "there")


def test_a_worker_says_what_it_cannot_do(folder: Path, tmp_path: Path) -> None:
    work = ShardedOutput(tmp_path / "out")

    def refused(of: str | None, digest: str, expected: str = version("scholars")) -> str:
        job = bulk.DreamJob(folder, 9, 0, of, SHARD, digest)
        row = shards._Worker(job, work, expected, (), Path.cwd())({"shard": 0})
        assert row["result"] == ""
        return str(row["error"])

    right = shards.description_digest(folder)
    assert "all machines share" in refused(None, right)
    with work.lock():
        work.claim({})
        assert "knows no class 'x'" in refused("x", right)
        assert "has changed" in refused(None, "another")
        assert "versions differ" in refused(None, right, "0.0.0")


def test_memory_does_not_grow_with_how_many_predictions_there_are(folder: Path, tmp_path: Path, pictures: Path) -> None:
    def peak(name: str, times: int) -> int:
        tracemalloc.start()
        write_predictions(folder, [str(pictures)] * times, tmp_path / name, shard=30)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak("warm", 1)
    small, large = peak("small", 2), peak("large", 10)
    assert large < 1.1 * small + 1e5


@pytest.mark.usefixtures("small_chunks")
def test_dreams_are_let_go_once_they_are_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tracemalloc does not see the memory of tensors: so the chunks that are still there are counted."""
    dreaming, made, most = Scholar.iter_dreams, list[weakref.ref[torch.Tensor]](), [0]

    def watched(self: Scholar, *words: Any, **options: Any) -> Iterator[Batch]:
        for batch in dreaming(self, *words, **options):
            made.append(weakref.ref(batch.inputs))
            most.append(sum(one() is not None for one in made))
            yield batch

    monkeypatch.setattr(Scholar, "iter_dreams", watched)
    write_dreams(folder, 12 * SMALL, tmp_path / "dreams", shard=6 * SMALL)
    assert len(made) == 12
    assert max(most) <= 3


@pytest.fixture
def pictures(tmp_path: Path, low: Task) -> Path:
    """30 images, in two folders."""
    for index, image in enumerate(low.test.images[:30]):
        path = tmp_path / "pictures" / ("b" if index % 2 else "a") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    return tmp_path / "pictures"


def test_predictions_are_in_shards_in_the_order_of_the_files(
    folder: Path, one: Scholar, tmp_path: Path, pictures: Path
) -> None:
    assert write_predictions(folder, [str(pictures)], tmp_path / "out", shard=8, top=2) == 30
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"0000{i}.csv" for i in range(4)]
    rows = [row for i in range(4) for row in read(tmp_path / "out" / f"0000{i}.csv")[1:]]
    whole = io.StringIO()
    write_csv(predict_files(one, list(find_images([str(pictures)])), top=2), whole)
    expected = list(csv.reader(io.StringIO(whole.getvalue())))[1:]
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert [float(row[2]) for row in rows] == pytest.approx([float(row[2]) for row in expected], abs=0.02)


def test_predictions_of_an_archive_are_those_of_its_folder(folder: Path, tmp_path: Path, pictures: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, "pictures")
    for source, out in ((archive, "packed"), (str(pictures), "plain")):
        assert write_predictions(folder, [source], tmp_path / out, shard=8) == 30
    for shard in range(4):
        packed, plain = (read(tmp_path / out / f"0000{shard}.csv")[1:] for out in ("packed", "plain"))
        assert [row[1:] for row in packed] == [row[1:] for row in plain]
        assert [Path(row[0]).name for row in packed] == [Path(row[0]).name for row in plain]
        assert all(row[0].startswith(f"{archive}{os.sep}pictures{os.sep}") for row in packed)


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_predictions_go_on_where_they_stopped(
    folder: Path, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "a" / "broken.png").write_bytes(b"no picture")
    words = [str(pictures)]
    with pytest.raises(InputError, match=r"1 of 31 images cannot be read"):
        write_predictions(folder, words, tmp_path / "whole", shard=8)
    [header, [file, reason]] = read(tmp_path / "whole" / "unreadable.csv")
    assert (header, Path(file).name) == (["file", "reason"], "broken.png")
    assert "no image" in reason

    def stop(done: int, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(folder, words, tmp_path / "out", shard=8, on_progress=stop)
    with pytest.raises(InputError, match="another command"):
        write_predictions(folder, [str(pictures / "a")], tmp_path / "out", shard=8)
    asked: list[int] = []
    predicted = predict_files

    def noting(one: Scholar, files: list[Path], **how: Any) -> Iterator[Prediction]:
        asked.append(len(files))
        return predicted(one, files, **how)

    monkeypatch.setattr(bulk, "predict_files", noting)
    with pytest.raises(InputError, match=r"1 of 31 images cannot be read"):
        write_predictions(folder, words, tmp_path / "out", shard=8)
    assert asked == [8, 7]
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert hidden(tmp_path) == []


def test_elsewhere_the_same_relative_names_are_other_files(
    folder: Path, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(folder, ["pictures"], tmp_path / "out", shard=8, on_progress=stop)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pictures").symlink_to(pictures)
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="another command"):
        write_predictions(folder, ["pictures"], tmp_path / "out", shard=8)
    monkeypatch.chdir(tmp_path)
    assert write_predictions(folder, ["pictures"], tmp_path / "out", shard=8) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows file names that are not UTF-8")
def test_names_that_are_no_text_are_told(folder: Path, tmp_path: Path, pictures: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (pictures / "a" / name).write_bytes(b"no picture")
    with pytest.raises(InputError, match="1 of 31 images cannot be read"):
        write_predictions(folder, [str(pictures)], tmp_path / "out")
    assert b"\xff.png" in (tmp_path / "out" / "unreadable.csv").read_bytes()


def test_the_command_line(folder: Path, tmp_path: Path, pictures: Path) -> None:
    done = scholars("dream", str(folder), "-n", "1_2", "--out", "dreams", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "12 dreams: dreams\n", "")
    done = scholars("predict", str(folder), str(pictures), "--out", "named", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "30 images: named\n", "")
    assert len(read(tmp_path / "named" / "00000.csv")) == 31


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dream", "-n", "9", "--out", "there"], "is there already"),
        (["dream", "-n", "9", "--out", "new", "--class", "x"], "knows no class 'x'"),
        (["dream", "-n", "9", "--out", "new", "--address", "127.0.0.1:1"], "nothing answers there"),
        (["dream", "-n", "9", "--out", "new", "--address", "cluster"], "give HOST:PORT"),
        (["dream", "-n", "9", "--out", "new", "--address", "a..b:1"], "nothing answers there"),
        (["dream", "-n", "9", "--address", "auto"], "is one picture"),
        (["predict", "pictures", "--out", "there"], "is there already"),
        (["predict", "nothing", "--out", "new"], "no such file"),
        (["predict", "pictures", "--out", "new", "--among", "x"], "never learned a task 'x'"),
        (["predict", "pictures", "--out", "new.csv"], "without an extension"),
        (["predict", "pictures", "--out", "new", "--json"], "leave out --json"),
        (["predict", "pictures", "--address", "auto"], "give --out"),
    ],
)
def test_what_is_refused_leaves_nothing(
    words: list[str], message: str, folder: Path, tmp_path: Path, pictures: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").touch()
    pytest.importorskip("ray", reason="Ray, of the extra `ray`, is not installed")
    done = scholars(words[0], str(folder), *words[1:], cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"there", "pictures"}


def test_killed_between_its_claim_and_its_lists_it_goes_on(
    folder: Path, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    killed: list[Path] = []

    def dying(self: Path, target: Path) -> Path:
        if not killed and target.name == bulk._LISTS:
            killed.append(target)
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dying)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(folder, [str(pictures)], tmp_path / "out", shard=30)
    count = write_predictions(folder, [str(pictures)], tmp_path / "out", shard=30)
    assert count == len(list(find_images([str(pictures)])))


def test_two_that_make_the_same_are_refused(folder: Path, tmp_path: Path) -> None:
    with ShardedOutput(tmp_path / "out").lock(), pytest.raises(InputError, match="another process is making"):
        write_dreams(folder, 5, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    write_dreams(folder, 5, tmp_path / "out")
    assert hidden(tmp_path) == []


def test_without_ray_it_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for words in (["dream", str(folder), "--out", "new"], ["predict", str(folder), "a.png", "--out", "new"]):
        done = scholars(*words, "--address", "auto", cwd=tmp_path)
        assert (done.returncode, "pip install '.[ray]'" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
