"""Single-trial betas of a subject's runs by best linear unbiased prediction, as a response's entry describes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from boldflow.core.responses import blup, blup_choices, glm, hrf
from boldflow.stages.responses._glm import SPARE, Estimated, Glm, shown_in
from boldflow.stages.responses._series import Series, named, why_masked

N_SAMPLED, SEED = 4000, 0  # columns from which all columns' choices are made, drawn anew alike each time
CHOSEN_BY = "restricted likelihood, without labels"
SEES_SOME = "volumes outside the windows of trials that do not train"
SEES_ALL = "all volumes of the subject"
UNITS = (
    "beta: response to a trial, about the mean response of its run and shrunk to it, in sample standard deviations of "
    "the run after drift, confounds and noise regressors"
)


@dataclass
class _Survey:
    """What a first look at all runs gives.

    By run, in their order: ``designs``, ``may_choose`` and ``samples`` (n_volumes, n_sampled), columns ``sampled``;
    ``bad`` (n_columns,) why a column is masked, or nothing.
    """

    designs: list[blup.Design]
    may_choose: list[bool]
    samples: list[np.ndarray]
    sampled: np.ndarray
    bad: np.ndarray


class Blup(Glm):
    """Predicts the betas of a subject from all of its runs.

    What vertices share and each vertex's posterior come from volumes outside the windows of trials that do not train
    where the entry names its split, else from all; betas of a run come from all of its volumes.
    """

    n_components = 0  # noise regressors of each run

    def estimate(self, series: Callable[[], Iterator[Series]], n_trials: int) -> Estimated:
        """Choose and predict; ``series`` is called three times. Otherwise as ``Glm.estimate``."""
        survey = self._survey(series())
        good = np.flatnonzero(survey.bad == "")  # columns
        pool, noise = self._shared(survey) if len(good) else (good, blup.noises()[0])
        posterior = self._posterior(series(), survey, noise, pool, good)
        estimated: Estimated | None = None
        number = 0
        for run in series():
            if estimated is None:
                betas = np.zeros((n_trials, run.values.shape[1]), dtype=np.float32, order="F")
                estimated = Estimated(betas, survey.bad, run.columns, self._chosen(posterior, good, survey.bad), {})
            usable_trials = run.trials[run.trials["usable"]]
            if len(usable_trials) and len(good):
                design = self._beside_components(survey.designs[number], run, pool).every_volume()
                values = run.values[:, good]
                spread = glm.spread(values, glm.basis(design.nuisance))
                is_usable = shown_in(run)["usable"].to_numpy(dtype=bool)
                predicted = blup.Model(design, noise).betas(values, posterior)[is_usable] / spread
                estimated.values[np.ix_(usable_trials.index.to_numpy(), good)] = predicted
                number += 1
        assert estimated is not None  # there is a run
        self.note["n_cut_trials"] = self.n_cut
        width = "subject" if self.cleaner.parts is None else "run"
        estimated.note.update({"units": UNITS, "transductive": width, "glm": self.note})
        return estimated

    def _survey(self, series: Iterator[Series]) -> _Survey:
        """Look at all runs with usable trials: designs, what may be seen, a sample of columns, columns to mask."""
        survey: _Survey | None = None
        durations: list[np.ndarray] = []
        labels: list[str] = []
        for run in series:
            if survey is None:
                n_columns = run.values.shape[1]
                sampled = np.random.default_rng(SEED).permutation(n_columns)[:N_SAMPLED]
                survey = _Survey([], [], [], sampled, np.full(n_columns, "", dtype=object))
            usable_trials = run.trials[run.trials["usable"]]
            if not len(usable_trials):
                continue
            try:
                trials, nuisance = self._regressors(shown_in(run), run), self._nuisance(run)
                self._check_inside(usable_trials, len(run.values), run.offset_s)
                spread = glm.spread(run.values, glm.basis(nuisance))  # (n_columns,)
            except ValueError as error:
                raise named(error, run.label(self.subject)) from None
            survey.bad[:] = np.where(survey.bad == "", why_masked(run.values, np.isnan(spread)), survey.bad)
            seen = self._seen(run)
            survey.designs.append(blup.Design(trials, nuisance, seen))
            survey.may_choose.append(bool(seen.sum() >= nuisance.shape[1] + SPARE))
            survey.samples.append(run.values[:, survey.sampled])
            durations.append(usable_trials["duration_s"].to_numpy(dtype=float))
            labels.append(f"{run.run.session}/{run.run.run}")
        assert survey is not None  # there is a run
        self._note_seen(survey, labels)
        peaks = [hrf.peak(kernel, float(np.median(np.concatenate(durations))), self.tr_s) for kernel in self.kernels]
        survey.designs = [
            blup.Design(
                [trials / peak for trials, peak in zip(design.trials, peaks, strict=True)], design.nuisance, design.seen
            )
            for design in survey.designs
        ]
        return survey

    def _note_seen(self, survey: _Survey, labels: list[str]) -> None:
        """Write into the sidecar what choices see, and refuse where they would see nothing."""
        if not any(survey.may_choose):
            raise ValueError(self._nothing_to_choose_from())
        in_choices = [design.seen for design, chooses in zip(survey.designs, survey.may_choose, strict=True) if chooses]
        self.note["choices"] = {
            "by": CHOSEN_BY,
            "sees": SEES_ALL if self.cleaner.parts is None else SEES_SOME,
            "volumes": int(sum(seen.sum() for seen in in_choices)),
            "of_volumes": sum(len(design.seen) for design in survey.designs),
            "runs_without": [label for label, chooses in zip(labels, survey.may_choose, strict=True) if not chooses],
        }

    def _shared(self, survey: _Survey) -> tuple[np.ndarray, blup.Noise]:
        """Choose what columns share: those without a response, the number of noise regressors, noise."""
        in_sample = survey.bad[survey.sampled] == ""
        chooses = [run for run, may_choose in enumerate(survey.may_choose) if may_choose]
        first_kernel = 0 if self._kernel_prior() is None else hrf.canonical_of_family()
        choice = blup_choices.choose(
            [survey.designs[run] for run in chooses],
            [survey.samples[run][:, in_sample] for run in chooses],
            first_kernel,
            self._kernel_prior(),
        )
        survey.samples.clear()
        self.n_components = choice.n_components
        pool = survey.sampled[in_sample][choice.pool]
        self.note["choices"] |= {
            "noise": choice.noise._asdict(),
            "noise_regressors": choice.n_components,
            "columns_without_response": len(pool),
            "of_columns": int(in_sample.sum()),
            "most_probable_hrf": choice.kernel,
        }
        return pool, choice.noise

    def _beside_components(self, design: blup.Design, run: Series, pool: np.ndarray) -> blup.Design:
        """Add the run's noise regressors; a run that takes no part in choices finds them in all of its volumes."""
        fits = design.seen.sum() >= design.nuisance.shape[1] + SPARE
        fitted = design if fits else design.every_volume()
        n_components = min(self.n_components, blup_choices.most_components([fitted]))
        return design.beside(blup_choices.components(fitted, run.values[:, pool], n_components))

    def _posterior(
        self,
        series: Iterator[Series],
        survey: _Survey,
        noise: blup.Noise,
        pool: np.ndarray,
        good: np.ndarray,
    ) -> np.ndarray:
        """Weigh combinations in each good column, (n_kernels, n_mean_ratios, n_variance_ratios, n_good) float32."""
        shape = (len(self.kernels), len(blup.MEAN_RATIOS), len(blup.VARIANCE_RATIOS), len(good))
        total_gains = np.zeros(shape, dtype=np.float32)
        number = 0
        for run in series:
            if not run.trials["usable"].any() or not len(good):
                continue
            if survey.may_choose[number]:
                design = self._beside_components(survey.designs[number], run, pool)
                total_gains += blup.gains(blup.Model(design, noise), run.values[:, good])
            number += 1
        return blup.posterior(total_gains, self._kernel_prior()) if len(good) else total_gains

    def _kernel_prior(self) -> np.ndarray | None:
        return hrf.prior_of_family() if self.note["hrf"] == "library" else None

    def _chosen(self, posterior: np.ndarray, good: np.ndarray, bad: np.ndarray) -> dict[str, np.ndarray]:
        """Give each column its most probable response and its mean variance ratio; 0 in columns that are masked."""
        kernel, ratio = np.zeros(len(bad), dtype=int), np.zeros(len(bad))
        if len(good):
            kernel[good] = posterior.sum(axis=(1, 2)).argmax(axis=0)
            ratio[good] = blup.VARIANCE_RATIOS @ posterior.sum(axis=(0, 1))
        chosen: dict[str, Any] = {"variance_ratio": ratio}
        return chosen | ({"hrf": kernel} if len(self.kernels) > 1 else {})
