"""Keys of a response's entry: which kinds have them, and which ways lead to its space."""

# Keys of a response that say how volumes are projected.
PROJECTING = ("sampling", "interpolation", "radius_mm", "mask_samples")
# How values come to a mesh of fsaverage from another surface: from the finer fsaverage, and from the subject's own.
WAYS_FROM_FSAVERAGE = ["subset", "average"]
WAYS_FROM_FSNATIVE = ["barycentric", "nearest", "average"]
OTHER_WAYS = {"resampling": "fsaverage"}  # a second space from which the key's way leads
# Keys of a response by the kinds that have them; those that are not here all kinds have.
_OF_RUNS = dict.fromkeys(("start_s", "duration_s", "confounds", "high_pass_hz", *PROJECTING), ("bold", "glm"))
_OF_GLM = dict.fromkeys(("method", "hrf", "hrf_table", "hrf_step_s", "ridge", "drift", "drift_order"), ("glm",))
KINDS_OF_KEY = _OF_RUNS | _OF_GLM | {"average": ("bold",), "censor_mm": ("bold",), "zscore": ("betas",)}
