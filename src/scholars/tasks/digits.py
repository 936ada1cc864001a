"""scikit-learn's Digits: 1,797 handwritten digits of 8x8 pixels, which come with the library."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from scholars.tasks.images import Images
from scholars.tasks.task import Task


def read_digits() -> Task:
    """Return the task ``digits``: grey 8x8 images, classes "0" to "9", 1,437 to train on and 360 to test on.

    The split is random but always the same, and holds out 20 % of each class. These images are the test part of the
    UCI set, in which each of 13 writers wrote many digits in a row, but scikit-learn does not say who wrote which:
    the split is by image, so that the same hand may appear on both sides.
    """
    data = load_digits()
    # The file counts the inked pixels of 4x4 blocks: 0..16.
    images = np.round(data.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    labels = data.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    everything = Images(images, labels)
    return Task("digits", tuple("0123456789"), everything[np.sort(train)], everything[np.sort(test)])
