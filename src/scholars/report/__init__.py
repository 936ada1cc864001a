"""What a run leaves for people: tables at its end, pictures, and one page of HTML.

Everything here reads ``results.json``, as written or as the mapping it came from, and trains nothing.
"""

from scholars.report import plots
from scholars.report.illustrate import illustrate
from scholars.report.page import write_report
from scholars.report.tables import cost_table, summary_table

__all__ = ["cost_table", "illustrate", "plots", "summary_table", "write_report"]
