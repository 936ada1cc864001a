"""Find out whether a task's images are as often negatives as not, as house numbers are: light on dark, or not."""

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from scholars.tasks.images import Images

# Images that are compared with their negatives, the parts in which they are resized, and the pixels a side then.
_COMPARED, _PARTS, _SIDE = 2000, 20, 8
# Share of images that a linear classifier tells from their negatives: 1/2 is chance. SVHN has 0.57, drawn street digits
# 0.52; photographs of Caltech-101 0.62 and of clothes 0.76; MNIST, USPS and Digits 1.
_TOLD_APART = 0.6
# Below this standard deviation, on the 0..255 scale, an image is as good as even.
_LEAST_CONTRAST = 1.0


def shows_negatives(images: Images) -> bool:
    """Return whether a linear classifier cannot tell the images from their negatives; False for very few images.

    Where it cannot, a negative could be an image of the task, and making negatives shows the solver nothing wrong.
    """
    return told_from_negatives(images) < _TOLD_APART


def told_from_negatives(images: Images) -> float:
    """Return the share of images that are told from their negatives, in [0, 1]; 1 for very few images."""
    rows = np.linspace(0, len(images) - 1, min(_COMPARED, len(images))).astype(np.int64)
    if len(np.unique(rows)) < 50:
        return 1.0
    # Some at a time: of large images even two thousand may be more than memory holds. Files are decoded one by one.
    parts = np.array_split(np.unique(rows), 1 if images.pixels is None else _PARTS)
    squares = np.concatenate([images[part].resized(1, _SIDE, "stretch").images for part in parts])
    signed = squares.reshape(len(squares), -1).astype(np.float64)
    # Brightness and contrast do not count: only which parts are brighter than others.
    signed -= signed.mean(1, keepdims=True)
    signed /= signed.std(1, keepdims=True) + _LEAST_CONTRAST
    inputs = np.concatenate([signed, -signed])
    labels = np.repeat([0, 1], len(signed))
    # An image and its negative in one fold: with one of them the other would be known.
    folds = [(np.flatnonzero(fold), np.flatnonzero(~fold)) for fold in _halves(len(signed))]
    answers = cross_val_predict(LogisticRegression(C=0.1, max_iter=200), inputs, labels, cv=folds)
    return float((answers == labels).mean())


def _halves(count: int) -> list[npt.NDArray[np.bool_]]:
    even = np.tile(np.arange(count) % 2 == 0, 2)
    return [even, ~even]
