"""Many runs: every combination of some settings (grid), each a trial, side by side on Ray (tuning), told (summary)."""
