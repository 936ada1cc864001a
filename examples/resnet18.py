"""A solver of one's own: torchvision's ResNet-18.

scholars --plugin examples/resnet18.py learn my-scholar digits --set solver.kind=resnet18

Later tasks, predictions and all else need the same ``--plugin``: that its solver is a ``resnet18`` is written in the
scholar's folder, the code is not. ``--set solver.options.stem=imagenet`` has torchvision's first layers, which make
images four times smaller and want 64 x 64 or more; the default keeps their size.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torchvision.models import resnet18

from scholars import ImageSettings, Solver, SolverSettings, register_solver, to_float


class ResNet18(Solver):
    """ResNet-18 (He et al. 2016, arXiv 1512.03385), for grey or RGB images."""

    def __init__(self, settings: SolverSettings, image: ImageSettings, classes: int) -> None:
        super().__init__()
        self.body = resnet18()
        if settings.options.get("stem", "small") == "imagenet":
            self.body.conv1 = nn.Conv2d(image.channels, 64, 7, stride=2, padding=3, bias=False)
        else:
            self.body.conv1 = nn.Conv2d(image.channels, 64, 3, padding=1, bias=False)
            self.body.maxpool = nn.Identity()
        self.head = nn.Linear(self.body.fc.in_features, classes)
        self.body.fc = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """Return the features ``[B, 512]`` of uint8 images ``[B, C, H, W]``."""
        return cast(Tensor, self.body(to_float(images)))

    def classify(self, features: Tensor) -> Tensor:
        """Return the class logits ``[B, K]`` of features ``[B, 512]``."""
        return cast(Tensor, self.head(features))


register_solver("resnet18", ResNet18)
