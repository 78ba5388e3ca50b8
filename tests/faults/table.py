"""The table of faults: what is injected, what comes of it, and which test shows it.

``python -m tests.faults.table > docs/faults.md`` writes the page; a test keeps it equal to the records.
"""

from dataclasses import dataclass

EVENTS = "tests/faults/test_event_faults.py"
BOLD = "tests/faults/test_bold_faults.py"
REGIONS = "tests/faults/test_region_faults.py"
SPLITS = "tests/faults/test_split_faults.py"
FILES = "tests/faults/test_file_faults.py"
PROCESSES = "tests/faults/test_process_faults.py"
NETWORKS = "tests/faults/test_training_faults.py"
CHECKPOINTS = "tests/unit/artifacts/store/test_progress_files.py"
TRAINING = "tests/unit/core/networks/test_training.py"
CLUSTER = "tests/slurm/test_faults.py"
SEALED = "tests/slurm/test_study.py"
EDITS = "tests/faults/test_edits.py"
FETCH = "tests/faults/test_fetch_faults.py"
FEATURES = "tests/faults/test_feature_faults.py"
EXTRACTION = "tests/unit/stages/features/test_extraction.py"
DINOV2 = "tests/unit/features/test_dinov2.py"
GET = "tests/unit/artifacts/arrival/test_annex_get.py"
CHECKS = "tests/unit/artifacts/arrival/test_checks.py"
ARCHIVES = "tests/unit/artifacts/formats/test_archives.py"
BETAS = "tests/long/test_published_betas.py"
NSD = "tests/faults/test_nsd_faults.py"
NSD_READERS = "tests/unit/datasets/test_nsd.py"
ALGONAUTS = "tests/unit/datasets/test_algonauts.py"
MAPPINGS = "tests/unit/artifacts/formats/test_mappings.py"
ESTIMATE = "tests/unit/commands/estimate/test_estimate.py"
CONFIG = "tests/workflow/test_config.py"
RERUNS = "tests/integration/test_reruns.py"
CUT_OFF = "tests/long/test_cut_off.py"
PUT_BACK = "tests/workflow/test_put_back.py"
ISSUES = {"E": 6, "F": 7, "H": 9, "I": 10}

Test = tuple[str, str]  # file, name


@dataclass(frozen=True)
class Row:
    """One fault. ``waits`` names the issue that brings what is missing, and what that is; empty where nothing is."""

    number: int
    fault: str
    injection: str = ""
    outcome: str = ""
    tests: tuple[Test, ...] = ()
    waits: tuple[tuple[str, str], ...] = ()


