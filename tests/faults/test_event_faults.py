"""Tables of events that are not as they should be: rows 4 and 32."""

import pytest

from boldflow.artifacts.store import tables

pytestmark = pytest.mark.end_to_end
SUBJECTS = ("sub-01", "sub-02", "sub-03")
TRIALS = "results/sim-tiny/{}/trials.parquet"
ALL = [TRIALS.format(subject) for subject in SUBJECTS]


def events(subject, run):
    return f"resources/clones/sim-tiny/{subject}/ses-01/func/{subject}_ses-01_task-images_run-{run:02d}_events.tsv"


def rows_of(study, path):
    header, *rows = study.read(path).decode().splitlines()
    return header, rows


def put(study, path, header, rows):
    study.plant(path, ("\n".join([header, *rows]) + "\n").encode())


def test_other_spellings_are_read_right_and_broken_tables_are_refused_by_line(study):
    """Windows line ends, byte order mark, order, blank lines; an event listed twice; an empty file."""
    for run in (1, 2, 3):
        path = events("sub-01", run)
        header, rows = rows_of(study, path)
        written = {
            1: b"\xef\xbb\xbf" + "\r\n".join([header, *rows, ""]).encode(),
            2: "\n".join([header, *reversed(rows), ""]).encode(),
            3: ("\n".join([header, *rows]) + "\n\n\n").encode(),
        }
        study.plant(path, written[run])
    header, rows = rows_of(study, events("sub-02", 2))
    put(study, events("sub-02", 2), header, [*rows[:4], rows[3], *rows[4:]])
    study.plant(events("sub-03", 3), b"")
    study.fails(
        *ALL,
        says=[
            f"{events('sub-02', 2)}, line 6: the event at 36 s (line 5) is listed twice",
            f"{events('sub-03', 3)} (0 bytes) is empty; expected a header with onset, duration, trial_type, stim_file",
        ],
    )
    assert study.read(ALL[0]) == (study.whole / ALL[0]).read_bytes()
    study.mend()
    study.completes(*ALL)


def test_events_and_pictures_that_do_not_match_are_refused_with_counts_on_both_sides(study):
    """A picture that there is not; pictures one row too low; no number. A picture that is never shown is counted."""
    for run in (1, 3):
        header, rows = rows_of(study, events("sub-01", run))
        put(study, events("sub-01", run), header, [*rows[:2], *(r.replace("_t", "_x") for r in rows[2:6]), *rows[6:]])
    for run in (1, 2, 3, 4):
        header, rows = rows_of(study, events("sub-02", run))
        told, pictures = zip(*(row.rsplit("\t", 1) for row in rows), strict=True)
        shifted = [f"{one}\t{picture}" for one, picture in zip(told, (pictures[-1], *pictures[:-1]), strict=True)]
        put(study, events("sub-02", run), header, shifted)
    header, rows = rows_of(study, events("sub-03", 1))
    put(study, events("sub-03", 1), header, [*rows[:4], rows[4].replace("46.0", "4s6"), *rows[5:]])
    said = study.fails(
        *ALL,
        says=[
            "8 of 96 events show ",
            " pictures that are not among the 60 of resources/clones/sim-tiny/stimuli/stimuli.tsv",
            "_run-01_events.tsv, line 4; ",
            " of 96 events name another category (trial_type) than resources/clones/sim-tiny/stimuli/stimuli.tsv",
            " of its 60 pictures; the first are ",
            "moved up by one row, the pictures of ",
            f"{events('sub-03', 1)}, line 6: onset must be a number, not '4s6'",
        ],
    )
    (lost,) = {line for line in said.splitlines() if "list_trials: ValueError: 8 of 96" in line}
    assert lost.count("_events.tsv, line ") == 5
    study.mend()
    header, rows = rows_of(study, events("sub-01", 4))
    once = next(k for k, row in enumerate(rows) if "_train-" in row)
    put(study, events("sub-01", 4), header, [*rows[:once], *rows[once + 1 :]])
    study.completes(*ALL[1:])
    study.snakemake("-f", ALL[0], "--config", "study=demo-tiny")  # the last good table stands until it is asked for
    table = tables.read(study.folder / ALL[0])
    assert len(table) == 95
    picture = rows[once].rsplit("\t", 1)[1]
    log = (study.folder / "logs/list_trials/sim-tiny_sub-01.log").read_text()
    assert f"1 of 60 pictures are shown in no event of sub-01, the first are ['{picture}']" in log
