"""One training loop, its batches and its checkpoints."""
