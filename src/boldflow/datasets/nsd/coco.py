"""Labels of COCO's photographs, by the user's copies of its instances."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from boldflow.artifacts.releases import nsd_tables


def labels_of(files: Sequence[str], photographs: Collection[int]) -> dict[int, dict[str, str]]:
    """Label photographs; nothing without files.

    Parameters
    ----------
    files : sequence of str
        The user's copies of ``instances_train2017.json`` and ``instances_val2017.json``.
    photographs : collection of int
        COCO's numbers.

    Returns
    -------
    dict
        COCO's number -> labels.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file holds no instances, or together they do not know a photograph.
    """
    areas: dict[int, dict[str, float]] = {}
    for file in files:
        areas |= _areas(file, photographs)
    unknown_ids = sorted(set(photographs) - set(areas)) if areas else []
    if unknown_ids:
        raise ValueError(
            f"coco_instances do not know {len(unknown_ids)} of {len(photographs)} photographs, the first is "
            f"{unknown_ids[0]}; name both instances_train2017.json and instances_val2017.json"
        )
    return {photograph: nsd_tables.coco_labels(category_areas) for photograph, category_areas in areas.items()}


def _areas(file: str, photographs: Collection[int]) -> dict[int, dict[str, float]]:
    """Areas (squared px) that each category covers, of the photographs that a file has, by number."""
    path = Path(file).expanduser()
    areas: dict[int, dict[str, float]] = {}
    try:
        content = json.loads(path.read_bytes())
        category_names: Mapping[int, str] = {category["id"]: category["name"] for category in content["categories"]}
        areas |= {image["id"]: {} for image in content["images"] if image["id"] in photographs}
        for annotation in content["annotations"]:
            if annotation["image_id"] in areas:
                category_areas, category_name = areas[annotation["image_id"]], category_names[annotation["category_id"]]
                category_areas[category_name] = category_areas.get(category_name, 0.0) + annotation["area"]
    except FileNotFoundError:
        raise FileNotFoundError(f"coco_instances names {file}, and there is no such file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no instances of COCO: {type(error).__name__} {error}") from None
    return areas
