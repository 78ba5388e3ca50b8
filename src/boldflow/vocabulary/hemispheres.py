"""Hemispheres: one spelling in tables, and how names of files tell them."""

import re

HEMISPHERES = ("left", "right")  # in tables, and in the order of vertices
FREESURFER = {"lh": "left", "rh": "right"}  # as FreeSurfer's files begin
# lh.V1.label, sub-01_rh.V1.mgz, tpl-fsaverage_hemi-L_V1.label.gii
IN_A_NAME = re.compile(r"(?<![A-Za-z0-9])(?:([lr]h)\.|hemi-([LR])(?![A-Za-z0-9]))")
