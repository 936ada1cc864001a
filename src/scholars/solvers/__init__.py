"""Solvers: the classifiers of a scholar."""

from scholars.solvers.cnn import CNN

__all__ = ["CNN"]
