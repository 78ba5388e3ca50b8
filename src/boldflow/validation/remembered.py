"""Settings that were found in order are not checked again the same day under the same sources."""

import datetime
from collections.abc import Callable
from typing import Any

from boldflow.provenance import canonical, digest
from boldflow.symbols import remembered


def problems_unless_in_order(subject: Any, check: Callable[[], list[str]]) -> list[str]:
    """List what is wrong with settings, unless they were in order today under the same sources.

    Parameters
    ----------
    subject : nested dict or list
        All that the check reads besides sources and the day.
    check : callable
        Lists the problems.
    """
    try:
        name = f"in order: {datetime.date.today()} {digest(canonical(subject))}"
    except (TypeError, ValueError):  # a day or an infinite number, which the check may refuse
        return check()
    if remembered.recall(name) is not None:
        return []
    problems = check()
    if not problems:
        remembered.keep(name, "")
    return problems
