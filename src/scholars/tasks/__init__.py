"""Tasks: labelled image data sets, and where they come from."""

from scholars.tasks.open import NAMES, open_task
from scholars.tasks.task import Images, Task

__all__ = ["NAMES", "Images", "Task", "open_task"]
