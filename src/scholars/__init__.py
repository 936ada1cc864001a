"""Continual learning by deep generative replay.

>>> from scholars import learn, open_task
>>> one = learn(open_task("mnist"))  # doctest: +SKIP
>>> two = learn(open_task("svhn"), previous=one)  # mnist's data is not read  # doctest: +SKIP
"""

from scholars.config import Recipe, Settings, read_recipe
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.evaluate import accuracy
from scholars.fitting import Session
from scholars.learning import learn
from scholars.scholar import Scholar
from scholars.tasks import Images, Task, open_task

__all__ = [
    "Images",
    "InputError",
    "Interrupted",
    "Recipe",
    "Scholar",
    "ScholarsError",
    "Session",
    "Settings",
    "Task",
    "accuracy",
    "learn",
    "open_task",
    "read_recipe",
]
