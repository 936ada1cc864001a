"""Kill learning, and let its writes fail: are the files on disk complete, and does the same command end as usual?

python benchmarks/faults.py [--kills 50] [--seed 0]

Writes docs/faults.md. A learner in a process of its own (`scholars learn`, the first or the second generation of a
small scholar) gets SIGKILL at random moments: some at any time, some while a checkpoint or the scholar itself is
written, which is watched for in the folder. Then, in this process, every single write fails once.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from measuring import pages
from torch import Tensor, nn

from scholars.compute.device import open_fabric
from scholars.errors import ScholarsError
from scholars.generators import NO_TEACHER, build_generator
from scholars.learning.callbacks import Callbacks
from scholars.learning.lifelong import teach
from scholars.scholar import Scholar
from scholars.settings import GENERATORS, Settings
from scholars.solvers import build_solver
from scholars.storage.scholar_folder import is_occupied, read_description, work_folder
from scholars.tasks.open import open_task
from scholars.training import checkpoints
from scholars.training.batches import Batch, Pool
from scholars.training.loop import SAVE_EVERY, Descent, Session, Trainee, fit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "faults"))
from failing import failing_at

CLASSES = {1: "0,1,2,3,4", 2: "5,6,7,8,9"}
SMALL = {
    "image.size": 16,
    "image.channels": 1,
    "solver.width": 8,
    "solver.batch": 32,
    "solver.steps": 60,
    "generator.width": 8,
    "generator.steps": 60,
    "replay.bank": 600,
    "audit.dreams": 100,
    "audit.steps": 5,
    "ood.dreams": 60,
}
# So few steps that each of them can be saved, and each of the writes that this takes fail, within minutes.
SMALLER = {**SMALL, "solver.steps": 5, "generator.steps": 4, "replay.bank": 100}
# Name of a file -> SHA-256.
Digests = dict[str, str] | None
# Seconds between checkpoints: a small training is soon over.
OFTEN = 0.05
# When a learner is killed, and the share of the kills.
AIMS = {"the start": 0.1, "any moment of learning": 0.4, "a checkpoint": 0.26, "the new scholar's place": 0.24}


def learn_command(folder: Path, generation: int) -> list[str]:
    words = ["learn", str(folder), "digits", "--classes", CLASSES[generation], "--save-every", str(OFTEN)]
    settings = [f"{key}={value}" for key, value in SMALL.items()] if generation == 1 else []
    return [sys.executable, "-m", "scholars", *words, *(["--set", *settings] if settings else [])]


def unfinished_files(where: Path, name: str = "") -> list[str]:
    """Return the temporary files in ``where``, of ``name`` if given: being written, or left by a process that died."""
    try:
        found = [entry.name for entry in os.scandir(where)]
    except FileNotFoundError:
        return []
    return [one for one in found if one.endswith(".tmp") and one.startswith(f".{name}")]


def weight_digests(folder: Path) -> Digests:
    """Return the SHA-256 of a scholar's weight files, checked by `Scholar.load`; None where there is no scholar."""
    if not is_occupied(folder):
        return None
    Scholar.load(folder)
    digests: dict[str, str] = read_description(folder)["sha256"]
    return digests


@dataclass(frozen=True)
class Timing:
    """How long learning takes when it is not killed, in seconds.

    start: until something is written to disk
    learning: from then until the new scholar is in its place, and the work folder is removed
    checkpoints: how many were seen; checkpoint: the seconds that one takes
    saving: from the first file of the new scholar until the work folder is removed
    """

    start: float
    learning: float
    checkpoints: int
    checkpoint: float
    saving: float


