"""When the volumes of a subject's runs were taken: k times the TR, plus what slice timing says."""

import logging
from dataclasses import dataclass, field
from typing import Any

from boldflow.stages.responses._columns import Run

TOLERANCE_S = 1e-3  # headers store the repetition time in float32
STATED, ASSUMED, NOTHING = "StartTime", "slice_time_ref", "nothing stated: 0"
UNSTATED = "nothing stated: 0, though SliceTimingCorrected is true"


@dataclass
class VolumeTimes:
    """Times of the volumes of a subject.

    ``tr_s`` is the repetition time, seconds; ``origin_of_run`` has the offset of each run that was looked at, seconds,
    and what states it.
    """

    tr_s: float
    origin_of_run: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)

    def check_tr(self, run: Run, label: str) -> None:
        """Refuse a run of which two statements of the repetition time differ.

        Raises
        ------
        ValueError
            Shows every statement.
        """
        tr_of_source = {**run.tr_s, "facts": self.tr_s}
        if max(tr_of_source.values()) - min(tr_of_source.values()) > TOLERANCE_S:
            statements = ", ".join(f"{source}: {tr:g} s" for source, tr in tr_of_source.items())
            raise ValueError(f"{label}: repetition times disagree ({statements}); mend the wrong one")

    def offset_of(self, run: Run, label: str) -> float:
        """Give the time of volume k less k times the TR, seconds.

        Raises
        ------
        ValueError
            If the sidecar's StartTime lies outside of the TR, or the entry's ``slice_time_ref`` is another time.
        """
        offset_s, origin = _offset(run, self.tr_s, label)
        if origin == UNSTATED and all(known_origin != UNSTATED for _, known_origin in self.origin_of_run.values()):
            logging.getLogger(__name__).warning(
                "%s and perhaps others: the sidecar says SliceTimingCorrected, and no StartTime: volume k is taken to "
                "be at k times the TR; if slices were moved to the middle of the TR, set slice_time_ref: 0.5 in the "
                "data set's entry",
                label,
            )
        self.origin_of_run[run.session, run.run] = (offset_s, origin)
        return offset_s

    def note(self) -> dict[str, Any]:
        """Say for the sidecar which offset runs have, and by what."""
        runs_of_origin: dict[tuple[float, str], list[str]] = {}
        for (session, run), origin in sorted(self.origin_of_run.items()):
            runs_of_origin.setdefault(origin, []).append(f"{session}/{run}")
        return {
            "volume_times": [
                {"offset_s": offset_s, "by": origin, "runs": runs}
                for (offset_s, origin), runs in runs_of_origin.items()
            ]
        }


def _offset(run: Run, tr_s: float, label: str) -> tuple[float, str]:
    timing = run.slice_timing
    if timing.start_time_s is None:
        if timing.ref is not None:
            return timing.ref * tr_s, ASSUMED
        return 0.0, UNSTATED if timing.corrected else NOTHING
    if not -TOLERANCE_S <= timing.start_time_s <= tr_s + TOLERANCE_S:
        raise ValueError(
            f"{label}: the sidecar states StartTime {timing.start_time_s:g}, expected seconds from 0 to the repetition "
            f"time, {tr_s:g}: the time within the TR to which slices were moved"
        )
    if timing.ref is not None and abs(timing.ref * tr_s - timing.start_time_s) > TOLERANCE_S:
        raise ValueError(
            f"{label}: times of volumes disagree (sidecar: StartTime {timing.start_time_s:g} s; entry: slice_time_ref "
            f"{timing.ref:g} of {tr_s:g} s, {timing.ref * tr_s:g} s); leave out slice_time_ref, or mend the wrong one"
        )
    return timing.start_time_s, STATED
