"""Solvers: classifiers from images to class logits."""

from scholars.solvers.cnn import CNN, shifted

__all__ = ["CNN", "shifted"]