ROWS = (
    Row(
        1,
        "Misspelt key, wrong type, unknown model",
        "the catalogue and the study are edited",
        "parsing stops within 5 s of processor time; key, value and nearest valid names are told; no job starts",
        (
            (EDITS, "test_wrong_configuration_stops_at_parse_within_seconds"),
            (CONFIG, "test_it_stops_at_parse_and_names_key_value_and_what_would_be_right"),
        ),
    ),
    Row(
        2,
        "Region that a subject lacks",
        "a response asks for regions V1 and nope; files of regions that are not there, are empty, of another mesh, cut "
        "short, or of a region that the data set has too; regions of NSD from another subject's grid",
        "refused before BOLD is cleaned; the regions that there are are listed, with the files looked for and the "
        "numbers of vertices that fit",
        (
            (BOLD, "test_repetition_times_regions_and_voxels_without_signal"),
            (REGIONS, "test_regions_of_files_that_are_missing_empty_of_another_mesh_or_named_twice"),
            (NSD, "test_betas_of_another_scale_and_regions_of_another_grid_are_refused_with_the_likely_cause"),
        ),
    ),
    Row(
        3,
        "Repetition times that disagree",
        "another time in a sidecar; another time in header and sidecar than in the facts",
        "refused, with subject, run and the three times",
        (
            (BOLD, "test_repetition_times_regions_and_voxels_without_signal"),
            (BOLD, "test_repetition_times_that_agree_with_each_other_but_not_with_the_facts_and_a_run_cut_short"),
        ),
    ),
    Row(
        4,
        "Events and pictures that do not match",
        "names of pictures that there are not; all pictures one row too low; a picture that no event shows; NSD's "
        "sessions shuffled, ids counted from 0",
        "the first two are refused, with counts on both sides and the first five with their lines, and a shift is "
        "called one (seen where the events' `trial_type` contradicts the pictures' categories); pictures that are "
        "never shown are allowed and counted in the log of `list_trials`; trials of NSD are held against its design, "
        "and the cause is named",
        (
            (EVENTS, "test_events_and_pictures_that_do_not_match_are_refused_with_counts_on_both_sides"),
            (NSD, "test_shuffled_sessions_and_ids_that_are_off_by_one_are_refused_before_a_trial_is_listed"),
            (NSD_READERS, "test_trials_that_are_not_the_designs_are_refused_with_the_likely_cause"),
        ),
    ),
    Row(
        5,
        "The same picture in training and test, or in two data sets",
        "a JPEG of a test picture, and another test picture as it is, under training pictures' names; a second data "
        "set with the same pictures",
        "grouped; a copy goes to test with its original; every pair is listed in the split's `overlaps`",
        ((SPLITS, "test_copies_of_test_pictures_never_train_and_are_listed"),),
    ),
    Row(
        6,
        "Repeats of a picture in training and test",
        "a trial of a test picture is moved to training in the split's file",
        "training and scoring both refuse and name the picture",
        ((SPLITS, "test_a_split_in_which_a_picture_crosses_is_refused_by_training_and_by_scoring"),),
    ),
    Row(
        7,
        "NaN, constant, infinite voxels",
        "slabs of a run become constant, NaN and infinite; a run does not vary at all",
        "vertices that they reach are masked and counted by cause in `responses.json`, the others are as before; above "
        "`max_masked` the subject is refused",
        ((BOLD, "test_repetition_times_regions_and_voxels_without_signal"),),
    ),
    Row(
        8,
        "Wrong scale of betas",
        "every session of published betas is 300 times too large; sessions swapped, names shifted, a file cut; "
        "betas of NSD not divided by 300, or divided twice, and the files of two of its sessions exchanged",
        "refused with the spread found, what is plausible in that unit, and the likely cause; mended files give the "
        "same responses again",
        (
            (BETAS, "test_what_cannot_be_is_refused_and_mended"),
            (NSD, "test_betas_of_another_scale_and_regions_of_another_grid_are_refused_with_the_likely_cause"),
        ),
    ),
    Row(
        9,
        "Flipped byte in an annexed file",
        "a server changes a byte of one subject's file always, of another's once; a file is cut short; a byte flips on "
        "this machine's disk; a file of NSD, for which no checksum is published, changes after its first arrival",
        "fetched once more, then named with path, key, expected and found size and checksum; other subjects go on "
        "under `--keep-going`, nothing after the broken one starts; damage on the disk is noticed when the fetch rule "
        "runs again; without a published checksum the SHA-256 of the first arrival counts, and both are shown",
        (
            (NSD, "test_files_that_are_cut_short_pages_or_changed_upstream_are_refused_and_fetched_anew_when_mended"),
            (FETCH, "test_a_flipped_byte_is_fetched_once_more_and_then_named_and_other_subjects_go_on"),
            (GET, "test_content_that_never_matches_is_named_with_expected_and_found"),
            (GET, "test_content_damaged_on_this_disk_is_noticed_and_fetched_again"),
        ),
    ),
    Row(
        10,
        "Annexed content dropped in mid-workflow",
        "the content of one run is removed",
        "the job says content absent and gives the command, and that command mends it",
        ((RERUNS, "test_dropped_content_names_the_command_that_brings_it_back"),),
    ),
    Row(
        11,
        "HTML page or truncated gzip as an image",
        "a run cut short, and a page in place of a mask: sent by the server, published so, and planted after arrival",
        "refused at arrival (gzip CRC, headers, pictures, HDF5, JSON, GIFTI, web pages), with file and bytes; no "
        "receipt is written; the stage that reads them refuses too",
        (
            (FETCH, "test_what_is_broken_as_published_is_refused_at_arrival"),
            (NSD, "test_files_that_are_cut_short_pages_or_changed_upstream_are_refused_and_fetched_anew_when_mended"),
            (GET, "test_content_that_does_not_match_is_fetched_once_more"),
            (CHECKS, "test_what_is_something_else_is_refused_by_name_and_bytes"),
            (CHECKS, "test_files_cut_short_are_refused"),
            (BOLD, "test_repetition_times_that_agree_with_each_other_but_not_with_the_facts_and_a_run_cut_short"),
        ),
    ),
    Row(
        12,
        "Truncated HDF5, Parquet, npy, safetensors",
        "a file of each kind loses its last third; a network's weights are cut short, the rows of a feature that was "
        "interrupted too",
        "refused with file and bytes by the job that reads it, a network already when it arrives; rows that "
        "are not whole "
        "are made again",
        (
            (FILES, "test_files_cut_short_are_refused_with_name_and_bytes"),
            (NSD_READERS, "test_files_that_are_cut_short_are_refused_at_arrival_and_by_their_readers"),
            (FEATURES, "test_networks_that_bring_code_or_moved_are_refused_and_no_code_of_theirs_runs"),
            (EXTRACTION, "test_rows_of_other_work_and_rows_that_are_not_whole_are_not_used"),
        ),
    ),
    Row(
        13,
        "Locks on a network file system",
        "another process holds the file, as HDF5 locks it",
        "HDF5 is opened to read only, and without a lock, which such file systems refuse or keep after a crash",
        ((NSD_READERS, "test_a_file_that_is_locked_elsewhere_is_read"),),
    ),
    Row(
        14,
        "kill -9 of a training job",
        "the process is killed at three random moments after a checkpoint, a network in training at five, on a real "
        "Slurm too; jobs that describe 500 pictures in three shards are killed at five",
        "the next try goes on from the last whole checkpoint; predictions, history, weights and scores are byte for "
        "byte the undisturbed run's; at most two checkpoints of a fit are kept; features too, and no shard "
        "is made twice",
        (
            (PROCESSES, "test_a_training_killed_at_random_moments_goes_on_from_its_last_whole_checkpoint"),
            (CLUSTER, "test_a_network_killed_five_times_gives_the_bits_of_one_that_was_left_alone"),
            (PROCESSES, "test_a_checkpoint_of_other_settings_is_not_used"),
            (
                FEATURES,
                "test_five_hundred_pictures_killed_five_times_give_the_undisturbed_features_and_no_shard_is_made_twice",
            ),
            (EXTRACTION, "test_a_try_goes_on_from_the_rows_that_were_kept"),
            (EXTRACTION, "test_a_job_that_is_asked_to_end_keeps_its_block"),
            (NETWORKS, "test_a_network_killed_five_times_and_asked_to_end_gives_the_bits_of_one_that_was_left_alone"),
            (TRAINING, "test_a_fit_stopped_at_any_step_gives_the_same_bits"),
        ),
    ),
    Row(
        15,
        "SIGTERM, preemption, time limit, scancel",
        "SIGTERM and SIGINT to the training; on a real Slurm preemption with and without grace, scancel, time limit",
        "a checkpoint at the next step, then an end with an exit code at which Snakemake tries again; the next try "
        "goes on from there",
        (
            (PROCESSES, "test_a_training_that_is_asked_to_end_keeps_the_step_it_is_at"),
            (PROCESSES, "test_an_interruption_of_snakemake_alone_reaches_its_jobs"),
            (CLUSTER, "test_a_preempted_job_keeps_its_progress_and_goes_on"),
            (CLUSTER, "test_a_job_preempted_without_notice_is_not_waited_for"),
            (CLUSTER, "test_a_job_cancelled_by_somebody_is_not_waited_for"),
            (CLUSTER, "test_a_job_at_its_time_limit_keeps_its_progress_and_goes_on"),
        ),
    ),
    Row(
        16,
        "The same job twice",
        "a second Snakemake without lock starts the training that is at work",
        "the second waits for the first and leaves its outputs untouched (same inode and time)",
        ((PROCESSES, "test_the_same_job_started_twice_is_done_once"),),
    ),
    Row(
        17,
        "Two Snakemake runs at once",
        "a second run with the same targets, and one with others",
        "same targets: it stops and names process, user, host and command of the run at work; others: both finish",
        (
            (PROCESSES, "test_two_snakemakes_with_the_same_targets"),
            (CLUSTER, "test_two_snakemakes_with_the_same_targets"),
            (CLUSTER, "test_two_snakemakes_with_other_targets_both_finish"),
        ),
    ),
    Row(
        18,
        "kill -9 of Snakemake",
        "Snakemake is killed while its job trains, on one machine and on Slurm; there also with a job in the queue",
        "the next run names the run that is gone and how to unlock; then jobs that live are waited for and not done "
        "again, those in the queue are cancelled, and the scores are the undisturbed run's",
        (
            (PROCESSES, "test_snakemake_killed_while_its_job_lives"),
            (CLUSTER, "test_snakemake_killed_while_a_job_lives"),
            (CLUSTER, "test_snakemake_killed_while_jobs_live_and_wait"),
        ),
    ),
    Row(
        19,
        "Slurm's controller killed",
        "slurmctld is killed in mid-training and started again",
        "the job goes on meanwhile; it is submitted once and trained once",
        ((CLUSTER, "test_the_controller_is_killed_while_a_job_lives"),),
    ),
    Row(
        20,
        "Disk full",
        "files may not grow beyond 200 kB, so that responses, weights, features and the pack of pictures cannot be "
        "written; checkpoints of a network in training fill a small file system",
        "no half file; file and free bytes are told, of weights and checkpoints their own bytes too; the "
        "next run completes, a training from its last whole checkpoint; `estimate` would have said so before",
        (
            (FILES, "test_a_full_disk_leaves_no_half_file_and_says_what_is_free"),
            (FEATURES, "test_a_full_disk_leaves_no_half_features_and_the_next_run_completes"),
            (NETWORKS, "test_a_disk_that_fills_in_a_checkpoint_stops_the_training_which_goes_on_once_there_is_room"),
            (CHECKPOINTS, "test_a_disk_that_fills_in_a_checkpoint_is_told_of_and_what_was_kept_is_whole"),
            (ESTIMATE, "test_what_fits_and_what_does_not_is_said_by_words_and_by_exit_code"),
        ),
    ),
    Row(
        21,
        "Out of memory",
        "a model takes 3 GB on a Slurm node where its job asked for 2; a network tells that its device's "
        "memory is full "
        "(simulated: no GPU was at hand)",
        "the job is killed and tried again with twice the memory; the network goes on with half as many "
        "pictures at once, "
        "says so, and gives the same features; so does a network in training, with the batch of a step unchanged",
        (
            (CLUSTER, "test_a_job_over_its_memory_is_tried_again_with_twice_as_much"),
            (DINOV2, "test_out_of_memory_halves_the_batch_says_so_and_gives_the_same_rows"),
            (TRAINING, "test_out_of_memory_goes_on_in_smaller_pieces_and_says_so"),
        ),
    ),
    Row(
        22,
        "A Slurm node dies",
        "slurmd of the training's node and all below it are killed at once",
        "one more try on another node, from the checkpoint; scores are the undisturbed run's",
        ((CLUSTER, "test_a_node_that_dies_in_mid_training"),),
    ),
    Row(
        23,
        "Delayed network file system, clock skew",
        "outputs appear four seconds after the job's end; receipts an hour in the future",
        "outputs are waited for (`latency-wait`); nothing is fetched again",
        (
            (CLUSTER, "test_a_file_that_appears_late_is_waited_for"),
            (CLUSTER, "test_clocks_that_disagree_rerun_nothing"),
        ),
    ),
    Row(
        24,
        "No network on compute nodes",
        "all networks are taken from Snakemake (`unshare -n`), before and after `snakemake prefetch`; sockets of the "
        "internet are blocked in the jobs on a real Slurm",
        "before: the file that is missing and the prefetch command are named; after: the study runs to its report, "
        "with the scores of the run that had a network",
        (
            (FETCH, "test_after_prefetch_nothing_needs_a_network_and_without_it_the_error_says_so"),
            (SEALED, "test_after_prefetch_no_job_needs_a_network"),
            (FEATURES, "test_networks_arrive_by_prefetch_alone_and_are_then_opened_without_any_network"),
        ),
    ),
    Row(
        25,
        "Upstream moved",
        "the origin has newer commits; then the pinned commit is one that it does not have; a user's pictures are "
        "others than at first use, and so is a network; a network is not the one whose SHA-256 is pinned",
        "the pinned commit is fetched and the receipt is the same; a commit that is not there stops with it and the "
        "origin's HEAD; other pictures and other networks stop with both checksums",
        (
            (FETCH, "test_an_origin_that_moved_changes_nothing_and_one_that_lost_the_commit_shows_both"),
            (FETCH, "test_pictures_of_the_users_own_are_trusted_as_first_seen"),
            (FETCH, "test_a_part_of_the_pictures_is_refused_before_it_is_trusted"),
            (FETCH, "test_a_mistyped_origin_costs_nothing_that_was_there"),
            (FEATURES, "test_networks_that_bring_code_or_moved_are_refused_and_no_code_of_theirs_runs"),
        ),
    ),
    Row(
        26,
        "Hostile archive",
        "archives of pictures with `../`, absolute paths, links, devices, names twice, more bytes than allowed or "
        "stated",
        "refused before a byte is written, with the member's name; no file appears anywhere",
        (
            (FETCH, "test_hostile_archives_are_refused_before_anything_is_written"),
            (ARCHIVES, "test_names_that_lead_out_are_refused"),
            (ARCHIVES, "test_links_and_devices_in_a_tar_are_refused"),
            (ARCHIVES, "test_links_and_devices_in_a_zip_are_refused"),
            (ARCHIVES, "test_names_that_come_twice_are_refused"),
            (ARCHIVES, "test_a_bomb_is_refused_by_what_it_states"),
            (ARCHIVES, "test_a_bomb_is_stopped_where_more_comes_than_it_states"),
        ),
    ),
    Row(
        27,
        "Malicious pickle or remote code",
        "networks whose settings name code of their own, whose weights are pickles, or pickles under the name of "
        "safetensors; such settings put in place after the network has arrived; a pickle in place of one "
        "whose SHA-256 is known; a pickled table of the names of regions (Algonauts 2023) with a call in it",
        "refused by name when they arrive and before they are opened; what would have run has not; code and "
        "pickles that lie beside safetensors are not even copied; a pickled table of names is never unpickled",
        (
            (FEATURES, "test_networks_that_bring_code_or_moved_are_refused_and_no_code_of_theirs_runs"),
            (ALGONAUTS, "test_a_mapping_with_code_is_refused_by_name_and_its_canary_is_untouched"),
            (MAPPINGS, "test_a_pickle_with_code_is_refused_by_name_and_its_canary_is_untouched"),
        ),
    ),
    Row(
        28,
        "Cosmetic edit",
        "comments, docstrings, a figure's colour",
        "comments rerun nothing, a colour reruns its figure and the report; the dry run gives the reason",
        (
            (EDITS, "test_a_colour_reruns_one_figure_and_the_dry_run_says_why"),
            (RERUNS, "test_comments_and_docstrings_rerun_nothing"),
            (RERUNS, "test_an_edit_of_one_figure_reruns_that_figure_and_the_report"),
        ),
    ),
    Row(
        29,
        "PYTHONHASHSEED varied",
        "dry runs of the finished study under three seeds",
        "nothing to be done",
        ((RERUNS, "test_nothing_is_left_to_do_whatever_the_hash_seed"),),
    ),
    Row(
        30,
        "NSD agreement not given",
        "the entry names nobody who signed; everything is to be fetched beforehand",
        "it stops before the first byte, with the form's address and the key to set; nothing is asked of the bucket, "
        "and what would be fetched can be planned",
        (
            (NSD, "test_without_the_agreement_nothing_is_asked_of_the_bucket"),
            (NSD, "test_the_study_runs_whole_and_only_its_files_are_fetched"),
            ("tests/unit/stages/fetch/test_agreement.py", "test_half_an_agreement_is_refused_at_parse"),
            (ALGONAUTS, "test_without_the_agreement_nothing_is_read"),
        ),
    ),
    Row(
        31,
        "Server stalls or fails",
        "answers 429 and 503, connections cut at random bytes, stalls before and after the first byte, no Range; the "
        "run is interrupted five times at random by SIGINT, and by kill -9",
        "bounded tries with growing waits, resumed where the server can, verified: the receipts are the undisturbed "
        "run's, nothing whole is fetched again and no process outlives the run; a server that stays busy is given up "
        "and named",
        (
            (FETCH, "test_busy_stalled_and_cutting_servers_end_in_the_undisturbed_receipts"),
            (FETCH, "test_a_server_that_stays_busy_is_given_up_and_named"),
            (FETCH, "test_a_run_that_is_interrupted_five_times_goes_on_and_fetches_nothing_twice"),
            (GET, "test_a_busy_server_is_asked_again"),
            (GET, "test_connections_cut_at_random_bytes_are_resumed_where_the_server_can"),
            (GET, "test_a_stalled_server_is_given_up_in_bounded_time_and_asked_again"),
        ),
    ),
    Row(
        32,
        "CRLF, byte order mark, empty, doubled, reordered event rows",
        "tables of events are rewritten in the clone",
        "other line ends, a byte order mark, blank lines and order in time are read right (the trial table is byte for "
        "byte the same); an empty table, a doubled row and a number that is none are refused with the line",
        (
            (EVENTS, "test_other_spellings_are_read_right_and_broken_tables_are_refused_by_line"),
            (EVENTS, "test_events_and_pictures_that_do_not_match_are_refused_with_counts_on_both_sides"),
        ),
    ),
    Row(
        33,
        "A wrong setting, or an edit that fails, over good results",
        "a response asks for a region that is not there, a figure's code raises; a job of a scratch workflow with an "
        "output above Snakemake's checksum limit fails, twice",
        "the outputs that stood before are put back with their times and with Snakemake's records of them; with the "
        "setting of before there is nothing to be done, with the wrong one the job fails again",
        (
            (CUT_OFF, "test_a_setting_that_is_refused_and_a_figure_that_cannot_be_drawn_cost_nothing"),
            (PUT_BACK, "test_a_job_that_fails_costs_nothing_that_was_there_and_a_wrong_setting_fails_again"),
        ),
    ),
    Row(
        34,
        "kill -9 of a run over good results",
        "Snakemake is killed while a job remakes outputs, with the job or without it",
        "the next command in the folder, a dry run too, puts back what stood before, once no process holds the job's "
        "claim; Slurm jobs that are still known are left alone",
        ((PUT_BACK, "test_a_run_that_is_killed_costs_nothing_that_was_there"),),
    ),
    Row(
        35,
        "Outputs deleted or edited by hand, edits of what only fetches",
        "an output is deleted, another changed in its place; a line of the download's code, and a byte of what is "
        "simulated, are changed",
        "deleted outputs are put back if nothing that they are made of has changed, edited ones are made again; after "
        "the edit of the download the fetches alone are done, after the changed byte all that reads it; a rerun that "
        "is asked for is done",
        (
            (PUT_BACK, "test_deleted_outputs_come_back_and_those_that_were_edited_in_place_are_made_again"),
            (PUT_BACK, "test_jobs_behind_one_that_made_the_same_again_put_back_what_they_had_made"),
            (PUT_BACK, "test_what_is_asked_for_is_done"),
            (CUT_OFF, "test_an_edit_of_what_fetches_is_followed_by_the_fetches_alone"),
            (CUT_OFF, "test_a_changed_byte_of_what_is_simulated_is_followed_by_all_that_reads_it"),
        ),
    ),
)

HEAD = """# Faults and what comes of them

Each fault is injected into a real run of the workflow, in a copy of the finished study `demo-tiny`. The tests check the
message, the exit code, that no finished file was touched and no half file stayed, and that the next run, once the cause
is mended, completes with the results of an undisturbed run. Rows without a test name the issue of this project that
they wait for. Written by `python -m tests.faults.table` from the records beside the tests.

| # | Fault | Injection | Outcome | Tests |
|---|---|---|---|---|"""


def render() -> str:
    """Give the page."""
    return "\n".join([HEAD, *(_line(row) for row in ROWS)]) + "\n"


def _line(row: Row) -> str:
    shown = [f"`{path.removeprefix('tests/')}::{name}`" for path, name in row.tests]
    waits = [f"{what}: issue {ISSUES[letter]} ({letter})" for letter, what in row.waits]
    told = [*shown, *([f"waits for {'; '.join(waits)}"] if waits else [])]
    return f"| {row.number} | {row.fault} | {row.injection} | {row.outcome} | {'<br>'.join(told)} |"


if __name__ == "__main__":
    print(render(), end="")
