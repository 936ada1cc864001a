"""How a scholar learns the next task."""
