"""The audit of a scholar's dreams, as ``scholar.json`` holds it in the record of each task."""

from pydantic import Field

from scholars.settings.base import Section


class ClassAudit(Section):
    """The dreams of one class."""

    name: str = Field(description="name of the class")
    share: float = Field(description="share of all dreams that the solver predicts to be of this class, in [0, 1]")
    confidence: float | None = Field(
        description="mean probability that the solver gives the class on these dreams; None if there are none"
    )
    agreement: float | None = Field(
        description="of the dreams conditioned on this class, the share that the solver predicts to be of it; None if "
        "there are none"
    )
    accuracy: float | None = Field(
        None,
        description="accuracy on real test images of this class of a small solver trained on dreams only; None if "
        "there are no such images",
    )

    def is_dying(self, num_classes: int) -> bool:
        """Return whether its share is less than a tenth of an even one, 1 / ``num_classes``."""
        return self.share < 0.1 / num_classes


class TaskAudit(Section):
    """The dreams of one task, compared with its real images."""

    name: str = Field(description="name of the task")
    accuracy: float = Field(
        description="classification accuracy score: accuracy on the real test part of a small solver trained on dreams "
        "only"
    )
    recall: float = Field(description="share of real test images on the dreams' manifold, in features of the solver")
    shares: dict[str, float] = Field(description="share of each class in the real training part")
    copies: float = Field(
        description="share of dreams nearer to a training image than all but 0.1 % of the real test images are and, of "
        "features, than half of its own augmented views"
    )
    nearest_dream: float = Field(
        description="0.1 % quantile over dreams of the distance to the nearest training image: root mean square "
        "difference of pixels, in [0, 1], or of features"
    )
    nearest_real: float = Field(description="the same quantile over real test images")


class Audit(Section):
    """The audit of a scholar's dreams: how much the next generation can keep at best."""

    dreams: int = Field(description="number of dreams that were examined")
    classes: tuple[ClassAudit, ...] = Field(description="every class of the scholar")
    tasks: tuple[TaskAudit, ...] = Field(description="the tasks whose real images were available")
    frechet_distance: float | None = Field(
        description="Frechet distance between dreams and real test images, in features of the solver; None unless all "
        "tasks of the lineage were available, with two test images or more"
    )
    precision: float | None = Field(
        description="share of dreams on the real test images' manifold; None where the Frechet distance is"
    )
    warnings: tuple[str, ...] = Field(description="what is wrong, and what to do about it")
