"""Accuracy on real test parts, and the metrics of continual learning."""
