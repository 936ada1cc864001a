"""The page about photographs says what the code does: its numbers, and what a memory of few photos reveals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from photographs import arrays, own_features, photo_folder, quick
from torch import Tensor

from scholars.backbones import embedded, feature_cache, look, open_backbone, views
from scholars.generators import Mixture, memories, mixture
from scholars.generators.memories import Memory, fit_memory
from scholars.learning import features, heads, looking
from scholars.learning.algorithm import learn
from scholars.learning.lifelong import teach
from scholars.settings import EMBEDDED, BackboneSettings, HeadSettings, MixtureSettings, OODSettings, Settings
from scholars.tasks.open import open_task

PAGE = (Path(__file__).parents[1] / "docs" / "photographs.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def digests(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def memory_of(photos: int) -> Memory:
    """Return the memory of so many photos of random features, with default settings."""
    seen, chosen = torch.Generator().manual_seed(0), MixtureSettings()
    count = 1 + Settings(backbone=BackboneSettings()).views
    vectors = torch.randn(photos, count, embedded.FEATURES, generator=seen).half()
    return fit_memory(vectors, digests(photos), chosen.components, chosen.rank)


def test_its_numbers_are_those_of_the_code() -> None:
    chosen, low, high = MixtureSettings(), *(round(100 * share) for share in views._AREA)
    noticed = 2 * OODSettings().dreams // 3
    for words in (
        f"training images is {looking.PHOTOGRAPH_SIDE} pixels or more",
        f"`{EMBEDDED}` is taken",
        f"{embedded.FEATURES:,} numbers",
        f"The embedded one looks at {embedded.SIZE}",
        f"besides the plain one ({Settings(backbone=BackboneSettings()).views})",
        f"a crop of {low} to {high} % of its area",
        f"`generator.rank` ({chosen.rank})",
        f"or {memories.LEAST_DIRECTIONS} if their views have so many",
        f"From {chosen.rank} photos on a memory does not grow",
        f"`generator.components` ({chosen.components})",
        f"a memory of less than {4 * memories.PHOTOS_PER_COMPONENT} photos has one",
        f"from {heads._LEAST_STEPS} to {heads._MOST_STEPS}",
        f"steps times {HeadSettings().batch} of them; {features.CLOSED_FORM_DREAMS:,} for",
        f"\\frac{{{mixture.PRIOR_PHOTOS:.0f}}}{{n + {mixture.PRIOR_PHOTOS:.0f}}}",
        f"{memories._EM_STEPS if memories._EM_STEPS != 5 else 'five'} steps of EM",
        f"{noticed:,} dreams to compare with",
        f"Beyond {feature_cache._MAX_BYTES >> 30} GiB",
    ):
        assert words in WORDS, words
    assert HeadSettings().hidden > 0
    assert 0 < HeadSettings().noise < 1


def test_a_memory_takes_no_more_than_it_says() -> None:
    (most,) = re.findall(r"(\d+) KB each at most", WORDS)
    chosen, depth = MixtureSettings(), embedded.FEATURES
    # Directions of 8 bits; mean, deviations, centres and spread in half precision; weights, and the number of photos.
    numbers = 2 * depth + (chosen.components + 1) * chosen.rank
    largest = chosen.rank * depth + 2 * numbers + 4 * chosen.components + 8
    assert largest / 1000 == pytest.approx(float(most), abs=0.5)
    assert memory_of(400).nbytes <= largest
    (few,) = re.findall(r"up to (\d+) photos a memory keeps them all", WORDS)
    ranks = [len(memory_of(photos).directions) for photos in (int(few), int(few) + 1)]
    assert ranks == [4 * int(few) - 1, memories.LEAST_DIRECTIONS]


def test_a_memory_of_one_photo_reveals_its_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_features(monkeypatch, tmp_path / "cache")
    backbone = open_backbone(BackboneSettings(size=64))
    for count in (0, 2):
        task = look(arrays(("disc",), 1), backbone, count, "crop")
        scholar = learn(task, settings=quick(backbone__views=count), backbone=backbone)
        assert isinstance(scholar.generator, Mixture)
        (memory,) = scholar.generator.memories
        assert torch.allclose(memory.mean.float(), task.train.feature_tensor[0].float().mean(0), atol=2e-3)


@pytest.mark.parametrize("keep", [False, True])
def test_the_cache_and_the_hard_link(keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are removed when `learn` ends, unless they are to be kept; a new generation has the same backbone."""
    own_features(monkeypatch, tmp_path / "cache")
    folder, changes = tmp_path / "animals", {"backbone.size": 64, "backbone.views": 1, "solver.steps": 3}
    for name, things in (("may", ("disc", "box")), ("june", ("ring",))):
        task = open_task(photo_folder(tmp_path / name, things, 3), decode=False)
        before = (folder / "backbone.safetensors").stat().st_ino if folder.exists() else None
        teach(folder, task, changes={} if before else changes, keep_cache=keep)
        assert before in (None, (folder / "backbone.safetensors").stat().st_ino)
    kept = [path for path in (tmp_path / "cache" / "features").iterdir() if path.name != "locks"]
    # The train and the test part of each task.
    assert len(kept) == (4 if keep else 0)
