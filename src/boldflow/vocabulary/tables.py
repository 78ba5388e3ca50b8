"""Tables that a study hands to figures and to sections of the report: a new one is one entry here.

Figures and sections name what they need in a literal, ``NEEDS``. Standard library only.
"""

from dataclasses import dataclass
from enum import StrEnum

RESULT_FOLDER = "results/{dataset}/{subject}/{response}/{feature}/{model}/{split}"
STUDY_FOLDER = "results/studies/{study}"
CODES_FOLDER = STUDY_FOLDER + "/latents/{dataset}/{subject}/{response}/{feature}/{model}/{split}"


class Trait(StrEnum):
    """What a result of a study may be; a table is there where a result has the trait that it asks for."""

    ANY = "any"
    ENCODES = "encode"
    RETRIEVES = "embedding"  # decodes columns of a feature, so that pictures can be ranked
    CLASSIFIES = "classes"
    REPRESENTS = "represent"
    TELLS_BANDS = "bands"  # says what each of several joined features explains
    LEARNS = "training"  # by epochs
    HAS_RIVALS = "rivals"  # another encoder of the same subject, responses and split
    IS_ASKED = "latents"  # its codes are asked for a class
    IS_MATCHED = "match"  # units of its codes are sought in other codes
    HAS_PICTURES = "images"  # its data set does


KINDS = (Trait.ENCODES, Trait.RETRIEVES, Trait.CLASSIFIES, Trait.REPRESENTS)  # what a result gives: one of these


class Reader(StrEnum):
    """How the files of a table are read."""

    ROWS = "rows"  # Parquet, those of all results below each other
    PAIRS = "pairs"  # CSV of differences between models
    TEXT = "text"  # CSV as it stands
    HISTORIES = "histories"  # CSV of epochs, each in the folder of its result; then the leaderboard
    PICTURES = "pictures"  # stimulus packs, then their tables: what a figure's source table names
    SIDECARS = "sidecars"  # JSON
    DRAWINGS = "drawings"  # PNG with its provenance inside
    MESHES = "meshes"  # surfaces of fsaverage5, inside nilearn


@dataclass(frozen=True)
class Table:
    """What a figure or a section can ask for.

    Attributes
    ----------
    paths : tuple of str
        Patterns, filled for each result with the trait ``of``: its folder's wildcards, and ``study``, ``figure``.
    of : Trait
    read : Reader
    lacking : str
        What a study lacks in which no file has a row; empty where a table without rows will do.
    holds : str
        What its rows are, with their columns.
    """

    paths: tuple[str, ...]
    of: Trait
    read: Reader
    lacking: str = ""
    holds: str = ""


_NAMES = "dataset, subject, response, feature, model, split, simulated"
_CODES = "codes that were asked for a class (its key latents)"

