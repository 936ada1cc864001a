"""Sweeps: every combination of some settings (grid), each a trial, run side by side on Ray Tune (sweep, ray_tune)."""
