"""Warn of dreams that teach too little, each warning with its cure."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from scholars.errors import shortlist
from scholars.evaluation.accuracy import Evaluation
from scholars.scholar import Scholar
from scholars.settings import MixtureSettings, OwnSettings
from scholars.storage.audits import ClassAudit, TaskAudit

# A conditional generator whose dreams of a class are seen as it less often than this mostly teaches something else.
MISTAKEN_THRESHOLD = 0.5
# Dreams that vary less than this share of what real images do are all one image.
COLLAPSED_THRESHOLD = 0.2
# Ten times the share of real test images that are as near to a training image, which is 0.001.
COPIES_THRESHOLD = 0.01


def audit_warnings(
    scholar: Scholar,
    classes: Sequence[ClassAudit],
    tasks: Sequence[TaskAudit],
    evaluations: Sequence[Evaluation],
    dreams: Tensor,
    real: Sequence[Tensor],
) -> Iterator[str]:
    """Yield what is wrong with the dreams.

    evaluations: of the probe, one a task
    dreams: ``[N, C, H, W]`` uint8; real: test images of each task, likewise
    """
    generator = scholar.settings.generator
    own, fitted = isinstance(generator, OwnSettings), isinstance(generator, MixtureSettings)
    rate = "its rate" if own else "generator.rate"
    longer = "train the generator for longer (--set generator.steps=...)"
    if fitted:
        longer = "keep more of each class (--set generator.rank=...), or learn more photos of it"
    if scholar.generator and (
        complaint := scholar.generator.diagnose(scholar.lineage[-1].metrics.get("generator", {}))
    ):
        yield complaint

    cures = [longer.capitalize()] if scholar.backbone else [longer.capitalize(), "set replay.balance=classes"]
    if not generator.conditional and not own:
        cures.append("let the generator be asked for each class (generator.conditional=true)")
    if dying := [entry for entry in classes if entry.is_dying(len(classes))]:
        shares = [f"{entry.name!r} ({100 * entry.share:.1f} %)" for entry in dying]
        yield (
            f"dying out: {shortlist(shares, ', ')} of the dreams are seen as that class, {100 / len(classes):.0f} % "
            f"would be its share. {', or '.join(cures)}"
        )
    agreements = [(each.name, each.agreement) for each in classes if each not in dying and each.agreement is not None]
    if mistaken := [(name, share) for name, share in agreements if share < MISTAKEN_THRESHOLD]:
        shares = [f"{name!r} ({100 * share:.0f} %)" for name, share in mistaken]
        yield (
            f"asked for a class, the generator often draws another: {shortlist(shares, ', ')} of its dreams are seen "
            f"as what was asked for. What is drawn so is forgotten with the next task. {cures[0]}"
        )

    variation = dreams.float().std(dim=0).mean()
    real_variation = [images.float().std(dim=0).mean() for images in real if len(images) > 1]
    if real_variation and variation < COLLAPSED_THRESHOLD * torch.stack(real_variation).min():
        yield (
            f"the generator has collapsed: its dreams vary by {float(variation):.2g}, a fifth of what real images do "
            f"or less. Lower {rate}, or start from new weights (--set generator.start=fresh)"
        )

    for task, evaluation in zip(tasks, evaluations, strict=True):
        chance = _chance(evaluation)
        # Half as good again as chance; where that is above 2/3, half of what it leaves.
        if len(task.shares) > 1 and task.accuracy < min(1.5 * chance, (1 + chance) / 2):
            yield (
                f"dreams teach nothing about {task.name}: a solver trained on them alone is right on "
                f"{100 * task.accuracy:.1f} % of its test part, near chance ({100 * chance:.1f} %). The generator was "
                f"not trained, or far too little: {longer}"
            )
        if task.copies > COPIES_THRESHOLD:
            yield (
                f"{100 * task.copies:.1f} % of the dreams are nearer to a training image of {task.name} than real test "
                "images are: they may be copies of it. Use more training images or "
                + ("fewer directions (generator.rank)" if fitted else "fewer generator steps")
            )


def _chance(evaluation: Evaluation) -> float:
    """Return the accuracy of answers as frequent as these that do not depend on the image; 1 / K at least.

    sum_k P(shown = k) P(answered = k): the agreement by chance of Cohen 1960. Where a task has two of ten known
    classes, an uninformed probe is not right on half of it.
    """
    shown, answered = (evaluation.confusion.sum(dim).double() / evaluation.confusion.sum() for dim in (1, 0))
    return max(float((shown * answered).sum()), 1 / len(shown))
