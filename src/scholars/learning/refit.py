"""Learn the images, too, that were held out for the test, once the accuracy is known."""

from dataclasses import replace

from scholars.backbones import Backbone
from scholars.backbones.look import look_at, sort_by_digest
from scholars.errors import InputError
from scholars.learning.algorithm import learn
from scholars.learning.arguments import LearnArgs
from scholars.scholar import Scholar
from scholars.tasks.task import Task
from scholars.training.loop import Session


def check_refit(task: Task) -> None:
    """Raise InputError for a task of which Scholars held out nothing: a test part that was given is never learned."""
    if task.split != "held out":
        raise InputError(
            f"--refit learns from the test images that Scholars itself holds out, and of {task.name!r} it holds out "
            "none: leave --refit out"
        )


def learn_held_out(learned: Scholar, args: LearnArgs, backbone: Backbone | None, session: Session) -> Scholar:
    """Return a scholar that learned from all images of the task, as ``learned`` did from those that were not held out.

    Its accuracy and audit stay what they were without them.
    """
    task = args.task
    if not len(task.test):
        return learned
    held_out = task.test
    if backbone:
        held_out = look_at(held_out, backbone, args.settings.views, args.settings.image.fit, keep=False)
    whole = replace(task, train=sort_by_digest(task.train.followed_by(held_out)))
    # A folder of its own: what the first learning left is what it is resumed from.
    own = replace(session, folder=session.folder / "refit" if session.folder else None)
    again = learn(
        whole,
        args.previous,
        settings=args.settings,
        seed=args.seed,
        session=own,
        backbone=backbone,
        accept_unprotected=args.accept_unprotected,
    )
    first, last = learned.lineage[-1], again.lineage[-1]
    record = first.model_copy(
        update={
            "train_count": last.train_count,
            "train_counts": last.train_counts,
            "learned_at": last.learned_at,
            "trained": last.trained,
            "seconds": {stage: first.seconds.get(stage, 0.0) + spent for stage, spent in last.seconds.items()},
            "dreamt": first.dreamt + last.dreamt,
            "metrics": last.metrics,
            "refit": True,
        }
    )
    return replace(again, lineage=(*again.lineage[:-1], record))
