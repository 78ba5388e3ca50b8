"""Folders that are in order are found so, in any layout; each planted fault is named with its file and a remedy."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from boldflow.__main__ import main
from boldflow.commands.check.check import check
from tests.conftest import ROOT
from tests.made.good_folders import GOOD, SPACE, with_another_subject, with_headers_that_state_no_tr
from tests.made.own_bids import MIDDLE, OwnFolder

KEY = "MD5E-s120--0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def looked_at(folder, response=None, **keys):
    text, code = check(str(folder.folder), keys, response, as_json=True)
    return json.loads(text), code


# ---- folders in order


@pytest.mark.parametrize("lay", GOOD)
def test_in_a_folder_that_is_in_order_no_check_fails_and_the_entry_gives_responses(tmp_path, monkeypatch, lay):
    folder = OwnFolder(tmp_path / "made")
    lay(folder)
    report, code = looked_at(folder)
    assert (report["problems"], report["warnings"], code) == ([], [], 0)
    assert all(row["runs_with_bold"] == row["runs"] == 2 and row["trials"] == 20 for row in report["subjects"])
    assert report["entry"]["tr_s"] == 2.0
    assert report["pictures"]["opened"] == report["subjects"][0]["pictures"] > 0
    monkeypatch.chdir(folder.work)
    keys = {key: value for key, value in report["entry"].items() if key not in ("plugin", "folder")}
    responses, _ = folder.responses(**keys)
    assert len(responses) == 20 and np.isfinite(responses).all()


def test_twelve_runs_without_leading_zeros_are_in_order(tmp_path):
    folder = OwnFolder(tmp_path / "made", n_runs=12, n_trials=4)
    folder.rename("run-0", "run-", "*desc-*")
    report, code = looked_at(folder)
    assert (report["problems"], code, report["subjects"][0]["runs"]) == ([], 0, 12)


# ---- planted faults


def to_pointer(path):
    path.unlink()
    path.write_text(f"/annex/objects/{KEY}{path.suffix}\n")


def to_dangling(path):
    path.unlink()
    path.symlink_to(f"../../.git/annex/objects/aa/bb/{KEY}/{KEY}")


def change(pattern, old, new):
    """Write another text into tables, once in each."""
    return lambda folder: folder.edit_lines(pattern, lambda lines: "\n".join(lines).replace(old, new, 1).splitlines())


def append(line):
    return lambda folder: folder.edit_lines("*run-02_events.tsv", lambda lines: [*lines, line])


def without_codes(pattern):
    def spoil(folder):
        def with_codes_of_nought(values, head):
            head["sform_code"] = head["qform_code"] = 0
            return values

        folder.edit_images(pattern, with_codes_of_nought)

    return spoil


def header_tr(tr_s):
    def spoil(folder):
        def with_tr(values, head):
            head["pixdim"][4] = tr_s
            return values

        folder.edit_images("*run-02*preproc_bold.nii.gz", with_tr)

    return spoil


def volumes(pattern, take):
    return lambda folder: folder.edit_images(pattern, lambda values, head: take(values))


def each(pattern, act):
    def spoil(folder):
        for path in folder.files(pattern):
            act(path)

    return spoil


def turn(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = folder.folder / "stimuli/pic00.png"
    Image.open(picture).save(picture, exif=exif)


def see_through(folder):
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(folder.folder / "stimuli/pic00.png")


def without_csf_at_first(folder):
    for path in folder.files("*run-02*timeseries.tsv"):
        head, first, *rows = path.read_text().splitlines()
        fields = first.split("\t")
        fields[head.split("\t").index("csf")] = "n/a"
        path.write_text("\n".join([head, "\t".join(fields), *rows]) + "\n")


def two_acquisitions(folder):
    for path in folder.files("sub-01_task-look_run-*"):
        for label in ("mb", "me"):
            shutil.copy(path, path.with_name(path.name.replace("_run-", f"_acq-{label}_run-")))
        path.unlink()


def without_pictures(folder):
    shutil.rmtree(folder.folder / "stimuli")


PICTURE = "80.000\t1.000\timage\tpic00.png"
BOLD, EVENTS, CONFOUNDS = "run-02*preproc_bold.nii.gz", "run-02_events.tsv", "run-02*timeseries.tsv"
# What is planted, what must be said, and the file that must be named (nothing where it is no single one).
STOPS = {
    "doubled run numbers": (
        lambda f: f.rename("run-01", "run-1", "*events.tsv", copy=True), "two files of one session and run", "",
    ),
    "doubled BOLD": (lambda f: f.rename("run-01", "run-1", "*bold.nii.gz", copy=True), "two files of one", ""),
    "acquisitions": (two_acquisitions, r"entities: \{acq: 'mb' or 'me'\}", ""),
    "no orientation codes": (without_codes("*.nii.gz"), "sform_code 0 and qform_code 0", BOLD),
    "codes of one run": (without_codes(f"*{BOLD}"), "lie differently: .* has sform_code 0 and qform_code 0", BOLD),
    "TR disagreement": (header_tr(1.0), r"disagree \(header: 1 s, sidecar: 2 s", BOLD),
    "no TR at all": (
        lambda f: (with_headers_that_state_no_tr(f), f.edit_sidecars(RepetitionTime=None)),
        "tr_s: neither headers nor sidecars", "",
    ),
    "StartTime beyond the TR": (lambda f: f.edit_sidecars(StartTime=3, SliceTimingCorrected=True), "StartTime 3", ""),
    "StartTime is no number": (lambda f: f.edit_sidecars(StartTime="half"), "StartTime 'half', expected seconds", ""),
    "sidecar is cut short": (
        each("*run-02*_bold.json", lambda p: p.write_text('{"Rep')), "not whole JSON", BOLD,
    ),
    "trial beyond the end": (append("119.000\t1.000\timage\tpic00.png"), "trial 11 at 119 s: volumes 62 to 64", BOLD),
    "trial before the start": (append("-9.000\t1.000\timage\tpic00.png"), "trial 1 at -9 s: volumes -2 to 0", BOLD),
    "onset n/a of a trial": (append("n/a\t1\timage\tpic00.png"), "line 12: onset must be a number, not 'n/a'", EVENTS),
    "decimal comma": (change("*run-02_events.tsv", "6.000", "6,000"), "line 2: onset must be a number", EVENTS),
    "a row twice": (append("96.000\t1.000\timage\tpic00.png"), "line 12: the event at 96 s .line 11", EVENTS),
    "spaces for tabs": (change("*run-02_events.tsv", "\t", " "), r"line 1 lacks columns \['onset'", EVENTS),
    "Latin-1": (
        each("*run-02_events.tsv", lambda p: p.write_bytes(p.read_bytes() + b"9\t1\tcaf\xe9\tpic00.png\n")),
        "line 12: byte 0xe9 is no UTF-8", EVENTS,
    ),
    "run without BOLD": (each(f"*{BOLD}", lambda p: p.unlink()), "2 runs have trials and 1 have BOLD", ""),
    "no mask": (each("*brain_mask*", lambda p: p.unlink()), "brain_mask", ""),
    "BOLD of one volume": (volumes(f"*{BOLD}", lambda v: v[..., 0]), "has 3 axes, of shape", BOLD),
    "mask of several volumes": (
        volumes("*run-02*mask.nii.gz", lambda v: np.stack([v, v], -1)), "has 4 axes", "run-02*brain_mask.nii.gz",
    ),
    "mask on another grid": (volumes("*run-01*mask.nii.gz", lambda v: v[1:]), r"is \(5, 5, 4\) voxels", ""),
    "BOLD is cut short": (each(f"*{BOLD}", lambda p: p.write_bytes(p.read_bytes()[:40])), "is no whole NIfTI", BOLD),
    "BOLD is a dangling link": (each(f"*{BOLD}", to_dangling), "content absent: .*datalad get deriv", BOLD),
    "events are pointers": (each("*_events.tsv", to_pointer), "content absent: .*datalad get sub-01/", ""),
    "pictures missing": (without_pictures, "no folder of pictures", ""),
    "a picture missing": (each("pic00.png", lambda p: p.unlink()), "show 1 names that none", ""),
    "a picture misspelt": (
        each("pic00.png", lambda p: p.rename(p.with_suffix(".PNG"))), "'pic00.png': the nearest is 'pic00.PNG'", "",
    ),
    "a picture is transparent": (see_through, "pic00.png .* is refused: it is transparent", "pic00.png"),
    "a picture is cut short": (
        each("pic00.png", lambda p: p.write_bytes(p.read_bytes()[:60])), "is no whole picture", "pic00.png",
    ),
    "prefix": (change("*_events.tsv", "pic00.png", "stimuli/pic00.png"), "'stimuli/pic00.png': the nearest is", ""),
    "no column names pictures": (
        lambda f: f.edit_lines("*_events.tsv", lambda lines: [line.rpartition("\t")[0] for line in lines]),
        r"no column of the events names pictures; there are \['trial_type'\]", "",
    ),
}  # fmt: skip
MISLEADS = {
    "csf has no first number": (without_csf_at_first, "confound csf has no number at volume 1 of 60", CONFOUNDS),
    "confounds are longer": (volumes(f"*{BOLD}", lambda v: v[..., :58]), "has 60 rows, its BOLD 58 volumes", CONFOUNDS),
    "corrected, no StartTime": (lambda f: f.edit_sidecars(SliceTimingCorrected=True), "and no StartTime", ""),
    "StartTime, not corrected": (lambda f: f.edit_sidecars(StartTime=1.0), "does not say SliceTimingCorrected", ""),
    "a picture is turned": (turn, "1 pictures of mine carry a camera's orientation", ""),
    "a child's template": (lambda f: f.rename(SPACE, "_space-MNIInfant"), "'MNIInfant' is no template of adults", ""),
}  # fmt: skip


def named(folder, rows, sentence, file):
    """Whether one of the rows says the sentence, of that file, with a remedy."""
    import re

    paths = [str(path.relative_to(folder.folder)) for path in folder.files(f"*{file}")] if file else []
    fitting = [row for row in rows if re.search(sentence, row["sentence"], re.DOTALL) and row["remedy"]]
    return [row for row in fitting if not file or any(row["file"].endswith(path) for path in paths)]


@pytest.mark.parametrize("fault", STOPS)
def test_each_planted_fault_that_stops_a_study_is_named(tmp_path, fault):
    spoil, sentence, file = STOPS[fault]
    folder = OwnFolder(tmp_path / "made")
    spoil(folder)
    report, code = looked_at(folder)
    assert code == 1 and named(folder, report["problems"], sentence, file), report["problems"]
    others = [
        row["sentence"] for row in report["problems"] if row not in named(folder, report["problems"], sentence, "")
    ]
    assert others == []


@pytest.mark.parametrize("fault", MISLEADS)
def test_each_planted_fault_that_misleads_a_study_is_named_and_fails_no_check(tmp_path, fault):
    spoil, sentence, file = MISLEADS[fault]
    folder = OwnFolder(tmp_path / "made")
    spoil(folder)
    report, code = looked_at(folder)
    assert (report["problems"], code) == ([], 0)
    assert named(folder, report["warnings"], sentence, file), report["warnings"]


def test_faults_of_several_runs_are_all_named(tmp_path):
    folder = OwnFolder(tmp_path / "made", n_runs=3)
    change("*run-01_events.tsv", "6.000", "6,000")(folder)
    header_tr(1.0)(folder)
    each("*run-03*preproc_bold.nii.gz", lambda path: path.write_bytes(b"no image"))(folder)
    see_through(folder)
    report, _ = looked_at(folder)
    assert [row["run"] for row in report["problems"]] == [*(f"session 01, run 0{run}" for run in (1, 2, 3)), ""]


@pytest.mark.parametrize(
    ("fault", "keys"),
    [
        ("trial beyond the end", {"leave_out": ["trials_beyond_end"]}),
        ("trial before the start", {"leave_out": ["trials_before_start"]}),
        ("run without BOLD", {"leave_out": ["runs_without_bold"]}),
        ("acquisitions", {"entities": {"acq": "mb"}}),
        ("onset n/a of a trial", {"events_where": {"trial_type": ["image"]}}),
        ("no TR at all", {"tr_s": 2.0}),
        ("no orientation codes", {"space": "T1w"}),
    ],
)
def test_the_remedy_by_a_key_works(tmp_path, fault, keys):
    folder = OwnFolder(tmp_path / "made")
    if "events_where" in keys:
        append("n/a\tn/a\tfeedback\tpic00.png")(folder)
    else:
        STOPS[fault][0](folder)
    if "space" in keys:
        folder.rename(SPACE, "_space-T1w")
    report, code = looked_at(folder, **keys)
    assert (report["problems"], code) == ([], 0)


# ---- what is said


def test_what_would_be_read_is_told(tmp_path):
    folder = OwnFolder(tmp_path / "made")
    folder.edit_sidecars(**MIDDLE)
    report, _ = looked_at(folder)
    (subject,) = report["subjects"]
    assert subject["volumes"] == [60] and subject["tr_s"] == [2.0] and subject["shown"] == [2, 2]
    assert subject["volumes_begin"] == [{"offset_s": 1.0, "by": "StartTime"}]
    splits = {row["name"]: row for row in report["splits"]}
    assert "no train trials" in splits["repeated"]["refusal"]
    assert splits["leave-one-run-out"]["n_folds"] == 2 and splits["leave-one-run-out"]["n_test"] == 20
    assert any("voxel values" in sentence for sentence in report["not_looked_at"])
    assert {guess["key"] for guess in report["guesses"]} >= {"image_column", "task", "space", "tr_s"}


def test_a_voxel_is_never_read(tmp_path, monkeypatch):
    folder = OwnFolder(tmp_path / "made")
    for path in folder.files("*.nii.gz"):
        import gzip

        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:400]))  # the header is whole
    _, code = looked_at(folder)
    assert code == 0


def test_the_command_prints_problems_first_and_gives_its_code(tmp_path, capsys):
    folder = OwnFolder(tmp_path / "made")
    assert main(["check", str(folder.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    header_tr(1.0)(folder)
    assert main(["check", str(folder.folder), "--task", "look", "--subjects", "sub-01"]) == 1
    text = capsys.readouterr().out
    assert (
        text.index("problems, each")
        < text.index("remedy: ")
        < text.index("would be read")
        < text.index("not looked at")
    )


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere"],
        ["{folder}", "--set", "event_where={trial_type: [image]}"],
        ["{folder}", "--response", "glm-lss-fsaverage5"],
        ["{folder}", "--response", "no-such"],
    ],
)
def test_wrong_use_has_code_2_and_says_why(tmp_path, capsys, words):
    folder = OwnFolder(tmp_path / "made")
    assert main(["check", *(word.replace("{folder}", str(folder.folder)) for word in words)]) == 2
    printed = "".join(capsys.readouterr())
    assert "nowhere" in printed or "event_where" in printed or "response" in printed


def test_outside_of_the_project_it_says_where_to_start(tmp_path, monkeypatch, capsys):
    folder = OwnFolder(tmp_path / "made")
    monkeypatch.chdir(tmp_path)
    assert main(["check", str(folder.folder)]) == 2
    assert "start the command in the project's folder" in capsys.readouterr().out


def test_trials_that_no_split_suits_are_told(tmp_path):
    folder = OwnFolder(tmp_path / "made")
    (first, second) = folder.files("*_events.tsv")
    second.write_text(first.read_text())  # what one run shows the other shows too
    report, code = looked_at(folder)
    (warning,) = report["warnings"]
    assert code == 0 and "no split of repeated, tenth-of-runs" in warning["sentence"] and "folds" in warning["remedy"]


def test_a_folder_that_is_no_bids_folder_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    text, code = check(str(tmp_path / "empty"), {})
    assert code == 1 and "has no folders sub-*: is it the BIDS folder?" in " ".join(text.split())


def test_a_file_below_a_folder_with_blanks_is_named(tmp_path):
    folder = OwnFolder(tmp_path / "my data [v2] (copy)")
    change("*run-02_events.tsv", "6.000", "6,000")(folder)
    (problem,) = looked_at(folder)[0]["problems"]
    assert problem["file"] == "sub-01/func/sub-01_task-look_run-02_events.tsv"
    folder = OwnFolder(tmp_path / "my other data")
    volumes("*run-02*mask.nii.gz", lambda values: np.stack([values, values], -1))(folder)
    (problem,) = looked_at(folder)[0]["problems"]
    assert problem["file"].endswith("run-02_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz")


def test_an_archive_of_pictures_is_told_as_not_looked_at_and_a_folder_that_is_not_there_is_a_problem(tmp_path):
    folder = OwnFolder(tmp_path / "made")
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", folder.folder / "stimuli")
    report, code = looked_at(folder, stimuli_root=archive)
    assert code == 0 and any("the archive" in sentence for sentence in report["not_looked_at"])
    report, code = looked_at(folder, stimuli_root=str(tmp_path / "nowhere"))
    assert code == 1 and "no such folder or archive" in report["problems"][0]["sentence"]


def test_a_subject_without_derivatives_is_named_and_can_be_left_out(tmp_path):
    folder = OwnFolder(tmp_path / "made")
    with_another_subject(folder)
    shutil.rmtree(folder.folder / "derivatives/fmriprep/sub-02")
    report, code = looked_at(folder)
    (problem,) = report["problems"]
    assert code == 1 and problem["subject"] == "sub-02" and "BOLD of sub-02" in " ".join(report["not_looked_at"])
    assert looked_at(folder, subjects=["sub-01"])[1] == 0


def test_a_repetition_time_is_read_from_sidecars_beside_volumes_that_are_broken(tmp_path):
    """As in public copies of derivatives whose images are empty files."""
    folder = OwnFolder(tmp_path / "made")
    for path in folder.files("*preproc_bold.nii.gz"):
        path.write_bytes(b"")
    report, _ = looked_at(folder)
    assert report["entry"]["tr_s"] == 2.0
    assert not any("tr_s" in json.dumps(problem) for problem in report["problems"])
    assert sum("(0 bytes) is no whole NIfTI" in json.dumps(problem) for problem in report["problems"]) == 2


def test_a_note_on_many_subjects_is_one_line(tmp_path):
    folder = OwnFolder(tmp_path / "made")
    with_another_subject(folder)
    text, _ = check(str(folder.folder), {})
    assert "further remarks of this kind: 1" in " ".join(text.split())
