"""Features: one file each, named by a catalogue entry under ``features:``.

``FACTS``
    ``reads`` ("images" or "labels"), ``kind`` ("embedding": scored by retrieval; "classes": one column per
    class, scored by accuracy), ``device`` ("cpu" or "cuda"), ``threads`` (compute threads, fixed so that results
    do not depend on the machine).
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.

``extract(images, settings) -> ndarray float32 (n_images, n_features)``
    ``images`` is uint8 (n_images, height, width, 3), one size; the stage groups pictures by size. For
    ``reads: labels`` it is instead the table of all stimuli (DataFrame: image_id and one column per label), and
    a row comes back for each.

Nothing may depend on other pictures in the batch: a row is the same however the pictures are grouped.
"""
