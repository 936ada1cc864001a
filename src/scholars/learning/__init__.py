"""Learn the next task by generative replay; audit the dreams; keep and restore generations."""
