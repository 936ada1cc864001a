"""The names of data sets that are known. By themselves, so that the shell completes them without waiting for torch."""

from __future__ import annotations

NAMES = (
    "mnist",
    "svhn",
    "usps",
    "fashion-mnist",
    "kmnist",
    "emnist-letters",
    "cifar10",
    "digits",
    "street",
)
