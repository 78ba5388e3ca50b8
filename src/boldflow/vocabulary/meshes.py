"""Meshes of FreeSurfer's average subject, and spaces in which responses are given."""

FSAVERAGE5, FSAVERAGE6, FSAVERAGE7 = "fsaverage5", "fsaverage6", "fsaverage7"
NATIVE = "native"  # the voxels (or vertices) of a data set's own mask
# Vertices of a hemisphere; those of a coarser mesh are the first of a finer one.
N_VERTICES = {FSAVERAGE5: 10_242, FSAVERAGE6: 40_962, FSAVERAGE7: 163_842}
FOLDERS = {FSAVERAGE5: "fsaverage5", FSAVERAGE6: "fsaverage6", FSAVERAGE7: "fsaverage"}  # FreeSurfer's subjects
