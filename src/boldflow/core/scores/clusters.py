"""Threshold-free cluster enhancement of a map whose vertices have neighbours, exact for every threshold.

Between two heights at which clusters join, their extents do not change, so that the integral over thresholds is a sum
over the tree of joining clusters: no steps are chosen. The tree comes from a spanning tree of the highest edges.
"""

import numpy as np
from scipy.sparse import csgraph, csr_array

# Smith and Nichols 2009, NeuroImage 44, 83-98: as published, for volumes. Programs for surfaces often take 1 for
# EXTENT, which favours wide clusters; p is right with either.
EXTENT, HEIGHT = 0.5, 2.0


def mesh_edges(faces: np.ndarray) -> np.ndarray:
    """List the edges of a mesh, each once.

    Parameters
    ----------
    faces : int array of shape (n_faces, 3)

    Returns
    -------
    int array of shape (n_edges, 2)
        The lower vertex first.
    """
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def tfce(heights: np.ndarray, edges: np.ndarray, extent: float = EXTENT, height: float = HEIGHT) -> np.ndarray:
    """Enhance a map: integrate e(h)^extent h^height over the thresholds h from 0 to each vertex's own height.

    Parameters
    ----------
    heights : array of shape (n_vertices,)
        Those of 0 and below are part of no cluster; finite.
    edges : int array of shape (n_edges, 2)
        Pairs of neighbours, each once. Parts of the graph without an edge between them (hemispheres) make no common
        cluster.
    extent, height : float
        Exponents. e(h) counts the vertices of at least h that are connected with the vertex through such.

    Returns
    -------
    array of shape (n_vertices,)
        0 where the height is not above 0.
    """
    above = np.flatnonzero(heights > 0)
    number = np.full(len(heights), -1)
    number[above] = np.arange(len(above))
    inner_edges = number[edges[(heights[edges] > 0).all(axis=1)]]
    top, size, parent = _joining_clusters(heights[above], inner_edges)
    bottom = np.append(top, 0.0)[parent]  # a cluster that joins no other goes down to 0
    gains = (size**extent * (top ** (height + 1) - bottom ** (height + 1)) / (height + 1)).tolist()
    parents = parent.tolist()
    for node in range(len(gains) - 1, -1, -1):  # a parent comes after its children
        if parents[node] >= 0:
            gains[node] += gains[parents[node]]
    enhanced = np.zeros(len(heights))
    enhanced[above] = gains[: len(above)]
    return enhanced


def _joining_clusters(heights: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow clusters from the highest threshold down.

    Nodes are first the vertices, then what each joining makes. Gives of each node (n_nodes,) the height at which it
    begins, its number of vertices, and the node that it joins (-1 for none).
    """
    pairs, joined_at = _highest_edges(heights, edges)
    n_vertices = len(heights)
    size, parent = [1] * n_vertices, [-1] * (n_vertices + len(pairs))
    cluster = list(range(n_vertices + len(pairs)))  # a node on the way to the cluster that a node is part of now
    for node, (first, second) in enumerate(pairs.tolist(), start=n_vertices):
        children = _cluster_of(cluster, first), _cluster_of(cluster, second)
        for child in children:
            parent[child] = cluster[child] = node
        size.append(size[children[0]] + size[children[1]])
    return np.concatenate([heights, joined_at]), np.array(size, dtype=np.float64), np.array(parent, dtype=np.int64)


def _cluster_of(cluster: list[int], node: int) -> int:
    """Walk to the cluster that a node is part of, and shorten the way."""
    while cluster[node] != node:
        cluster[node] = cluster[cluster[node]]
        node = cluster[node]
    return node


def _highest_edges(heights: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the edges of the spanning tree whose lower ends are highest, (n_joins, 2) from the top, and these."""
    if len(edges) == 0:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    lower_end = heights[edges].min(axis=1)
    # ranks from 1, the highest edge first: a weight of 0 would be no edge
    weight = np.empty(len(edges))
    weight[np.argsort(-lower_end, kind="stable")] = np.arange(1, len(edges) + 1)
    graph = csr_array((weight, (edges[:, 0], edges[:, 1])), shape=(len(heights), len(heights)))
    tree_weight = csgraph.minimum_spanning_tree(graph).data
    rank = np.argsort(weight, kind="stable")[np.sort(tree_weight).astype(np.int64) - 1]  # edges of the tree
    return edges[rank], lower_end[rank]