TABLES = {
    "leaderboard": Table(
        (f"{STUDY_FOLDER}/leaderboard.parquet",),
        Trait.ANY,
        Reader.ROWS,
        holds="The study's tidy table of all scores (columns: artifacts.store.leaderboard.COLUMNS).",
    ),
    "comparisons": Table(
        (f"{STUDY_FOLDER}/comparisons.csv",),
        Trait.ANY,
        Reader.PAIRS,
        holds="A row per pair of models of a subject (columns: artifacts.store.comparisons.COLUMNS).",
    ),
    "people": Table(
        (f"{STUDY_FOLDER}/prevalence.csv",),
        Trait.ANY,
        Reader.TEXT,
        holds=(
            "A row per score that several subjects have with p by refits, or 8 at all, as text: n_subjects, n_tested, "
            "n_significant (p <= .05), value (share of people, Bayesian prevalence), ci_low, ci_high, mean, mean_low, "
            "mean_high (of scores, over people and pictures), mean_remarks."
        ),
    ),
    "published": Table(
        (f"{STUDY_FOLDER}/published.csv",),
        Trait.ANY,
        Reader.TEXT,
        holds=(
            "Published figures of the study's data sets and models as text (columns: artifacts.releases.published."
            "COLUMNS, and reason: why one stands beside none of ours, empty where it does)."
        ),
    ),
    "costs": Table(
        (f"{STUDY_FOLDER}/costs.parquet",),
        Trait.ANY,
        Reader.ROWS,
        holds="A row per job that was measured: rule, job, seconds (wall), max_rss_mb (MB).",
    ),
    "maps": Table(
        (f"{RESULT_FOLDER}/map.parquet",),
        Trait.ENCODES,
        Reader.ROWS,
        "vertex maps; it needs a model with direction encode",
        f"A row per vertex of each encoding result: {_NAMES}, space, hemisphere ('left' / 'right'), vertex (int, index "
        "in that hemisphere's mesh), r, r2, ceiling (NC, a share of variance from 0 to 1), signal_var, noise_var, roi "
        "(str, may be empty), p, q, p_max, p_tfce (tests of r by refits under permuted labels; NaN where there are "
        "none) and n_refits. Of encoders of joined features also r2_joint (R², 1 - residual over total variance) and, "
        "for each feature joined, r2_band:NAME (what it brings to that; these add up) and, where fits without it were "
        "made, r2_unique:NAME (what is lost).",
    ),
    "queries": Table(
        (f"{RESULT_FOLDER}/queries.parquet",),
        Trait.RETRIEVES,
        Reader.ROWS,
        "retrieval results; it needs a decoder of embeddings",
        f"A row per test picture of each retrieval result: {_NAMES}, seed, fold, image_id, rank (0-based, float), "
        "gallery_size, nearest_1 .. nearest_5 (image ids, best first), score_1 .. score_5.",
    ),
    "bands": Table(
        (f"{RESULT_FOLDER}/bands.parquet",),
        Trait.TELLS_BANDS,
        Reader.ROWS,
        "encoder that tells bands of its features apart, of a stack",
        f"A row per region and joined feature of an encoder: {_NAMES}, seed, roi ('all' for all vertices), band (a "
        "joined feature; 'all' for measure joint), measure ('joint', 'product' or 'unique': as in maps, over summed "
        "variance), value, ci_low, ci_high, ci_method, ceiling, n_test_images.",
    ),
    "wins": Table(
        (f"{STUDY_FOLDER}/win_shares.parquet",),
        Trait.HAS_RIVALS,
        Reader.ROWS,
        "two encoders of the same responses and split",
        "A row per pair of encoders and region: dataset, subject, response, split, simulated, seed, roi, feature_a, "
        "model_a, feature_b, model_b, value (share of vertices with higher r under a), ci_low, ci_high, p, p_holm, "
        "tied, n_vertices, n_test_images.",
    ),
    "histories": Table(
        (f"{RESULT_FOLDER}/history.csv", f"{STUDY_FOLDER}/leaderboard.parquet"),
        Trait.LEARNS,
        Reader.HISTORIES,
        "model that learns by epochs",
        "The rows of each result's history that have epochs (stage, seed, fold, epoch, loss, and what was measured on "
        f"validation trials), with {_NAMES}.",
    ),
    "separations": Table(
        (f"{STUDY_FOLDER}/separations.parquet",),
        Trait.IS_ASKED,
        Reader.ROWS,
        _CODES,
        "What the codes of models say of a class of pictures (columns: stages.models.analyse_latents.SEPARATION, and "
        "q, p adjusted over subjects, and n_subjects).",
    ),
    "embeddings": Table(
        (f"{CODES_FOLDER}/embedding.parquet",),
        Trait.IS_ASKED,
        Reader.ROWS,
        _CODES,
        "A row per held-out trial, its code on two axes (columns: stages.models.analyse_latents).",
    ),
    "units": Table(
        (f"{CODES_FOLDER}/units.parquet",),
        Trait.IS_ASKED,
        Reader.ROWS,
        _CODES,
        "A row per picture that drives a unit of a code most (columns: stages.models.analyse_latents).",
    ),
    "reconstructions": Table(
        (f"{CODES_FOLDER}/reconstruction.parquet",),
        Trait.IS_ASKED,
        Reader.ROWS,
        _CODES,
        "A row per vertex: the class less others, measured and reconstructed (columns: stages.models.analyse_latents).",
    ),
    "matches": Table(
        (f"{STUDY_FOLDER}/matches.parquet",),
        Trait.IS_MATCHED,
        Reader.ROWS,
        holds="Units that are found again in other codes (columns: stages.studies.match_units.COLUMNS).",
    ),
    "images": Table(
        ("results/{dataset}/stimuli.h5", "results/{dataset}/stimuli.parquet"),
        Trait.HAS_PICTURES,
        Reader.PICTURES,
        holds=(
            "dict (dataset, image_id) -> uint8 (height, width, 3), the pictures that a figure's source table names in "
            "its columns image_id and nearest_1 .. nearest_5."
        ),
    ),
    "meshes": Table(
        (),
        Trait.ANY,
        Reader.MESHES,
        holds="dict hemisphere -> drawing.meshes.Hemisphere: fsaverage5 inflated and flat, with its sulcal depth.",
    ),
    "receipts": Table(
        ("resources/receipts/{dataset}/dataset.json",),
        Trait.ANY,
        Reader.SIDECARS,
        holds="What arrived of each data set.",
    ),
    "splits": Table(
        ("results/{dataset}/splits/{split}.json",),
        Trait.ANY,
        Reader.SIDECARS,
        holds="How each split was made.",
    ),
    "responses": Table(
        ("results/{dataset}/{subject}/{response}/responses.json",),
        Trait.ANY,
        Reader.SIDECARS,
        holds="What was done to each subject's responses.",
    ),
    "figures": Table(
        (f"{STUDY_FOLDER}/figures/{{figure}}.png",),
        Trait.ANY,
        Reader.DRAWINGS,
        holds="The study's figures.",
    ),
}
