"""Models: one file each, named by a catalogue entry under ``models:``; the entry's ``direction`` is a key of it.

``FACTS``
    ``device`` ("cpu" or "cuda"), ``threads`` (compute threads, fixed), ``closed_form`` (bool: the fit has no
    random part, so one seed is enough); ``keeps`` may say what the size of a trained model goes with: "weights" (inputs
    times targets), "data" (the training trials) or "means" (targets alone), so that estimates are closer.
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.
``DEFAULTS``, optional
    ``{key: value}``: defaults of its own for keys that it shares with other plug-ins.

``fit(subjects, settings, seeds, device, keeper) -> Fitted``
    ``subjects`` is a list of ``core.records.TrainingData`` (one, unless subjects are pooled) that holds training
    and validation trials only (fields: inputs, targets, groups, is_val, bands); ``Fitted(states, history)`` is from
    ``core.records`` too. One state (dict of arrays) per seed comes back, with a history table of rows.
    ``keeper`` is None or a ``core.networks.progress.ProgressKeeper``: an iterative model loads its progress from it
    and tells it each boundary of a step, where the fit may be stopped; it must give the same states, stopped or not.
    Inputs of responses that keep time (``average: false``) are (n_trials, n_trs, n_vertices): a model that knows no
    time puts TRs side by side (``core.records.flat``). Where several subjects are pooled, ``groups`` number the same
    pictures in all of them.
``predict(state, inputs) -> ndarray float32 (n_trials, n_outputs)``
``refit(inputs, groups, test_inputs, settings, seed)``, optional
    A function from targets to the predictions of ``test_inputs`` after a fit to them: what ``fit`` and ``predict``
    would give, made quick for the many refits of a permutation test.
``parts(state, inputs) -> ndarray float32 (n_bands, n_trials, n_outputs)``, optional
    What each band of the inputs (``TrainingData.bands``) adds to a prediction: their sum differs from ``predict`` by
    the same constant for all trials.
``without(state, inputs) -> ndarray float32 (n_bands, n_trials, n_outputs) or None``, beside ``parts``
    Predictions of a fit without each band in turn, where the state holds such fits.

``of_subject(state, number) -> state``, where a model pools subjects
    The state with which ``predict`` decodes one of the subjects, by its place in the list that was fitted.

``latents(state, inputs) -> ndarray float32 (n_trials, n_latents)``, of a model of direction represent
    The code from which ``predict`` reconstructs its inputs.

A model with ``training: True`` in its facts has the keys of the schema's ``training`` beside its own, and goes through
``core.fitting.fit_network``: networks, losses, the loop, progress and precision are there. ``linear_start: True``
adds the key ``start``.

For ``decode`` the inputs are responses and the targets features; for ``encode`` the other way round; for ``represent``
(feature none) both are responses, and ``represents: True`` of the facts allows nothing else (``autoencoder: True``
beside ``training`` for one that is trained in steps). A model of the first two does not need to know which.
"""
