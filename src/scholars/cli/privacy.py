"""Read the options of private learning."""

from pydantic import ValidationError

from scholars.errors import InputError
from scholars.settings.base import first_problem
from scholars.settings.privacy import LARGEST_DELTA, LARGEST_EPSILON, Privacy


def read_privacy(
    epsilon: float | None, delta: float | None, group: int | None, disjoint: bool, insecure_seed: int | None
) -> Privacy | None:
    """Return the guarantee that a command asks for; None without ``--private``. Raises InputError."""
    given = {"delta": delta, "group": group, "disjoint": disjoint or None, "insecure_seed": insecure_seed}
    named = {key: value for key, value in given.items() if value is not None}
    if epsilon is None:
        if named:
            option = next(iter(named)).replace("_", "-")
            raise InputError(f"--{option} is of a private task: add --private EPSILON, or leave it out")
        return None
    if not 0 < epsilon <= LARGEST_EPSILON:
        what = "is no privacy" if epsilon > 0 else "would take noise without end"
        raise InputError(
            f"--private {epsilon:g}: epsilon {what}; it is above 0 and at most {LARGEST_EPSILON:g}, such as 1, 3 or 8"
        )
    if delta is not None and not 0 < delta <= LARGEST_DELTA:
        raise InputError(
            f"--delta {delta:g}: it is above 0 and at most {LARGEST_DELTA:g}, and should be far below 1 / photos"
        )
    try:
        return Privacy.model_validate({"epsilon": epsilon, **named})
    except ValidationError as error:
        raise InputError(f"--private: {first_problem(error)}") from None
