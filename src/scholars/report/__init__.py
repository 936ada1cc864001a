"""Report on runs and scholars: tables on the terminal, pictures, and pages of HTML.

Everything here reads a run's or a scholar's folder, and trains nothing.
"""

from scholars.report.figures import draw_figures
from scholars.report.run_page import write_report
from scholars.report.tables import cost_table, summary_table

__all__ = ["cost_table", "draw_figures", "summary_table", "write_report"]
