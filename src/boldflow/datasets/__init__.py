"""Data sets: one file each, named by a catalogue entry under ``datasets:``.

A plug-in is a module with two literals, read without importing it, and these functions. ``settings`` is the
catalogue entry with the defaults of ``SETTINGS`` filled in. ``root`` is the folder in which the data arrived
(a DataLad clone, or the folder named by a ``Source`` of kind ``folder``).

``FACTS``
    ``subjects`` (list), ``tr_s`` (seconds), ``spaces`` (list of spaces its BOLD comes in), ``images`` (bool: are
    there pictures), ``split_unit`` ("image", or "run" where there are no pictures), ``simulated`` (bool),
    ``version``, ``source`` (dict: accession, commit), ``licence``, ``citation``, ``agreement`` (None or the
    address of a form).
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.

``source(settings, workspace) -> Source``
    Where the data come from. ``workspace`` is a folder in which the plug-in may make or download them.
``files_needed(root, what, settings) -> list[str]``
    Paths below ``root`` whose content must be there; ``what`` is ``"dataset"``, ``"stimuli"`` or a subject.
``trials(root, subject, settings) -> DataFrame``
    Columns session, run (labels, str), trial (int, from 1 within the run), onset_s, duration_s (float), image_id
    (str: the events' own name), usable (bool); one row per trial in the order of acquisition.
``stimuli(root, settings) -> Iterator[Stimulus]``
    Each picture once; ``pixels`` is None where the data set has no pictures (image_id is then the block's id).
``runs(root, subject, settings) -> Iterator[BoldRun]``
    The BOLD of each run, in the order of acquisition, one in memory at a time.
``rois(root, subject, space, settings) -> dict[str, ndarray of bool (n_vertices,)]``
    Named regions on the whole mesh or mask of ``space``; empty where there are none.

A data set never imports torch, nor another plug-in.
"""
