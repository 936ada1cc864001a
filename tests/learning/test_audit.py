"""The audit: what it measures, and that it raises the alarm when a generator is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from conftest import with_changes
from torch import Tensor

from scholars.errors import InputError
from scholars.evaluation.accuracy import Evaluation
from scholars.generators import Generator, Teacher
from scholars.generators.gan import GAN
from scholars.generators.r3gan import R3GAN
from scholars.generators.wgan_gp import WGANGP
from scholars.learning.algorithm import learn
from scholars.learning.audit import _evenly_spaced, audit
from scholars.learning.audit_warnings import audit_warnings
from scholars.scholar import Scholar
from scholars.settings import GANSettings, R3GANSettings, Settings, WGANGPSettings
from scholars.storage.audits import Audit
from scholars.tasks.task import Task
from scholars.training.loop import Trainee


class Recital(Generator):
    """Not a generator at all: it recites given images ``[N, C, H, W]`` in [-1, 1] in their order."""

    def __init__(self, images: Tensor, complaint: str | None = None) -> None:
        super().__init__()
        self.images, self.complaint, self.at = images, complaint, 0

    def sample(self, conditions: Tensor) -> Tensor:
        index = (torch.arange(len(conditions)) + self.at) % len(self.images)
        self.at += len(conditions)
        return self.images[index]

    def trainee(self, fabric: object, teacher: Teacher) -> Trainee:
        raise AssertionError("an audit trains no generator")

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        return self.complaint


@pytest.fixture(scope="module")
def good(low: Task, tiny: Settings) -> Scholar:
    """A scholar whose solver is right; it has no generator of its own yet."""
    solver = tiny.solver.model_copy(update={"steps": 200})
    looked = tiny.audit.model_copy(update={"dreams": 400, "steps": 5})
    return learn(low, settings=tiny.model_copy(update={"solver": solver, "audit": looked}), past=[])


@pytest.fixture(scope="module")
def perfect(good: Scholar, low: Task) -> Audit:
    """The audit of a scholar whose dreams are the real test images, with a probe that is trained to the end."""
    return audit(reciting(good, of(low, "test"), steps=200), [low])


def reciting(scholar: Scholar, images: Tensor, complaint: str | None = None, steps: int = 5) -> Scholar:
    """Return a scholar that dreams these images whatever it is asked for, and states that it is unconditional.

    steps: how long a probe of its dreams is trained
    """
    settings = with_changes(scholar.settings, generator__conditional=False, audit__steps=steps)
    return replace(scholar, generator=Recital(images.float() / 127.5 - 1, complaint), settings=settings)


def of(task: Task, part: str) -> Tensor:
    return torch.from_numpy(getattr(task.resized(1, 16), part).images)


def test_perfect_dreams_pass(perfect: Audit, low: Task) -> None:
    """The real test images as dreams: a probe of them is right on the test part, and nothing is warned of."""
    found = perfect
    assert found.tasks[0].accuracy > 0.9
    assert found.tasks[0].recall == 1.0
    assert found.precision == 1.0
    assert found.frechet_distance is not None
    assert found.frechet_distance < 1
    assert sum(entry.share for entry in found.classes) == pytest.approx(1)
    assert sum(found.tasks[0].shares.values()) == pytest.approx(1)
    # What the probe knows of the task is what it knows of its classes, each by its number of test images.
    shown = torch.bincount(torch.from_numpy(low.test.labels)).tolist()
    right = sum(count * (entry.accuracy or 0) for count, entry in zip(shown, found.classes, strict=True))
    assert right / len(low.test) == pytest.approx(found.tasks[0].accuracy)
    assert found.warnings == ()


def test_one_test_image_has_no_distance(good: Scholar, low: Task) -> None:
    found = audit(reciting(good, of(low, "test")), [replace(low, test=low.test[:1])])
    assert found.frechet_distance is None
    assert found.precision == 0


def test_an_audit_looks_at_each_class_of_each_task(two: Scholar, high: Task) -> None:
    few = two.settings.audit.model_copy(update={"dreams": 6})
    hasty = replace(two, settings=two.settings.model_copy(update={"audit": few}))
    found = audit(hasty, [high])
    assert found.dreams == 10
    assert all(entry.agreement is not None for entry in found.classes)
    assert [entry.accuracy is None for entry in found.classes] == [True] * 5 + [False] * 5  # only `high` was at hand


def test_of_sorted_data_every_class_is_looked_at() -> None:
    """300 images of 10 equal classes in order; of 200, and then of 130 of them, none is left out."""
    classes = torch.arange(300) // 30
    some = _evenly_spaced(classes, 200)
    assert torch.bincount(some).tolist() == [20] * 10
    assert torch.bincount(_evenly_spaced(some, 130)).tolist() == [13] * 10
    assert torch.equal(_evenly_spaced(classes, 300), classes)


def test_copies_are_found(good: Scholar, low: Task) -> None:
    found = audit(reciting(good, of(low, "train")), [low])
    assert found.tasks[0].copies == 1.0
    assert found.tasks[0].nearest_dream < found.tasks[0].nearest_real
    assert any("may be copies" in warning for warning in found.warnings)


def test_an_untrained_generator_is_found(good: Scholar, low: Task) -> None:
    """Whatever it is asked for, it draws one grey: a probe that saw nothing else is right by chance only."""
    grey = torch.full((400, 1, 16, 16), 128)
    found = audit(reciting(good, grey, steps=60), [low])
    assert found.tasks[0].accuracy < 0.3
    assert (found.tasks[0].recall or 0) < 0.05
    assert any("dreams teach nothing about digits" in w and "generator.steps" in w for w in found.warnings)


def test_a_collapse_and_dying_classes_are_found(good: Scholar, low: Task) -> None:
    found = audit(reciting(good, of(low, "test")[:1].repeat(50, 1, 1, 1)), [low])
    assert found.precision == 1.0, "all that is dreamt is real"
    assert (found.tasks[0].recall or 0) < 0.1, "and hardly anything real is dreamt of"
    assert any("has collapsed" in warning for warning in found.warnings)
    (dying,) = [warning for warning in found.warnings if warning.startswith("dying out")]
    assert dying.count("(0.0 %)") == 4
    assert "or let the generator be asked for each class (generator.conditional=true)" in dying
    assert [entry.confidence is None for entry in found.classes].count(True) == 4


def test_a_class_that_is_asked_for_and_not_drawn_is_named(good: Scholar, perfect: Audit, low: Task) -> None:
    """It is drawn often enough, but hardly ever when it is asked for: the next scholar learns it wrongly."""
    images, tasks = of(low, "test"), ()
    asked = replace(reciting(good, images), settings=good.settings)
    classes = tuple(entry.model_copy(update={"agreement": 0.9, "share": 0.2}) for entry in perfect.classes)
    assert not any("asked for a class" in w for w in audit_warnings(asked, classes, tasks, (), images, []))
    for share in (0.21, 0.0):
        lost = (classes[0].model_copy(update={"agreement": share}), *classes[1:])
        (warning,) = [w for w in audit_warnings(asked, lost, tasks, (), images, []) if "asked for a class" in w]
        assert f"'0' ({100 * share:.0f} %)" in warning
        assert "'1'" not in warning


def test_a_divergence_is_passed_on(good: Scholar, low: Task) -> None:
    assert audit(reciting(good, of(low, "test"), "the critic has won"), [low]).warnings[0] == "the critic has won"


def test_critics_complain() -> None:
    gp = WGANGP(WGANGPSettings(width=8), 1, 16, 2)
    assert gp.diagnose({"penalty": 0.1}) is None
    assert "generator.critic_rate" in (gp.diagnose({"penalty": 1.4}) or "")
    gan = GAN(GANSettings(width=8), 1, 16, 2)
    assert gan.diagnose({"critic_accuracy": 0.7}) is None
    assert "generator.critic_rate" in (gan.diagnose({"critic_accuracy": 0.995}) or "")
    r3gan = R3GAN(R3GANSettings(width=8), 1, 16, 2)
    assert r3gan.diagnose({"critic_accuracy": 0.7}) is None
    assert "generator." in (r3gan.diagnose({"critic_accuracy": 0.995}) or "")


def test_without_all_real_images_the_whole_is_not_measured(two: Scholar, high: Task) -> None:
    renamed = replace(two, lineage=(two.lineage[0].model_copy(update={"name": "low"}), two.lineage[1]))
    found = audit(renamed, [high])
    assert [entry.name for entry in found.tasks] == ["digits"]
    assert found.frechet_distance is None
    assert found.precision is None
    assert all(entry.agreement is not None for entry in found.classes)
    # Two tasks of one name, and the images of one of them: that is not all.
    assert audit(two, [high]).precision is None


TWO_OF_TEN = [[0] * 10 for _ in range(8)]


@pytest.mark.parametrize(
    ("confusion", "warned"),
    [
        # Nine of ten images show one class: right on 91 % it hardly knows the other, on 96 % it does.
        ([[90, 0], [9, 1]], True),
        ([[90, 0], [4, 6]], False),
        # Two classes of ten that are known: right on 74 % is far from chance; one answer for everything is not.
        ([[37, 3, 10, *[0] * 7], [3, 37, 10, *[0] * 7], *TWO_OF_TEN], False),
        ([[50, *[0] * 9], [50, *[0] * 9], *TWO_OF_TEN], True),
        ([[0, 0, 50, *[0] * 7], [0, 0, 50, *[0] * 7], *TWO_OF_TEN], True),
    ],
)
def test_only_dreams_that_teach_nothing_are_warned_of(
    good: Scholar, perfect: Audit, low: Task, confusion: list[list[int]], warned: bool
) -> None:
    images, seen = of(low, "test"), torch.tensor(confusion)
    evaluation = Evaluation(seen, images[:0], *[torch.empty(0)] * 3)
    shown = seen.sum(1) / seen.sum()
    shares = {str(place): float(share) for place, share in enumerate(shown) if share}
    task = perfect.tasks[0].model_copy(update={"accuracy": evaluation.accuracy, "shares": shares})
    warnings = audit_warnings(reciting(good, images), perfect.classes, [task], [evaluation], images, [images])
    assert any("teach nothing" in warning for warning in warnings) == warned


def test_an_audit_repeats_and_is_kept(one: Scholar, low: Task) -> None:
    found = audit(one, [low], seed=3)
    assert audit(one, [low], seed=3) == found
    assert one.with_audit(found).lineage[-1].audit == found
    assert one.lineage[-1].audit is None
    assert Audit.model_validate_json(found.model_dump_json()) == found


def test_what_cannot_be_audited_is_refused(good: Scholar, one: Scholar, low: Task) -> None:
    with pytest.raises(InputError, match="no generator"):
        audit(good, [low])
    with pytest.raises(InputError, match="learned digits"):
        audit(one, [replace(low, name="other")])
