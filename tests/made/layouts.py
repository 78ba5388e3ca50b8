"""Names and companions of files as versions of fMRIPrep write them, given to a made folder."""

SPACE = "_space-MNI152NLin2009cAsym"
# Of each version: what a name is called there, and what lies beside.
NAMES = {
    "1.1": {
        f"{SPACE}_desc-preproc_bold": f"_bold{SPACE}_preproc",
        f"{SPACE}_desc-brain_mask": f"_bold{SPACE}_brainmask",
        "_desc-confounds_timeseries": "_bold_confounds",
    },
    "1.5": {"_desc-confounds_timeseries": "_desc-confounds_regressors"},
    "20.2": {"run-0": "run-"},
    "21.0": {"run-0": "run-"},
    "23.2": {},
    "24.1": {},
    "25.2": {f"{SPACE}_desc": f"{SPACE}_res-2_desc"},
}
OLD_COLUMNS = {
    "framewise_displacement": "FramewiseDisplacement", "trans_x": "X", "trans_y": "Y", "trans_z": "Z", "rot_x": "RotX",
    "rot_y": "RotY", "rot_z": "RotZ", "csf": "CSF", "white_matter": "WhiteMatter",
}  # fmt: skip
BESIDE = {
    "1.1": ["bold_space-fsaverage5.L.func.gii", "bold_space-T1w_preproc.nii.gz", "bold_AROMAnoiseICs.csv"],
    "1.5": ["space-T1w_desc-preproc_bold.nii.gz", "desc-MELODIC_mixing.tsv", "space-fsaverage5_hemi-L.func.gii"],
    "20.2": [
        "space-T1w_boldref.nii.gz",
        "space-fsLR_den-91k_bold.dtseries.nii",
        "space-fsLR_den-91k_bold.dtseries.json",
    ],
    "21.0": [
        "from-scanner_to-T1w_mode-image_xfm.txt",
        "space-MNI152NLin6Asym_desc-preproc_bold.nii.gz",
        "desc-aseg_dseg.tsv",
    ],
    "23.2": ["hemi-L_space-fsaverage5_bold.func.gii", "hemi-L_space-fsaverage5_bold.json", "desc-hmc_boldref.nii.gz"],
    "24.1": ["echo-1_desc-preproc_bold.nii.gz", "desc-coreg_boldref.json", "space-boldref_desc-brain_mask.nii.gz"],
    "25.2": [f"space-{s}_bold.nii.gz" for s in ("T1w_desc-preproc", "MNI152NLin2009cAsym_res-1_desc-brain")],
}


def lay_out(folder, version):
    """Name the derivatives of an ``OwnFolder`` as a version does, and put beside them what it leaves there."""
    for old, new in NAMES[version].items():
        for path in sorted(folder.prep.glob(f"*{old}*")):
            path.rename(path.with_name(path.name.replace(old, new)))
    if version == "1.1":
        for path in folder.prep.glob("*_bold_confounds.tsv"):
            header, *rows = path.read_text().splitlines()
            path.write_text("\n".join(["\t".join(OLD_COLUMNS[name] for name in header.split("\t")), *rows]) + "\n")
    for run in ("run-1", "run-2") if "run-0" in NAMES[version] else ("run-01", "run-02"):
        for name in BESIDE[version]:
            (folder.prep / f"sub-01_task-look_{run}_{name}").write_bytes(b"{}" if name.endswith("json") else b"other")
