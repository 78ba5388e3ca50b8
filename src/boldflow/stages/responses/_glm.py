"""Single-trial betas of a subject's runs by the linear model that a response's entry describes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.formats import hrf_tables
from boldflow.core.responses import cleaning, confounds, glm, hrf
from boldflow.provenance import digest
from boldflow.stages.responses._cleaning import Cleaner, table_of
from boldflow.stages.responses._columns import Columns
from boldflow.stages.responses._series import Series, named, why_masked

HIGH_PASS_HZ, DRIFT_ORDER, STEP_S = 0.01, 1, 0.1  # where an entry names none; the first two are nilearn's
LEAST_SHARE, CUT_SHARE = 0.05, 0.9  # of a response that lies in its run: less is refused, and less is counted
SPARE = 10  # volumes beyond drift and confounds that a run needs to have a part in choices
CHOSEN_BY = "squared error of volumes left out, of those outside the windows of trials that do not train"
UNITS = "beta: response to a trial, in sample standard deviations of its run after drift and confounds"


@dataclass(frozen=True)
class Estimated:
    """Betas in the order of the trial table, 0 where a trial is not usable.

    ``values`` (n_trials, n_columns) float32; ``bad`` (n_columns,) why a column is masked, or nothing; ``chosen`` has an
    array (n_columns,) per thing that each column chose; ``note`` is for the sidecar.
    """

    values: np.ndarray
    bad: np.ndarray
    columns: Columns
    chosen: dict[str, np.ndarray]
    note: dict[str, Any]


@dataclass(frozen=True)
class _Design:
    """Of a run: ``trials`` (n_volumes, n_usable) per haemodynamic response, ``nuisance`` (n_volumes, n_regressors)."""

    trials: list[np.ndarray]
    nuisance: np.ndarray


class Glm:
    """Fits the runs of a subject, each by itself.

    Parameters
    ----------
    cleaner : Cleaner
        Holds the entry, the repetition time, the window of a trial and the parts of the split.
    subject : str
        For messages.
    table : str or None
        Path of the table of haemodynamic responses, where the entry asks for one.
    """

    def __init__(self, cleaner: Cleaner, subject: str, table: str | None) -> None:
        self.cleaner, self.entry, self.tr_s, self.subject = cleaner, cleaner.entry, cleaner.tr_s, subject
        kind_left_out = "library" if self.entry["method"] == "blup" else "canonical"
        hrf_kind, step_s = self.entry.get("hrf", kind_left_out), self.entry.get("hrf_step_s", STEP_S)
        self.note: dict[str, Any] = {"method": self.entry["method"], "hrf": hrf_kind}
        if hrf_kind == "table":
            assert table is not None  # the catalogue's check asks for it
            hrf_table = hrf_tables.read(table)
            self.kernels = hrf.from_table(hrf_table, step_s, self.tr_s)
            self.note["hrf_table"] = {"sha256": digest(hrf_table.tobytes()), "step_s": step_s}
        else:
            self.kernels = hrf.family(self.tr_s) if hrf_kind == "library" else hrf.canonical(self.tr_s)
        self.note["n_hrfs"] = len(self.kernels)
        self.penalties = [float(penalty) for penalty in self.entry.get("ridge", [0.0])]
        drift = self.entry.get("drift", "cosine")
        self.note["drift"] = drift
        if drift == "cosine":
            self.note["high_pass_hz"] = self.entry.get("high_pass_hz", HIGH_PASS_HZ)
        if drift == "polynomial":
            self.note["drift_order"] = self.entry.get("drift_order", DRIFT_ORDER)
        self.n_cut = 0

    def estimate(self, series: Callable[[], Iterator[Series]], n_trials: int) -> Estimated:
        """Choose, where there is a choice, and give the betas of all runs.

        Parameters
        ----------
        series : callable
            Gives the runs of the subject; called twice where there is a choice.
        n_trials : int
            Rows of the trial table.

        Raises
        ------
        ValueError
            If a trial's response lies outside its run or cannot be told from the others, if drift and confounds leave
            nothing of a run, or if no volume is left to choose from.
        """
        pairs = [(h, p) for h in range(len(self.kernels)) for p in range(len(self.penalties))]
        column_pairs, choices = self._choose(series()) if len(pairs) > 1 else (None, {})
        estimated: Estimated | None = None
        for run in series():
            if estimated is None:
                n_columns = run.values.shape[1]
                betas = np.zeros((n_trials, n_columns), dtype=np.float32, order="F")
                estimated = Estimated(betas, np.full(n_columns, "", dtype=object), run.columns, choices, {})
            usable_trials = run.trials[run.trials["usable"]]
            if len(usable_trials):
                estimated.values[usable_trials.index.to_numpy()], reasons = self._run(
                    run, usable_trials, pairs, column_pairs
                )
                estimated.bad[:] = np.where(estimated.bad == "", reasons, estimated.bad)
        assert estimated is not None  # there is a run
        self.note["n_cut_trials"] = self.n_cut
        estimated.note.update({"units": UNITS, "transductive": "run", "glm": self.note})
        return estimated

    def _run(
        self, run: Series, usable_trials: pd.DataFrame, pairs: list[tuple[int, int]], column_pairs: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        try:
            design = self._design(run, usable_trials)
            self._check_inside(usable_trials, len(run.values), run.offset_s)
            nuisance = glm.basis(design.nuisance)  # (n_volumes, rank), orthonormal
            distinct_pairs, pair_index = (
                ([0], None) if column_pairs is None else np.unique(column_pairs, return_inverse=True)
            )
            weights = [  # (n_volumes, n_trials) of each set
                self._weights(design.trials[kernel], nuisance, self.penalties[penalty])
                for kernel, penalty in (pairs[pair] for pair in distinct_pairs)
            ]
        except ValueError as error:
            raise named(error, run.label(self.subject)) from None
        spread = glm.spread(run.values, nuisance)  # (n_columns,)
        with np.errstate(invalid="ignore", over="ignore"):
            betas = (glm.betas(weights, run.values, pair_index) / spread).astype(np.float32)  # (n_usable, n_columns)
        return betas, why_masked(run.values, np.isnan(spread))

    def _weights(self, trials: np.ndarray, nuisance: np.ndarray, penalty: float) -> np.ndarray:
        if self.entry["method"] == "lss":
            return glm.lss_weights(trials, nuisance)
        return glm.ridge_weights(trials, nuisance, penalty)

    def _design(self, run: Series, usable_trials: pd.DataFrame) -> _Design:
        n_volumes, nuisance_parts = len(run.values), [self._nuisance(run)]
        unusable_trials = shown_in(run).loc[lambda rows: ~rows["usable"]]
        if len(unusable_trials):  # they were shown too: one regressor for all of them
            unusable_regressors = hrf.regressors(
                *_times(unusable_trials), n_volumes, self.tr_s, hrf.canonical(self.tr_s)[0], run.offset_s
            )
            nuisance_parts.append(unusable_regressors.sum(axis=1, keepdims=True))
        return _Design(self._regressors(usable_trials, run), np.hstack(nuisance_parts))

    def _regressors(self, trials: pd.DataFrame, run: Series) -> list[np.ndarray]:
        """Give the regressors of trials by each response, (n_volumes, n_trials)."""
        timing = (len(run.values), self.tr_s)
        return [hrf.regressors(*_times(trials), *timing, kernel, run.offset_s) for kernel in self.kernels]

    def _nuisance(self, run: Series) -> np.ndarray:
        """Give constant, drift and confounds of a run, (n_volumes, n_regressors)."""
        n_volumes = len(run.values)
        nuisance_parts = [
            glm.nuisance(
                n_volumes,
                self.tr_s,
                self.note["drift"],
                self.note.get("high_pass_hz", 0.0),
                self.note.get("drift_order", 0),
            )
        ]
        if self.entry.get("confounds"):
            nuisance_parts.append(confounds.regressors(table_of(run.run, n_volumes), self.entry["confounds"]))
        return np.hstack(nuisance_parts)

    def _check_inside(self, usable_trials: pd.DataFrame, n_run_volumes: int, offset_s: float) -> None:
        """Refuse trials of whose canonical response next to nothing lies in the run, and count those that are cut."""
        onsets, durations = _times(usable_trials)
        n_long_volumes = max(
            n_run_volumes, int(np.ceil((float((onsets + durations).max()) + hrf.LENGTH_S) / self.tr_s)) + 1
        )
        kernel = hrf.canonical(self.tr_s)[0]
        run_regressors, long_regressors = (
            hrf.regressors(onsets, durations, n_volumes, self.tr_s, kernel, offset_s)
            for n_volumes in (n_run_volumes, n_long_volumes)
        )
        shares = glm.shares(run_regressors, long_regressors)  # (n_usable,)
        outside_trials = np.flatnonzero(shares < LEAST_SHARE)
        if len(outside_trials):
            first_trial = usable_trials.iloc[outside_trials[0]]
            raise cleaning.OutsideRunError(
                f"{len(outside_trials)} trials have next to no response in the run, the first is trial "
                f"{first_trial['trial']} at {first_trial['onset_s']:g} s of {n_run_volumes * self.tr_s:g} s "
                f"({shares[outside_trials[0]]:.1%} of its squares, at least {LEAST_SHARE:.0%} are needed): was the "
                "run cut short?"
            )
        self.n_cut += int((shares < CUT_SHARE).sum())

    def _choose(self, series: Iterator[Series]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Choose response and penalty of each column by the errors of volumes that are left out."""
        chooses_penalty = self.entry["method"] == "lsa" and "ridge" in self.entry
        penalties = self.penalties if chooses_penalty else list(glm.PENALTIES)
        total_errors = self._errors(series, penalties)  # (n_kernels, n_penalties, n_columns)
        best_pairs = total_errors.reshape(-1, total_errors.shape[2]).argmin(
            axis=0
        )  # (n_columns,), of pairs of kernel and penalty
        kernel, penalty = np.divmod(best_pairs, len(penalties))  # (n_columns,) each
        penalty = penalty if chooses_penalty else np.zeros_like(penalty)
        choices: dict[str, np.ndarray] = {"hrf": kernel}
        choices |= {"ridge_penalty": np.asarray(self.penalties)[penalty]} if len(self.penalties) > 1 else {}
        self.note["choices"] |= {
            "columns_by_hrf": np.bincount(kernel, minlength=len(self.kernels)).tolist(),
            "columns_by_penalty": np.bincount(penalty, minlength=len(self.penalties)).tolist(),
        }
        return kernel * len(self.penalties) + penalty, choices

    def _errors(self, series: Iterator[Series], penalties: list[float]) -> np.ndarray:
        """Add up the errors of volumes that are left out, (n_kernels, n_penalties, n_columns), over runs."""
        total_errors: np.ndarray | None = None
        n_choice_volumes, n_volumes, unused_runs = 0, 0, []
        for run in series:
            usable_trials = run.trials[run.trials["usable"]]
            may_choose = self._seen(run)
            n_volumes += len(may_choose)
            if not len(usable_trials):
                continue
            try:
                design = self._design(run, usable_trials)
            except ValueError as error:
                raise ValueError(f"{run.label(self.subject)}: {error}") from None
            if may_choose.sum() < design.nuisance.shape[1] + SPARE:
                unused_runs.append(f"{run.run.session}/{run.run.run}")
                continue
            n_choice_volumes += int(may_choose.sum())
            errors = glm.left_out_errors(
                [regressors[may_choose] for regressors in design.trials],
                design.nuisance[may_choose],
                run.values[may_choose],
                penalties,
                [glm.unit(regressors) for regressors in design.trials],
            )
            total_errors = np.nan_to_num(errors) + (0 if total_errors is None else total_errors)
        if total_errors is None:
            raise ValueError(self._nothing_to_choose_from())
        self.note["choices"] = {
            "by": CHOSEN_BY,
            "volumes": n_choice_volumes,
            "of_volumes": n_volumes,
            "runs_without": unused_runs,
        }
        return total_errors

    def _nothing_to_choose_from(self) -> str:
        """Say that choices would see too little, and what to do."""
        if self.cleaner.parts is None:
            return f"{self.subject}: no run has {SPARE} volumes beyond drift and confounds; take fewer of these"
        return (
            f"{self.subject}: no run has {SPARE} volumes, beyond drift and confounds, outside the windows of "
            f"trials that do not train (split {self.entry.get('split')!r}); take a shorter window (start_s, "
            "duration_s), or an entry that chooses nothing"
        )

    def _seen(self, run: Series) -> np.ndarray:
        """Mark the volumes that choices may see: in no window of a trial that neither trains nor validates."""
        n_volumes, parts = len(run.values), self.cleaner.parts
        if parts is None:  # of least squares the catalogue's check asks for a split where there is a choice
            return np.ones(n_volumes, dtype=bool)
        run_parts = parts[(parts["session"] == run.run.session) & (parts["run"] == run.run.run)]
        is_training = run_parts["part"].isin(("train", "val"))
        if not is_training.any():
            return np.zeros(n_volumes, dtype=bool)
        window = (self.cleaner.start_s, self.cleaner.n_volumes, self.tr_s)
        return ~cleaning.covered(run_parts.loc[~is_training, "onset_s"].to_numpy(), *window, n_volumes, run.offset_s)


def shown_in(run: Series) -> pd.DataFrame:
    """Trials of a run but those unusable ones that lie before its scan: these left no trace in it."""
    return run.trials[run.trials["usable"] | (run.trials["onset_s"] >= hrf.MIN_ONSET_S + run.offset_s)]


def _times(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and durations of trials, seconds, (n_trials,) each; a linear model needs both."""
    unstated = rows[rows["duration_s"].isna()]
    if len(unstated):
        first_trial = unstated.iloc[0]
        raise ValueError(
            f"{len(unstated)} trials have no duration (n/a), the first is trial {first_trial['trial']} at "
            f"{first_trial['onset_s']:g} s, and a linear model needs one: write durations into the events, or take "
            "windows (kind bold)"
        )
    return rows["onset_s"].to_numpy(dtype=float), rows["duration_s"].to_numpy(dtype=float)
