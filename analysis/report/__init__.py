"""A report: every measure of some checkpoints on the same videos, as one page with the executed notebooks beside it.

Measures run once for each checkpoint and are saved beside the page (figure, arrays, scores); the page is drawn from
what was saved, so that it is the same whether a notebook ran a measure or the report itself.
"""

from analysis.report.making import MadeReport, make_report
from analysis.report.parameters import notebook_parameters, notebook_path
from analysis.report.plan import Report

__all__ = ["MadeReport", "Report", "make_report", "notebook_parameters", "notebook_path"]
