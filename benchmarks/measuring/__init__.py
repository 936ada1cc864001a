"""What several benchmarks share: timing, counting, cost formulas, and the writing of pages."""
