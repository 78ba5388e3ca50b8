"""Files of the user's that give regions of interest, as far as their names tell."""

# by how a file's name ends
KINDS = {
    ".label": "label", ".annot": "annotation", ".mgh": "overlay", ".mgz": "overlay", ".gii": "overlay",
    ".nii": "volume", ".nii.gz": "volume",
}  # fmt: skip
PLACEHOLDERS = ("subject", "hemisphere")


def kind_of(path: str) -> str:
    """Name the kind of file that a path is; empty for one that gives no region."""
    return next((kind for ending, kind in KINDS.items() if path.endswith(ending)), "")
