"""Many runs: every combination of some settings (grid), run side by side (trials, on Ray by tuning), told (summary)."""
