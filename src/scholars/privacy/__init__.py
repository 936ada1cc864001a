"""Differential privacy: an account of it, noise, and the statistics and memories of private photos."""
