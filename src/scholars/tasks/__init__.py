"""Tasks: labelled image data sets, and where they come from."""

from scholars.source_names import NAMES
from scholars.tasks.open import open_task
from scholars.tasks.task import Images, Task

__all__ = ["NAMES", "Images", "Task", "open_task"]
