"""Where the places of a mask lie in a file: in spans of a row of numbers, or in boxes of whole chunks."""

import numpy as np


def spans_of(places: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """Cover places, from the first to the last, leaving out what is wider than a gap: (start, stop) of each piece."""
    sorted_places = np.sort(places)
    cuts = np.flatnonzero(np.diff(sorted_places) > gap)
    starts, stops = sorted_places[np.r_[0, cuts + 1]], sorted_places[np.r_[cuts, len(sorted_places) - 1]] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def boxes_of(inside: np.ndarray, chunk: tuple[int, ...]) -> tuple[list[tuple[tuple[int, int], ...]], list[np.ndarray]]:
    """Cover a mask with boxes of whole chunks, each a row of chunks side by side on the last axis.

    Returns the box of each as (start, stop) by axis, and the places of the mask in the box, laid out flat.
    """
    places = np.argwhere(inside)  # the last axis fastest
    cells = places // np.array(chunk)  # (n_inside, 3): chunk of each voxel
    n_chunks = -(-np.array(inside.shape) // np.array(chunk))
    chunk_number = np.ravel_multi_index(tuple(cells.T), tuple(n_chunks))  # (n_inside,)
    touched_chunks = np.unique(chunk_number)  # (n_touched,)
    chunk_row = touched_chunks // n_chunks[-1]
    begins_box = np.r_[True, (np.diff(touched_chunks) != 1) | (np.diff(chunk_row) != 0)]
    box_of_chunk = np.cumsum(begins_box) - 1  # box of each touched chunk
    box_of_place = box_of_chunk[np.searchsorted(touched_chunks, chunk_number)]  # (n_inside,)
    first_chunks, last_chunks = touched_chunks[begins_box], touched_chunks[np.r_[begins_box[1:], True]]  # (n_boxes,)
    order = np.argsort(box_of_place, kind="stable")
    cuts = np.searchsorted(box_of_place[order], np.arange(1, len(first_chunks)))
    boxes, members = [], []
    for first_chunk, last_chunk, box_places in zip(
        first_chunks, last_chunks, np.split(places[order], cuts), strict=True
    ):
        low_corner = np.array(np.unravel_index(first_chunk, tuple(n_chunks))) * chunk
        high_corner = np.minimum((np.array(np.unravel_index(last_chunk, tuple(n_chunks))) + 1) * chunk, inside.shape)
        boxes.append(tuple((int(a), int(b)) for a, b in zip(low_corner, high_corner, strict=True)))
        members.append(np.ravel_multi_index(tuple((box_places - low_corner).T), tuple(high_corner - low_corner)))
    return boxes, members