class Learner:
    """`scholars learn` in a process of its own, watched from outside."""

    def __init__(self, folder: Path, generation: int) -> None:
        self.folder, self.work = folder, work_folder(folder)
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(learn_command(folder, generation), stdout=quiet, stderr=quiet)

    def wait_for(self, seen: Callable[[], object]) -> bool:
        """Wait until ``seen`` is true; False if the process ended first. Without a pause: a write takes 1 ms."""
        while not seen():
            if self.process.poll() is not None:
                return False
        return True

    def wait_for_checkpoints(self, count: int) -> bool:
        """Wait until so many checkpoints were begun."""
        names: set[str] = set()

        def enough() -> bool:
            names.update(unfinished_files(self.work))
            return len(names) >= count

        return self.wait_for(enough)

    def is_saving(self) -> bool:
        """Return whether the new scholar is being written beside the old one."""
        return bool(unfinished_files(self.folder.parent, f"{self.folder.name}."))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def time_learning(folder: Path, generation: int) -> Timing:
    """Learn undisturbed, and see when what happens."""
    began = time.perf_counter()
    learner = Learner(folder, generation)
    learner.wait_for(learner.work.is_dir)
    started = time.perf_counter()
    names: set[str] = set()
    writing, last, saving = 0.0, started, 0.0
    while learner.process.poll() is None and not (saving and not learner.work.exists()):
        found, now = unfinished_files(learner.work), time.perf_counter()
        names.update(found)
        writing += (now - last) * bool(found)
        last = now
        if not saving and learner.is_saving():
            saving = now
    ended = time.perf_counter()
    learner.process.wait()
    return Timing(started - began, ended - started, len(names), writing / max(1, len(names)), ended - saving)


