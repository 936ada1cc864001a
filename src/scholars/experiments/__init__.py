"""Experiments: recipes, streams, methods, runs, sweeps."""
