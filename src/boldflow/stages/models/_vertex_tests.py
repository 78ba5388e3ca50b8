"""Tests of each vertex of an encoder's map by the refits that give p to its regions."""

import numpy as np
import pandas as pd

from boldflow.core.scores.clusters import EXTENT, HEIGHT, mesh_edges
from boldflow.core.scores.maps import FEWEST_REFITS, vertex_tests
from boldflow.stages.models._null import Null
from boldflow.stages.models._tested import Row, Scoring
from boldflow.vocabulary.hemispheres import HEMISPHERES
from boldflow.vocabulary.meshes import FSAVERAGE5

P = ["p", "q", "p_max", "p_tfce"]
COLUMNS = [*P, "n_refits"]
METHOD = (
    "one-sided, r above that of refits under permuted labels, each vertex in units of its own null: p from the nulls "
    "of all vertices pooled, q by Benjamini and Hochberg over vertices, p_max by the maximum over vertices"
)
TFCE = f"E = {EXTENT:g}, H = {HEIGHT:g} (Smith and Nichols 2009), exact over thresholds, extent in vertices"
TOO_FEW = "no tests: they need {fewest} refits or more under permuted labels, and there are {n}"
NOT_REFITTED = "no tests: only closed-form models of one subject are refitted under permuted labels"
NO_MESH = "no p_tfce: neighbours are known on fsaverage5 alone"


def test_map(vertex_map: pd.DataFrame, scoring: Scoring, null: Null | None) -> tuple[pd.DataFrame, Row]:
    """Add the tests of its vertices to an encoder's map.

    Parameters
    ----------
    vertex_map : DataFrame
        A row per vertex: space, hemisphere, vertex, r.
    scoring : Scoring
    null : Null, optional

    Returns
    -------
    (DataFrame, dict)
        The map with p, q, p_max, p_tfce (NaN where undefined) and n_refits (0 where nothing is tested); and for the
        sidecar: n_refits, method, n_vertices, n_undefined, and what is missing for which reason.
    """
    vertex_r = None if null is None else null.vertex_r
    n_refits = 0 if vertex_r is None else len(vertex_r)
    note: Row = {"n_vertices": len(vertex_map)}
    if vertex_r is None or n_refits < FEWEST_REFITS:
        untested = vertex_map.assign(**dict.fromkeys(P, np.nan), n_refits=0)
        reason = _why_untested(scoring, n_refits)
        return untested, note | {"n_refits": 0, "n_undefined": len(vertex_map), "remarks": reason}
    edges = neighbours(vertex_map) if scoring.settings["tfce"] else None
    tests = vertex_tests(vertex_map["r"].to_numpy(dtype=np.float64), vertex_r, edges)
    note |= {"n_refits": n_refits, "method": METHOD, "n_undefined": tests.n_undefined}
    if scoring.settings["tfce"]:
        note |= {"remarks": NO_MESH} if edges is None else {"tfce": TFCE}
    return vertex_map.assign(**{name: getattr(tests, name) for name in P}, n_refits=n_refits), note


test_map.__test__ = False  # type: ignore[attr-defined]  # pytest: a name, not a test


def neighbours(vertex_map: pd.DataFrame) -> np.ndarray | None:
    """Pair rows of a map whose vertices share an edge of fsaverage5, (n_edges, 2); None in another space."""
    if len(vertex_map) == 0 or set(vertex_map["space"]) != {FSAVERAGE5}:
        return None
    from nilearn import datasets, surface  # slow to import, and only TFCE needs it

    mesh_files = datasets.fetch_surf_fsaverage(FSAVERAGE5)
    side_edges = []
    for side in HEMISPHERES:
        edges = mesh_edges(np.asarray(surface.load_surf_mesh(mesh_files[f"pial_{side}"]).faces))
        rows = np.flatnonzero((vertex_map["hemisphere"] == side).to_numpy())
        row_of_vertex = np.full(int(edges.max()) + 1, -1)
        row_of_vertex[vertex_map["vertex"].to_numpy(dtype=int)[rows]] = rows
        row_pairs = row_of_vertex[edges]
        side_edges.append(row_pairs[(row_pairs >= 0).all(axis=1)])
    return np.concatenate(side_edges)


def _why_untested(scoring: Scoring, n_refits: int) -> str:
    if scoring.pooled or not scoring.closed_form:
        return NOT_REFITTED
    return TOO_FEW.format(fewest=FEWEST_REFITS, n=n_refits)
