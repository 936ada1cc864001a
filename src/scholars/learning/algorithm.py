"""Deep generative replay (Shin et al. 2017, arXiv 1705.08690): how a scholar learns the next task.

A scholar is a generator G and a solver S. To learn task t, a new pair is trained on a mix of

    (x, y)             real images of task t, a share r of every batch, and
    (x', S_t-1(x'))    dreams x' ~ G_t-1, which the previous solver labels, the other 1 - r.

The solver minimises the cross-entropy on both (eq. 1),

    L(S) = r E_(x, y) [ CE(S(x), y) ]  +  (1 - r) E_x' [ T^2 CE(S(x') / T, S_t-1(x') / T) ],

where S(x) / T are logits divided by the temperature T, 1 unless ``replay.temperature`` is set (`distillation`). The
generator is fitted to the same mix of images, each with its condition, the (task, class) pair that it shows: by the
loss of its kind (`scholars.generators`). No earlier data is read.

With a backbone it learns features, and its solver from dreams of all classes alone (`features.py`). The stages of one
that learns pixels, in order, are those of `train_networks`:

1. bank: draw dreams of the previous scholar, filter and label them (`dreams.py`)
2. generator: train G on the mix
3. solver: train S on the mix, augmented
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from scholars.backbones import Backbone, forget_task
from scholars.compute.device import Fabric
from scholars.compute.processes import current_fabric, num_processes, run_everywhere
from scholars.generators import Generator
from scholars.learning.arguments import LearnArgs, Past, check_task
from scholars.learning.budget import facts_of, open_settings, plan_settings
from scholars.learning.callbacks import keep_last
from scholars.learning.dreams import with_ood_detector
from scholars.learning.features import build_feature_generator, train_feature_solver
from scholars.learning.looking import choose_settings, look_at_task, resolve_backbone
from scholars.learning.minutes import forget_budget
from scholars.learning.mixture import build_mixture
from scholars.learning.networks import train_generator, train_solver
from scholars.learning.resume import SPENT, claim, fit_minutes, stage_timer
from scholars.learning.task_record import record_task
from scholars.scholar import Scholar
from scholars.settings import ComputeSettings, Settings
from scholars.solvers import Solver
from scholars.tasks.task import Task
from scholars.training.loop import NO_SESSION, Session


def learn(
    task: Task,
    previous: Scholar | None = None,
    *,
    settings: Settings | None = None,
    seed: int = 0,
    past: Past = "dreams",
    session: Session | None = None,
    backbone: Backbone | None = None,
    accept_unprotected: bool = False,
) -> Scholar:
    """Learn ``task`` and return a new scholar that knows it and all that ``previous`` knew.

    Prints nothing, and does not audit the dreams: ``session`` reports progress, and `scholars.audit` looks at them.

    task: images of any shape; brought to the scholar's own
    previous: the scholar to go on from; None starts a lineage
    settings: how to learn; default: as ``previous`` did, and for a first task as `choose_settings` says
    seed: with equal arguments, equal seeds give bit-identical scholars on one machine's CPU with as many threads
    past: what is replayed for the earlier tasks: "dreams"; or, without a generator being trained, "current data", the
        new images as ``previous`` labels them (learning without forgetting, Li & Hoiem 2016), or the real data of some
        tasks: ``[]`` for nothing (naive), all earlier tasks for exact replay
    session: progress reports, and where unfinished work is kept. Work found in its folder is resumed if it belongs to
        this very call, else removed
    backbone: that of a first task, opened; default: what ``settings.backbone`` names. What it sees is kept until the
        end, unless it has looked at the task before (`scholars.backbones.look`)
    accept_unprotected: whether ``previous`` may be private, which this task will not be (`scholars.learn_privately`)

    Raises InputError for a task or settings that do not fit ``previous``, Interrupted when asked to stop.
    """
    check_task(task)
    settings = settings or (forget_budget(previous.settings) if previous else choose_settings(task).settings)
    settings, backbone = resolve_backbone(previous, settings, backbone)
    session = session or Session()
    args = LearnArgs(task, previous, past, settings, seed, accept_unprotected=accept_unprotected)
    args.check()
    args = fit_minutes(args, backbone, session.folder)
    settings = args.settings
    stored = args.stored
    if backbone:
        args = replace(args, new=look_at_task(task, backbone, settings, session))
        if not isinstance(past, str):
            args = replace(args, past=[look_at_task(each, backbone, settings, session) for each in stored])
    if session.folder:
        claim(session.folder, args)
    scholar, learned = train_scholar(args, backbone, session)
    record = record_task(scholar, args.task, task.train.count_labels(len(task.classes)), learned)
    if task.train.files is not None:
        record = record.remembering(task.train.digests, task.train.labels)
    for before, after in zip((task, *stored), (args.task, *args.stored), strict=True):
        if backbone and before.train.features is None:
            forget_task(after, backbone)
    scholar = replace(scholar, lineage=(*scholar.lineage, record))
    return with_ood_detector(scholar, seed) if scholar.generator else scholar


def train_scholar(args: LearnArgs, backbone: Backbone | None, session: Session) -> tuple[Scholar, dict[str, Any]]:
    """Return the scholar that results from these arguments, still without a record of it; and what that will say."""
    metrics: dict[str, dict[str, float]] = {}
    session = replace(session, on_tick=keep_last(metrics, session.on_tick))
    if num_processes() > 1:
        # Other processes have devices of their own, and would be given weights on this one's.
        args = args.on(ComputeSettings(device="cpu"))
    settings, plan = args.settings, plan_settings(args.settings, facts_of(args))
    planned = replace(args, settings=plan)
    trained = run_everywhere(current_fabric(settings.compute), partial(train_networks, planned), session)
    looked = {"features": round(args.new.look_seconds, 3)} if backbone and args.new else {}
    record = {
        "parents": args.inherited.heads,
        "seed": args.seed,
        "learned_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": looked | trained.seconds,
        "dreamt": trained.dreams + round(metrics["bank"]["looked"] if "bank" in metrics else 0),
        "metrics": {stage: metrics[stage] for stage in ("solver", "generator") if stage in metrics},
        "settings": settings,
        "plan": open_settings(settings, plan),
        "engine": backbone.engine.name if backbone else None,
    }
    lineage = args.inherited.lineage
    scholar = Scholar(trained.solver, trained.generator, args.classes, lineage, settings, backbone=backbone)
    return replace(scholar, privacy=args.inherited.privacy), record


@dataclass(frozen=True)
class TrainedNetworks:
    """The networks, the seconds of each stage, and how many dreams were drawn besides those of a bank."""

    solver: Solver
    generator: Generator | None
    seconds: dict[str, float]
    dreams: int


def train_networks(args: LearnArgs, fabric: Fabric, session: Session = NO_SESSION) -> TrainedNetworks:
    """Train generator and solver, in every process that learns together; ``session`` is the first one's."""
    seconds: dict[str, float] = {}
    args = args.on(args.settings.compute)
    timer = partial(stage_timer, session.folder / SPENT if session.folder else None, session, seconds)
    if args.settings.backbone:
        generator = None
        if args.past == "dreams":
            with timer("generator") as timed:
                generator = build_feature_generator(args, fabric, timed)
        with timer("solver") as timed:
            solver, dreams = train_feature_solver(args, generator, fabric, timed)
        return TrainedNetworks(solver, generator, seconds, dreams)

    with timer("bank") as timed:
        mix = build_mixture(args, fabric, timed)

    generator = None
    if args.past == "dreams":
        with timer("generator") as timed:
            generator = train_generator(
                mix.for_generator(),
                # Without a new task nothing tells its conditions from those of others.
                previous=args.previous if args.new else None,
                conditions=args.known_conditions + len(args.new_classes),
                settings=args.settings,
                seed=args.position,
                fabric=fabric,
                session=timed,
            )

    with timer("solver") as timed:
        solver = train_solver(
            mix.for_solver(),
            previous=args.previous,
            outputs=[args.classes.index(name) for name in args.previous.classes] if args.previous else None,
            classes=len(args.classes),
            settings=args.settings,
            seed=args.position,
            fabric=fabric,
            session=timed,
        )
    return TrainedNetworks(solver, generator, seconds, mix.dreams)
