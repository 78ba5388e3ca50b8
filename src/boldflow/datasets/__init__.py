"""Data sets: a file or a package each, named by a catalogue entry under ``datasets:``.

A plug-in is a module with two literals, read without importing it, and these functions; of a package all of them
stand in its ``__init__.py``, or the functions are imported there from its own modules. ``settings`` is the
catalogue entry with the defaults of ``SETTINGS`` filled in, without the keys that say where this machine finds
things (``origin``, ``public_url``, ``stimuli_root``, ``betas_root``) or who signed its ``agreement``: they change no
result. ``root`` is the folder in which the data arrived (a DataLad clone, or the folder named by a ``Source`` of kind
``folder``).

``FACTS``
    ``subjects`` (list), ``tr_s`` (seconds), ``spaces`` (list of spaces its BOLD comes in), ``images`` (bool: are
    there pictures), ``split_unit`` ("image", or "run" where there are no pictures), ``simulated`` (bool),
    ``version``, ``source`` (dict: accession, commit), ``licence``, ``citation``, ``agreement`` (None, or the
    address of the form with which the data must be asked for: an entry then has the key ``agreement``, without which
    nothing is fetched);
    ``recordings`` (dict from name to description: what of a subject can be fetched and read on its own, such as BOLD
    in one space, or betas; the first is taken where a response entry names none with its key ``recording``);
    ``stimuli_inside`` (bool: the pictures, or the labels where there are none, come with the data);
    ``stimuli_from`` (None, or one sentence that says where to get the pictures and under which terms) and
    ``stimuli_password`` (None, or the name of the environment variable that holds the archive's password), both
    None where the pictures are inside.
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add. A data set
    whose pictures are not inside has the key ``stimuli_root`` (string without default): a folder of the user's, or an
    archive (zip, tar, tar.gz), which the workflow unpacks.

``READS``
    ``{rule: [keys]}``: which keys of an entry each rule reads (fetch_dataset, fetch_subject, fetch_stimuli,
    list_trials, pack_stimuli, project_responses), and so which jobs run again when one changes. A rule is handed these
    alone, of ``subjects`` and ``sessions`` those of the subject (``FACTS``, ``sessions``: how many each has, where
    an entry may choose among them); to ask ``settings`` for another is an error that names it. Without READS all are
    read.

``LOOKS``
    ``{rule: [patterns]}``, of a data set that is a folder of the user's (key ``folder``): which files below it each
    fetch looks at when the workflow is parsed, with ``{subject}`` and keys of the entry in braces
    (``provenance.reached``; a pattern may lead elsewhere, also by a variable of the environment). They cover all that
    ``files_needed`` names and all whose names it goes by. Without it all files below the folder are looked at.
    ``{key?}`` before a pattern: where that key is set. ``list_trials`` is among the rules where trials go by names of
    files that no receipt of the data set lists.

``source(settings, workspace) -> Source``
    Where the data come from. ``workspace`` is a folder in which the plug-in may make or download them. The keys
    ``origin`` and ``public_url`` of the entry, which every data set has, replace ``url`` and ``public_url`` of a source
    of kind "datalad" (``origin``: a folder, a git bundle or an address).
``files_needed(root, what, settings, recording=None) -> list[str]``
    Paths below ``root`` whose content must be there. ``what`` is ``"dataset"`` (with the small text files of ALL
    subjects from which trials and ROIs are read), a subject (the files of one ``recording``, by default the first), or
    ``"stimuli"``: ``root`` is then the folder of the pictures, which is the data's own where ``stimuli_inside``,
    else ``stimuli_root`` or what was unpacked from it. Names count: content need not be there yet. Files are sought
    with ``provenance.reached`` or what rests on it, which in the jobs behind lists what has arrived and no other.
``trials(root, subject, settings) -> DataFrame``
    Columns session, run (labels, str), trial (int, from 1 within the run), onset_s, duration_s (float, NaN where the
    events state none), image_id (str: the events' own name), usable (bool); one row per trial in the order of
    acquisition. Reads the files of ``"dataset"`` only. ``test_sets`` (str: names of the published test sets that the
    picture is in, separated by white space), ``left_out`` (str: why the entry leaves a trial out, or nothing; counted)
    and columns that begin with ``behaviour_`` may be added.
``stimuli(root, settings) -> Iterator[Stimulus]``
    Each picture once; ``pixels`` is None where the data set has no pictures (image_id is then the block's id).
    ``root`` is the folder of the pictures, as in ``files_needed``.
``runs(root, subject, settings, recording) -> Iterator[BoldRun] or Iterator[SurfaceRun]``
    A recording of each run, in the order of acquisition, one in memory at a time: volumes, or values on the subject's
    own surface with the spheres that are registered to fsaverage. Each states what its sources say of the times of its
    volumes (``artifacts.formats.bids_times``), and whether its header tells where they lie (``bids.unplaced``).
``rois(root, subject, space, settings) -> dict[str, ndarray of bool (n_vertices,)]``
    Named regions on the whole mesh or mask of ``space``; empty where there are none. Reads the files of
    ``"dataset"`` and of the subject's recording.
``sizes(settings, recording) -> Sizes``
    What a recording costs, without a network and before anything is downloaded.

A data set whose pictures are files in a folder of the user's has

``named_pictures(root, settings) -> Iterator[(path, image_id, labels)]``
    Each picture by its file, without opening it: fetching compares names with those that trials show.

A data set with published single-trial responses names their recordings in ``FACTS``, ``beta_recordings``, and has

``betas(root, subject, settings, recording) -> Iterator[BetaRun]``
    The responses of all usable trials, a run, a session or all at a time, under the names of pictures that the trial
    table has; one record in memory at a time. Values that are not finite are handed on. ``runs`` refuses these
    recordings, ``betas`` the others.

Recordings that are no part of the data set, but read from a folder of the user's own, are named in ``FACTS``,
``recordings_outside``; the entry's key ``betas_root`` (string without default) is that folder, and the ``root`` of
``files_needed`` and ``betas`` for them.

Two further literals and these keys of ``FACTS`` may be there: ``TEST_SETS`` (dict from the name of a published test set
to the image_ids of its pictures, separated by white space, or to "" where the trial table's column ``test_sets`` has
the names of those that a picture is in; for splits with ``test: named``), ``REQUIRED`` (list of the
keys that an entry must have); ``rois`` (names of the regions there are), ``ceilings`` (where published noise ceilings
are, or None), ``unread`` (recordings that can be fetched, or are listed, but not read in this version),
``recording_spaces`` (dict from a recording to those of ``spaces`` that it comes in). A fact that is None is the entry's
key of that name, where it has one.

A data set never imports torch, nor another plug-in; a package may import its own modules.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from boldflow.core.records.runs import BetaRun, BoldRun, SurfaceRun
from boldflow.core.records.sources import Sizes, Source
from boldflow.core.records.stimuli import Stimulus


class DataSet(Protocol):
    """The contract above, as mypy checks it of each plug-in; ``settings`` is an entry, a mapping."""

    FACTS: dict[str, Any]

    def source(self, settings: Any, workspace: str | Path) -> Source:
        """Say where the data come from."""

    def files_needed(self, root: str | Path, what: str, settings: Any, recording: str | None = None) -> list[str]:
        """Name the paths below ``root`` whose content must be there."""

    def trials(self, root: str | Path, subject: str, settings: Any) -> pd.DataFrame:
        """Give a row per trial."""

    def stimuli(self, root: str | Path, settings: Any) -> Iterator[Stimulus]:
        """Give each picture once."""

    def runs(
        self, root: str | Path, subject: str, settings: Any, recording: str
    ) -> Iterator[BoldRun] | Iterator[SurfaceRun]:
        """Give the runs of a recording."""

    def rois(self, root: str | Path, subject: str, space: str, settings: Any) -> dict[str, np.ndarray]:
        """Give named regions."""

    def sizes(self, settings: Any, recording: str) -> Sizes:
        """Say what a recording costs."""


class NamesPictures(DataSet, Protocol):
    """A data set whose pictures are files in a folder of the user's."""

    def named_pictures(self, root: str | Path, settings: Any) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Give file, image_id and labels of each picture."""


class PublishesBetas(DataSet, Protocol):
    """A data set with published single-trial responses."""

    def betas(self, root: str | Path, subject: str, settings: Any, recording: str) -> Iterator[BetaRun]:
        """Give the responses of all usable trials."""


# by the name of the function that a plug-in of that contract has
FURTHER = {"betas": PublishesBetas, "named_pictures": NamesPictures}
