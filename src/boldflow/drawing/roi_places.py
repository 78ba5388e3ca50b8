"""Which rows of a table a figure by region draws, and in which order its regions come."""

from collections.abc import Sequence

import pandas as pd


def with_roi_places(rows: pd.DataFrame, chosen_rois: Sequence[str], no_roi: str, no_rows: str) -> pd.DataFrame:
    """Keep rows of the regions that are drawn, and say of each the place of its region.

    Parameters
    ----------
    rows : DataFrame
        Column ``roi``; rows without one are left out.
    chosen_rois : sequence of str
        In their order; all regions, "all" first, where none is chosen.
    no_roi, no_rows : str
        How an error begins, where a chosen region is not there and where there are no rows.

    Returns
    -------
    DataFrame with ``_roi``, int from 0

    Raises
    ------
    ValueError
        If there is nothing to draw, or a chosen region is not there; names those there are.
    """
    roi_names = sorted(rows["roi"].dropna().unique(), key=lambda name: (name != "all", name))
    unknown_rois = [name for name in chosen_rois if name not in roi_names]
    if rows.empty or unknown_rois:
        reason = f"{no_roi} {unknown_rois}" if unknown_rois else no_rows
        raise ValueError(f"{reason}; ROIs there: {', '.join(roi_names) or 'none'}")
    place_of_roi = {name: n for n, name in enumerate(chosen_rois or roi_names)}
    drawn = rows[rows["roi"].isin(list(place_of_roi))]
    return drawn.assign(_roi=drawn["roi"].map(place_of_roi))