def strike(aim: str, learner: Learner, usual: Timing, rng: random.Random) -> None:
    """Kill the learner at a moment of the kind ``aim``."""
    match aim:
        case "the start":
            time.sleep(rng.uniform(0, usual.start))
        case "any moment of learning":
            learner.wait_for(learner.work.is_dir)
            time.sleep(rng.uniform(0, usual.learning))
        case "a checkpoint":
            learner.wait_for_checkpoints(rng.randint(1, max(1, usual.checkpoints // 2)))
            time.sleep(rng.uniform(0, usual.checkpoint))
        case "the new scholar's place":
            learner.wait_for(learner.is_saving)
            time.sleep(rng.uniform(0, usual.saving))
    learner.kill()


def check_repeated(found: Counter[str], folder: Path, old: Digests, new: Digests, repeat: Callable[[], object]) -> None:
    """Count whether the old or the new scholar is there, ``repeat`` learning unless it is done, and compare again."""
    left = weight_digests(folder)
    found["old"] += left == old
    found["new"] += left == new
    if left != new or work_folder(folder).is_dir():
        repeat()
    clean = {path.name for path in folder.parent.iterdir()} <= {"scholar", ".scholar.lock"}
    found["identical"] += weight_digests(folder) == new and clean


def kills(count: int, seed: int, out: Path) -> Iterator[tuple[str, Counter[str]]]:
    """Kill ``count`` learners, one after the other; yield when each was killed, and what was found."""
    folders = {1: out / "first" / "scholar", 2: out / "second" / "scholar"}
    expected: dict[int, Digests] = {}
    usual: dict[int, Timing] = {}
    for generation, folder in folders.items():
        folder.parent.mkdir(parents=True)
        if generation == 2:
            shutil.copytree(folders[1], folder)
        usual[generation] = time_learning(folder, generation)
        expected[generation] = weight_digests(folder)
        print(f"generation {generation}, undisturbed: {usual[generation]}", flush=True)
    aims = [aim for aim, share in AIMS.items() for _ in range(round(share * count))]
    aims += ["any moment of learning"] * (count - len(aims))
    for number, aim in enumerate(aims[:count]):
        rng = random.Random(f"{seed}/{number}")
        generation = 1 if number % 5 == 0 else 2
        folder = out / f"kill-{number}" / "scholar"
        folder.parent.mkdir()
        if generation == 2:
            shutil.copytree(folders[1], folder)
        old = expected[1] if generation == 2 else None
        learner = Learner(folder, generation)
        strike(aim, learner, usual[generation], rng)
        found = Counter(kills=1)
        found["in a checkpoint"] += bool(unfinished_files(learner.work))
        found["in its place"] += learner.is_saving()
        repeat = partial(subprocess.run, learn_command(folder, generation), check=True, capture_output=True)
        try:
            check_repeated(found, folder, old, expected[generation], repeat)
        except (ScholarsError, OSError, subprocess.CalledProcessError) as error:
            print(f"kill {number} ({aim}): {error}", flush=True)
        print(number, aim, f"generation {generation}", dict(found), flush=True)
        shutil.rmtree(folder.parent)
        yield aim, found


def failures(code: int, out: Path) -> Counter[str]:
    """Let every write of one learning fail once, and repeat learning each time."""
    first, second = (open_task("digits").select_classes(CLASSES[generation].split(",")) for generation in (1, 2))
    old, folder = out / "old" / "scholar", out / "failing" / "scholar"
    teach(old, first, changes=SMALLER)
    shutil.copytree(old, folder)
    with failing_at(0, 0) as calls:
        teach(folder, second, save_every=0)
    was, expected, writes = weight_digests(old), weight_digests(folder), calls[0]
    found = Counter(kills=writes)
    for number in range(1, writes + 1):
        shutil.rmtree(folder.parent)
        shutil.copytree(old, folder)
        with failing_at(number, code):
            try:
                teach(folder, second, save_every=0)
            except OSError:
                found["raised"] += 1
        check_repeated(found, folder, was, expected, partial(teach, folder, second))
    shutil.rmtree(old.parent)
    shutil.rmtree(folder.parent)
    print(errno.errorcode[code], dict(found), flush=True)
    return found


def disk_use(kind: str, out: Path) -> tuple[int, int]:
    """Return the bytes of the weights of a scholar of the default size, and the most that its unfinished work takes."""
    digits = open_task("digits")
    digits = replace(digits, train=digits.train[:256], test=digits.test[:16])
    short: dict[str, Any] = {"solver.steps": 4, "solver.batch": 8, "audit.dreams": 0}
    short |= {"generator.kind": kind, "generator.steps": 4, "generator.batch": 8}
    folder, used = out / kind / "scholar", list[int]()

    def stopping() -> bool:
        used.append(sum(path.stat().st_size for path in work_folder(folder).glob("*")))
        return False

    teach(folder, digits, changes=short, callbacks=Callbacks(stopping=stopping), save_every=0)
    return sum((folder / f"{part}.safetensors").stat().st_size for part in ("solver", "generator")), max(used)


def checkpoint_seconds(out: Path) -> dict[str, float]:
    """Return what one checkpoint of each training of the default takes, the median of 20."""
    settings, digits = Settings(), open_task("digits").resized(3, 32)
    fabric, pool = open_fabric(settings.compute), Pool.of(digits.train, list(range(10)), 10)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch.inputs).float(), batch.targets)

    trainees: dict[str, Trainee] = {
        "generator": build_generator(settings.trained_generator, settings.image, 10).trainee(fabric, NO_TEACHER),
        "solver": Descent(fabric, build_solver(settings.image_solver, settings.image, 10), loss, rate=1e-3),
    }
    found: dict[str, float] = {}
    for stage, trainee in trainees.items():
        # Without a step there are no moments.
        fit(trainee, lambda: pool.draw(8), fabric=fabric, steps=5, seed=0, stage=stage, session=Session())
        seconds = []
        for _ in range(20):
            began = time.perf_counter()
            checkpoints.save(out / f"{stage}.safetensors", trainee.modules, trainee.optimizers, {})
            seconds.append(time.perf_counter() - began)
        found[stage] = statistics.median(seconds)
    return found


# The counters of a row.
COUNTS = ("kills", "in a checkpoint", "in its place", "old", "new")


def format_page(
    kills: int,
    seed: int,
    found: Mapping[str, Counter[str]],
    sizes: Mapping[str, tuple[int, int]],
    seconds: Mapping[str, float],
) -> list[str]:
    machine = {"environment": pages.this_machine()}
    killed = [found[aim] for aim in AIMS]
    sums = {key: sum(row[key] for row in killed) for key in (*COUNTS, "identical")}
    codes = {"ENOSPC": "no space left (ENOSPC)", "EIO": "input/output error (EIO)"}
    whole, identical = sums["old"] + sums["new"], f"{sums['identical']} of {sums['kills']}"
    return [
        "# Killed, and out of disk space",
        "",
        f"Made by `python benchmarks/faults.py --kills {kills} --seed {seed}` on {pages.today()}, on: "
        f"{pages.describe_machine(machine, 'threads', 'precision')}, Python {machine['environment']['python']}.",
        "",
        "A small scholar learns Digits, five classes and then the other five, by `scholars learn`, and is saved every "
        f"{OFTEN:g} s. It gets SIGKILL: at a random moment; a random moment after a random checkpoint was begun; a "
        "random moment after the new scholar began to be written beside the old one. Every fifth kill hits the first "
        "generation, where there is no old scholar. Then the same command is given again.",
        "",
        "*Whole*: what is in the folder is the old scholar or the new one, complete, every file's SHA-256 as written. "
        "*Identical*: after the same command the weights are bit for bit those of a scholar that nobody killed, and "
        "nothing else is left in the folder.",
        "",
        *pages.table(
            "killed at | times | while a checkpoint was written | while the scholar was put in its place | the old one "
            "was there | the new one was there | whole | then identical",
            [
                *(
                    (aim, *(row[key] for key in COUNTS), row["old"] + row["new"], row["identical"])
                    for aim, row in zip(AIMS, killed, strict=True)
                ),
                ("**all**", *(sums[key] for key in COUNTS), f"**{whole}**", f"**{identical}**"),
            ],
        ),
        "Every write of one learning, of a few steps with a checkpoint after each, fails once; a write is anything "
        "that is written, renamed, made or synchronised to disk:",
        "",
        *pages.table(
            "the system says | writes | an error was raised | the old one was there | the new one was there | whole | "
            "then identical",
            (
                (
                    words,
                    *(row[key] for key in ("kills", "raised", "old", "new")),
                    row["old"] + row["new"],
                    row["identical"],
                )
                for words, row in ((words, found[code]) for code, words in codes.items())
            ),
        ),
        "## What a checkpoint costs",
        "",
        f"Every {SAVE_EVERY:.0f} seconds (`--save-every`), when the training of a network ends, and on SIGINT or "
        "SIGTERM. For the default (`r3gan`, 32 x 32 in colour), the median of 20:",
        "",
        *pages.table(
            "training of the | one checkpoint | share of the time, at one in 60 s",
            (
                (stage, f"{1000 * spent:.0f} ms", f"{100 * spent / (SAVE_EVERY + spent):.2f} %")
                for stage, spent in seconds.items()
            ),
        ),
        "There is one checkpoint of each network; a new one takes the place of the old one once it is complete, and "
        "until then both are there. To resume bit for bit, it holds the weights, Adam's two moments of each, and a "
        "generator's moving average: up to four times the weights of the generator, three times those of the solver. "
        "When a training has ended its checkpoint keeps no moments. The most that the work folder held, at the "
        "default sizes, beside all weights of the scholar (of its solver and of its generator, with the critic):",
        "",
        *pages.table(
            "generator | weights of the scholar, kB | unfinished work, kB | ratio",
            (
                (f"`{kind}`", f"{own / 1000:,.0f}", f"{most / 1000:,.0f}", f"{most / own:.2f}")
                for kind, (own, most) in sizes.items()
            ),
        ),
    ]


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        out = Path(folder)
        found = {name: Counter[str]() for name in AIMS}
        for aim, one in kills(options.kills, options.seed, out):
            found[aim] += one
        for code in (errno.ENOSPC, errno.EIO):
            found[errno.errorcode[code]] = failures(code, out)
        sizes = {kind: disk_use(kind, out) for kind in GENERATORS}
        page = format_page(options.kills, options.seed, found, sizes, checkpoint_seconds(out))
    pages.write_page("faults", page)
    for name, one in found.items():
        if one["old"] + one["new"] < one["kills"] or one["identical"] < one["kills"]:
            raise SystemExit(f"{name}: not all whole and identical: {dict(one)}")


if __name__ == "__main__":
    main()
