"""Draw Gaussian noise on whole numbers, for differential privacy.

Statistics are whole numbers, and so is the noise: its low bits tell nothing of what it was added to, as those of
floating-point noise do (Mironov 2012). It is the discrete Gaussian of Canonne et al. 2020 (arXiv 2004.00010), drawn
exactly by the library OpenDP from the system's secure source, the one thing here that does not follow from a seed.
"""

import numpy as np
import numpy.typing as npt

from scholars.errors import import_extra
from scholars.privacy.account import EXTRA

Whole = npt.NDArray[np.int64]


def check_library(insecure: bool) -> None:
    """Raise InputError where OpenDP is not installed, unless it is not needed."""
    if not insecure:
        import_extra("opendp.prelude", EXTRA, "differential privacy")


def add_noise(values: Whole, deviation: float, insecure: np.random.Generator | None = None) -> Whole:
    """Return whole numbers ``[N]`` with independent Gaussian noise of a standard deviation.

    insecure: draws the noise, for tests; it is a rounded Gaussian then

    Raises InputError where OpenDP is not installed.
    """
    if insecure is not None:
        drawn = insecure.normal(scale=deviation, size=len(values))
        return values + np.rint(drawn).astype(np.int64)
    library = import_extra("opendp.prelude", EXTRA, "differential privacy")
    library.enable_features("contrib")
    space = library.vector_domain(library.atom_domain(T="i64")), library.l2_distance(T="f64")
    return np.array(library.m.make_gaussian(*space, scale=deviation)(values.tolist()), np.int64)
