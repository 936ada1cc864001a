"""A scholar: a generator and a solver that know the same tasks, in memory and in its folder."""

from scholars.scholar.scholar import Scholar

__all__ = ["Scholar"]
