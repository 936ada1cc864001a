"""Whatever happens while a scholar learns: is what is on disk whole, and does the same command end as if nothing had?

python benchmarks/faults.py [--kills 50] [--seed 0]

Writes docs/faults.md. A learner in a process of its own (`scholars learn`, the first or the second generation of a
small scholar) gets SIGKILL at random moments: some at any time, some aimed at a checkpoint or at the writing of the
scholar itself, which are watched for in the folder. Then, in this process, every single write fails once.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from scholars import checkpoints, store
from scholars.compute import open_fabric
from scholars.environment import environment
from scholars.errors import ScholarsError
from scholars.fitting import SAVE_EVERY, Descent, Session, Trainee, fit
from scholars.generators import KINDS, build_generator
from scholars.lifetime import Watch, teach
from scholars.replay import Batch, Pool
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.solvers import build_solver
from scholars.tasks import open_task

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "faults"))
from failing import failing_at

DOCS = Path(__file__).parent.parent / "docs"
CLASSES = {1: "0,1,2,3,4", 2: "5,6,7,8,9"}
SMALL = {
    "image.size": 16,
    "image.channels": 1,
    "solver.width": 8,
    "solver.batch": 32,
    "solver.steps": 60,
    "generator.r3gan.width": 8,
    "generator.r3gan.steps": 60,
    "replay.bank": 600,
    "audit.dreams": 100,
    "audit.steps": 5,
    "familiarity.dreams": 60,
}
# So few steps that each of them can be saved, and each of the writes that this takes fail, within minutes.
SMALLER = {**SMALL, "solver.steps": 5, "generator.r3gan.steps": 4, "replay.bank": 100}
# Seconds between checkpoints: a small training is soon over.
OFTEN = 0.05
# What a kill is aimed at, and its share of the kills.
AIMS = {"the start": 0.1, "any moment of learning": 0.4, "a checkpoint": 0.26, "the new scholar's place": 0.24}


def command(folder: Path, generation: int) -> list[str]:
    words = ["learn", str(folder), "digits", "--classes", CLASSES[generation], "--save-every", str(OFTEN)]
    settings = [f"{key}={value}" for key, value in SMALL.items()] if generation == 1 else []
    return [sys.executable, "-m", "scholars", *words, *(["--set", *settings] if settings else [])]


def work_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.learning")


def half_written(where: Path, name: str = "") -> list[str]:
    """What is being written there, or was when its process died; ``name``: of this only."""
    try:
        found = [entry.name for entry in os.scandir(where)]
    except FileNotFoundError:
        return []
    return [one for one in found if one.endswith(".tmp") and one.startswith(f".{name}")]


def weights_of(folder: Path) -> dict[str, str] | None:
    """SHA-256 of every weight file of the scholar there, which `Scholar.load` compares; None where there is none."""
    if not store.occupied(folder):
        return None
    Scholar.load(folder)
    digests: dict[str, str] = store.describe_scholar(folder)["sha256"]
    return digests


@dataclass(frozen=True)
class Course:
    """How learning goes when nothing happens.

    begins: seconds until the first is written to disk
    learns: seconds from then until the new scholar is in its place, and all work is cleared away
    writes: checkpoints that were seen, ``writing``: the seconds that one takes
    placing: seconds from the first that is written of the new scholar until all work is cleared away
    """

    begins: float
    learns: float
    writes: int
    writing: float
    placing: float


class Learner:
    """`scholars learn` in a process of its own, watched from outside."""

    def __init__(self, folder: Path, generation: int) -> None:
        self.folder, self.work = folder, work_of(folder)
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command(folder, generation), stdout=quiet, stderr=quiet)

    def until(self, seen: Callable[[], object]) -> bool:
        """Wait until something is seen; False if the process ended first. Without a pause: a write takes 1 ms."""
        while not seen():
            if self.process.poll() is not None:
                return False
        return True

    def until_writes(self, count: int) -> bool:
        """Wait for so many checkpoints to be begun."""
        names: set[str] = set()

        def looked() -> bool:
            names.update(half_written(self.work))
            return len(names) >= count

        return self.until(looked)

    def until_placing(self) -> bool:
        return self.until(lambda: half_written(self.folder.parent, f"{self.folder.name}."))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def course(folder: Path, generation: int) -> Course:
    """Learn undisturbed, and see when what happens."""
    began = time.perf_counter()
    learner = Learner(folder, generation)
    learner.until(learner.work.is_dir)
    begun = time.perf_counter()
    names: set[str] = set()
    writing, last, placing = 0.0, begun, 0.0
    while learner.process.poll() is None and not (placing and not learner.work.exists()):
        found, now = half_written(learner.work), time.perf_counter()
        names.update(found)
        writing += (now - last) * bool(found)
        last = now
        if not placing and half_written(folder.parent, f"{folder.name}."):
            placing = now
    ended = time.perf_counter()
    learner.process.wait()
    return Course(begun - began, ended - begun, len(names), writing / max(1, len(names)), ended - placing)


def strike(aim: str, learner: Learner, usual: Course, rng: random.Random) -> None:
    """Kill the learner at a moment of the kind that is aimed at."""
    match aim:
        case "the start":
            time.sleep(rng.uniform(0, usual.begins))
        case "any moment of learning":
            learner.until(learner.work.is_dir)
            time.sleep(rng.uniform(0, usual.learns))
        case "a checkpoint":
            learner.until_writes(rng.randint(1, max(1, usual.writes // 2)))
            time.sleep(rng.uniform(0, usual.writing))
        case "the new scholar's place":
            learner.until_placing()
            time.sleep(rng.uniform(0, usual.placing))
    learner.kill()


def kills(count: int, seed: int, out: Path) -> Iterator[tuple[str, Counter[str]]]:
    """Kill ``count`` learners, one after the other; what each was aimed at, and what was found."""
    before: dict[int, Path] = {1: out / "nothing", 2: out / "first" / "scholar"}
    wholes: dict[int, dict[str, str] | None] = {}
    usual: dict[int, Course] = {}
    for generation in (1, 2):
        folder = out / ("first" if generation == 1 else "second") / "scholar"
        folder.parent.mkdir(parents=True)
        if generation == 2:
            shutil.copytree(before[2], folder)
        usual[generation] = course(folder, generation)
        wholes[generation] = weights_of(folder)
        print(f"generation {generation}, undisturbed: {usual[generation]}", flush=True)
    aims = [aim for aim, share in AIMS.items() for _ in range(round(share * count))]
    aims += ["any moment of learning"] * (count - len(aims))
    for number, aim in enumerate(aims[:count]):
        rng = random.Random(f"{seed}/{number}")
        generation = 1 if number % 5 == 0 else 2
        folder = out / f"kill-{number}" / "scholar"
        folder.parent.mkdir()
        old = None
        if generation == 2:
            shutil.copytree(before[2], folder)
            old = weights_of(folder)
        whole = wholes[generation]
        strike(aim, Learner(folder, generation), usual[generation], rng)
        found = Counter(kills=1)
        found["in a checkpoint"] = bool(half_written(work_of(folder)))
        found["in its place"] = bool(half_written(folder.parent, f"{folder.name}."))
        try:
            left = weights_of(folder)
            found["old"], found["new"] = left == old, left == whole
            if left != whole or work_of(folder).is_dir():
                subprocess.run(command(folder, generation), check=True, capture_output=True)
            clean = {path.name for path in folder.parent.iterdir()} <= {"scholar", ".scholar.lock"}
            found["identical"] = weights_of(folder) == whole and clean
        except (ScholarsError, OSError, subprocess.CalledProcessError) as error:
            print(f"kill {number} ({aim}): {error}", flush=True)
        print(number, aim, f"generation {generation}", dict(found), flush=True)
        shutil.rmtree(folder.parent)
        yield aim, found


def failures(code: int, out: Path) -> Counter[str]:
    """Let every write of one learning fail once, each time followed by the same again."""
    first, second = (open_task("digits").only(CLASSES[generation].split(",")) for generation in (1, 2))
    old, folder = out / "old" / "scholar", out / "failing" / "scholar"
    teach(old, first, changes=SMALLER)
    shutil.copytree(old, folder)
    with failing_at(0, 0) as asked:
        teach(folder, second, save_every=0)
    was, whole, writes = weights_of(old), weights_of(folder), asked[0]
    found = Counter(kills=writes)
    for number in range(1, writes + 1):
        shutil.rmtree(folder.parent)
        shutil.copytree(old, folder)
        with failing_at(number, code):
            try:
                teach(folder, second, save_every=0)
            except OSError:
                found["said"] += 1
        left = weights_of(folder)
        found["old"] += left == was
        found["new"] += left == whole
        if left != whole or work_of(folder).is_dir():
            teach(folder, second)
        clean = {path.name for path in folder.parent.iterdir()} <= {"scholar", ".scholar.lock"}
        found["identical"] += weights_of(folder) == whole and clean
    shutil.rmtree(old.parent)
    shutil.rmtree(folder.parent)
    print(errno.errorcode[code], dict(found), flush=True)
    return found


def room(kind: str, out: Path) -> tuple[int, int]:
    """Bytes of the weights of a scholar of the default size, and the most that its unfinished work takes."""
    digits = open_task("digits")
    digits = replace(digits, train=digits.train[:256], test=digits.test[:16])
    short = {"solver.steps": 4, "solver.batch": 8, "generator.kind": kind, "audit.dreams": 0}
    short |= {f"generator.{kind}.steps": 4, f"generator.{kind}.batch": 8}
    folder, most = out / kind / "scholar", list[int]()

    def looked() -> bool:
        most.append(sum(path.stat().st_size for path in work_of(folder).glob("*")))
        return False

    teach(folder, digits, changes=short, watch=Watch(stopping=looked), save_every=0)
    return sum((folder / f"{part}.safetensors").stat().st_size for part in ("solver", "generator")), max(most)


def write_seconds(out: Path) -> dict[str, float]:
    """What one checkpoint of each training of the default takes, the median of 20."""
    settings, digits = Settings(), open_task("digits").resized(3, 32)
    fabric, pool = open_fabric(settings.compute), Pool.of(digits.train, list(range(10)), 10)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch.images).float(), batch.targets)

    trainees: dict[str, Trainee] = {
        "generator": build_generator(settings.generator, settings.image, 10).trainee(fabric),
        "solver": Descent(fabric, build_solver(settings.solver, settings.image, 10), loss, rate=1e-3),
    }
    found: dict[str, float] = {}
    for stage, trainee in trainees.items():
        # Moments that are all zero would take less room.
        fit(trainee, lambda: pool.draw(8), fabric=fabric, steps=5, seed=0, stage=stage, session=Session())
        seconds = []
        for _ in range(20):
            began = time.perf_counter()
            checkpoints.save(out / f"{stage}.safetensors", trainee.modules, trainee.optimizers, {})
            seconds.append(time.perf_counter() - began)
        found[stage] = statistics.median(seconds)
    return found


def table(
    options: argparse.Namespace,
    found: dict[str, Counter[str]],
    rooms: dict[str, tuple[int, int]],
    seconds: dict[str, float],
) -> str:
    machine: Any = environment(Settings().compute)
    killed = [found[aim] for aim in AIMS]
    total = sum(one["kills"] for one in killed)
    injected = [found[name] for name in ("ENOSPC", "EIO")]
    well = sum(one["identical"] for one in killed)
    lines = [
        "# Killed, and out of disk space",
        "",
        f"Made by `python benchmarks/faults.py --kills {options.kills} --seed {options.seed}` on "
        f"{datetime.now(UTC):%Y-%m-%d}, on: {machine['processor']}, threads: {machine['threads']}, "
        f"{machine['precision']}, Python {machine['python']}, torch {machine['packages']['torch']}.",
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
        "| killed at | times | while a checkpoint was written | while the scholar was put in its place | the old one "
        "was there | the new one was there | whole | then identical |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for aim in AIMS:
        one = found[aim]
        lines.append(
            f"| {aim} | {one['kills']} | {one['in a checkpoint']} | {one['in its place']} | {one['old']} | "
            f"{one['new']} | {one['old'] + one['new']} | {one['identical']} |"
        )
    columns = ("kills", "in a checkpoint", "in its place", "old", "new")
    sums = [sum(one[column] for one in killed) for column in columns]
    lines += [
        f"| **all** | {' | '.join(map(str, sums))} | **{sums[3] + sums[4]}** | **{well} of {total}** |",
        "",
        "Every write of one learning, of a few steps with a checkpoint after each, fails once; a write is anything "
        "that is written, renamed, made or synchronised to disk:",
        "",
        "| the system says | writes | an error was raised | the old one was there | the new one was there | whole | "
        "then identical |",
        "|---|---|---|---|---|---|---|",
    ]
    for code, one in zip(("no space left (ENOSPC)", "input/output error (EIO)"), injected, strict=True):
        lines.append(
            f"| {code} | {one['kills']} | {one['said']} | {one['old']} | {one['new']} | {one['old'] + one['new']} | "
            f"{one['identical']} |"
        )
    lines += [
        "",
        "## What a checkpoint costs",
        "",
        f"Every {SAVE_EVERY:.0f} seconds (`--save-every`), when the training of a network ends, and on SIGINT or "
        "SIGTERM. For the default (`r3gan`, 32 x 32 in colour), the median of 20:",
        "",
        "| training of the | one checkpoint | share of the time, at one in 60 s |",
        "|---|---|---|",
        *(
            f"| {stage} | {1000 * spent:.0f} ms | {100 * spent / (SAVE_EVERY + spent):.2f} % |"
            for stage, spent in seconds.items()
        ),
        "",
        "There are two at most, one of each network; a new one takes the place of the old one once it is complete. "
        "To go on bit for bit takes the weights, Adam's two moments of each, and the moving average of the "
        "generator's: up to four times what the generator keeps, three times what the solver keeps. *At most three "
        "times the weights* is said of all weights of the scholar that is trained: the files of its solver and of its "
        "generator, with the critic. So that it holds for every kind, signs and exponents are deflated, losslessly, "
        "and a training that has ended keeps no moments. The most that ever lay there, at the default sizes:",
        "",
        "| generator | weights of the scholar, kB | unfinished work, kB | ratio |",
        "|---|---|---|---|",
        *(
            f"| `{kind}` | {own / 1000:,.0f} | {most / 1000:,.0f} | {most / own:.2f} |"
            for kind, (own, most) in rooms.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        page = table(options, found, {kind: room(kind, out) for kind in KINDS}, write_seconds(out))
    print(page)
    (DOCS / "faults.md").write_text(page, encoding="utf-8")
    for name, one in found.items():
        if one["old"] + one["new"] < one["kills"] or one["identical"] < one["kills"]:
            raise SystemExit(f"{name}: not all whole and identical: {dict(one)}")


if __name__ == "__main__":
    main()
