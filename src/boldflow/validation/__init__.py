"""What is wrong with a catalogue or a study, one sentence each: what was found, where, and what would be right.

Standard library only, as ``registry``: the Snakefile asks at parse, before any job.
"""

from boldflow.validation.entries import config_problems
from boldflow.validation.plugins import plugin_problems
from boldflow.validation.remembered import problems_unless_in_order
from boldflow.validation.studies import study_problems

__all__ = ["config_problems", "plugin_problems", "problems_unless_in_order", "study_problems"]
