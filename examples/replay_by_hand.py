"""Deep generative replay written by hand: what `scholars.learn` does, with the smallest networks that show it.

python examples/replay_by_hand.py

scikit-learn's digits, two classes at a time. The generator is a Gaussian for each class, the solver one hidden layer.
Of the library only what makes batches and trains on them is used: `Pool`, `Mix`, `Batch`, `Descent` and `fit`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from scholars import Batch, Descent, Mix, Pool, Session, fit, open_task, to_float

BANK = 2000
digits = open_task("digits").resized(channels=1, size=8)
images, labels = digits.train.tensor, torch.from_numpy(digits.train.labels)
test_images, test_labels = digits.test.tensor, torch.from_numpy(digits.test.labels)


class Gaussians:
    """The generator: x ~ N(mean[y], deviation[y]^2), pixel by pixel, fitted in closed form."""

    def __init__(self, batch: Batch) -> None:
        groups = [batch.inputs[batch.labels == y].float() for y in torch.unique(batch.labels)]
        self.mean = torch.stack([group.mean(0) for group in groups])
        self.deviation = torch.stack([group.std(0) for group in groups])

    def sample(self, count: int) -> Tensor:
        """Draw uint8 images ``[count, 1, 8, 8]``, each class equally often."""
        y = torch.arange(count) % len(self.mean)
        return torch.normal(self.mean[y], self.deviation[y]).clamp(0, 255).round().to(torch.uint8)


def train(solver: nn.Module, source: Pool | Mix, seed: int) -> None:
    """Minimise the cross-entropy with the targets of ``source``: one-hot for real images, soft for dreams."""

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(module(to_float(batch.inputs)), batch.targets)

    fabric = Fabric(accelerator="cpu", devices=1)
    trainee = Descent(fabric, solver, loss, rate=0.01)
    fit(trainee, lambda: source.draw(64), fabric=fabric, steps=100, seed=seed, stage="solver", session=Session())


@torch.no_grad()
def probabilities(solver: nn.Module, images: Tensor) -> Tensor:
    """Return the class probabilities ``[B, 10]`` of uint8 images."""
    return F.softmax(solver(to_float(images)), dim=1)


def learn(replay: bool) -> list[float]:
    """Learn five tasks of two digits each, and return the accuracy on all digits so far after each of them."""
    torch.manual_seed(0)
    solver = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    generator, accuracies = None, []
    for task in range(5):
        new = labels // 2 == task
        source: Pool | Mix = Pool(images[new], labels[new], classes=10)  # real images; no earlier ones are read
        if replay and generator:
            dreams = generator.sample(BANK)
            bank = Pool(dreams, probabilities(solver, dreams), classes=10)
            r = 1 / (task + 1)  # the share of new images: as many of each new class as of each old one
            source = Mix([(r, source), (1 - r, bank)])  # Shin et al. 2017, eq. 1
        train(solver, source, seed=task)
        generator = Gaussians(source.draw(BANK))  # fitted to the same mix
        known = test_labels // 2 <= task
        predicted = probabilities(solver, test_images[known]).argmax(1)
        accuracies.append(float((predicted == test_labels[known]).float().mean()))
    return accuracies


for name, accuracies in {"naive": learn(replay=False), "replay": learn(replay=True)}.items():
    print(f"{name:7}", "  ".join(f"{accuracy:6.1%}" for accuracy in accuracies))
