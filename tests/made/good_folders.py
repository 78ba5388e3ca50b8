"""BIDS folders that are in order, each laid out in another way: functions that change a made folder (``OwnFolder``)."""

import shutil
import unicodedata

from tests.made.layouts import NAMES, lay_out
from tests.made.own_bids import MIDDLE

SPACE = "_space-MNI152NLin2009cAsym"


def with_version(version):
    return lambda folder: lay_out(folder, version)


def with_tables_in_the_root(folder):
    for path in folder.files("*_events.tsv"):
        path.rename(folder.folder / path.name.removeprefix("sub-01_"))


def with_sessions(folder):
    for session, run in (("a", "01"), ("b", "02")):
        for base in (folder.raw, folder.prep):
            target = base.parent / f"ses-{session}/func"
            target.mkdir(parents=True)
            for path in sorted(base.glob(f"*run-{run}*")):
                name = path.name.replace("sub-01_", f"sub-01_ses-{session}_").replace(f"run-{run}", "run-01")
                path.rename(target / name)


def with_marks_of_byte_order(folder):
    for path in [*folder.files("*_bold.json"), *folder.files("*.tsv")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def with_headers_that_state_no_tr(folder):
    def without_tr(values, header):
        header["pixdim"][4] = 0
        return values

    folder.edit_images("*preproc_bold.nii.gz", without_tr)


def with_derivatives_elsewhere(folder):
    shutil.move(folder.folder / "derivatives/fmriprep", folder.folder / "derivatives/out/fmriprep")


def with_linked_derivatives(folder):
    disk = folder.home / "disk"
    (folder.folder / "derivatives").rename(disk)
    (folder.folder / "derivatives").symlink_to(disk)


def with_single_echoes(folder):
    folder.rename(SPACE, f"_echo-1{SPACE}", "*preproc_bold.nii.gz", copy=True)


def without_confounds(folder):
    for path in folder.files("*timeseries.tsv"):
        path.unlink()


def with_another_column(folder):
    folder.edit_lines("*_events.tsv", lambda lines: [lines[0].replace("stim_file", "picture"), *lines[1:]])


def with_stems(folder):
    folder.edit_lines("*_events.tsv", lambda lines: [line.replace(".png", "") for line in lines])


def with_pictures_in_folders(folder):
    (folder.folder / "stimuli/faces").mkdir()
    for path in folder.files("*.png"):
        path.rename(folder.folder / "stimuli/faces" / path.name)


def with_rest(folder):
    folder.rename("task-look", "task-rest", "*run-01*preproc_bold*", copy=True)


def with_key_presses(folder):
    """Rows without a picture say what they like of onset and duration."""
    presses = ["8.000\tn/a\tpress\tn/a", "n/a\tn/a\tpress\tn/a"]
    folder.edit_lines("*_events.tsv", lambda lines: [*lines, *presses])


def with_names_as_a_mac_writes_them(folder):
    names = {form: unicodedata.normalize(form, "café.png") for form in ("NFC", "NFD")}
    (folder.folder / "stimuli/pic00.png").rename(folder.folder / "stimuli" / names["NFD"])
    folder.edit_lines("*_events.tsv", lambda lines: [line.replace("pic00.png", names["NFC"]) for line in lines])


def with_companions(folder):
    for path in folder.files("*.png"):
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")


def without_durations(folder):
    folder.edit_lines("*_events.tsv", lambda lines: [line.replace("\t1.000\t", "\tn/a\t") for line in lines])


def with_another_subject(folder):
    for base in (folder.raw.parent, folder.prep.parent):
        shutil.copytree(base, base.with_name("sub-02"))
        for path in sorted(base.with_name("sub-02").rglob("sub-01*")):
            path.rename(path.with_name(path.name.replace("sub-01", "sub-02")))


GOOD = [
    lambda folder: None,
    *(with_version(version) for version in NAMES),
    with_tables_in_the_root,
    with_sessions,
    with_marks_of_byte_order,
    with_headers_that_state_no_tr,
    lambda folder: folder.edit_sidecars(RepetitionTime=None),
    lambda folder: folder.edit_sidecars(**MIDDLE),
    with_derivatives_elsewhere,
    with_linked_derivatives,
    with_single_echoes,
    without_confounds,
    with_another_column,
    with_stems,
    with_pictures_in_folders,
    with_rest,
    with_key_presses,
    with_names_as_a_mac_writes_them,
    with_companions,
    without_durations,
    with_another_subject,
    lambda folder: folder.rename(SPACE, "_space-T1w"),
]
