"""The smallest simulated study, run whole through Snakemake: what the truth says must come out."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

STUDY = "demo-tiny"
SUBJECTS = ["sub-01", "sub-02", "sub-03"]
pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def board(finished):
    return pd.read_parquet(finished.folder / f"results/studies/{STUDY}/leaderboard.parquet")


def rows(board, **wanted):
    for key, value in wanted.items():
        board = board[board[key] == value]
    return board


def test_ridge_decodes_above_chance_in_every_subject(board):
    found = rows(board, model="ridge", feature="gabor", metric="inv_norm_rank", view="image", gallery="test")
    assert sorted(found["subject"]) == SUBJECTS
    assert (found["ci_low"] > found["chance"]).all()
    assert found["primary"].all()


def test_dummy_is_at_chance_exactly_and_chance_covers_it(board):
    dummy = rows(board, model="dummy", feature="gabor", gallery="test")
    assert len(dummy) and (dummy["value"] - dummy["chance"]).abs().max() < 1e-9
    chance = rows(board, model="chance", metric="inv_norm_rank", view="image", gallery="test")
    assert ((chance["ci_low"] <= 0.5) & (chance["ci_high"] >= 0.5)).all()


def test_early_visual_vertices_are_predicted_and_silent_ones_are_not(board):
    early = rows(board, model="ridge-encoder", metric="r", roi="early")
    silent = rows(board, model="ridge-encoder", metric="r", roi="silent")
    assert sorted(early["subject"]) == SUBJECTS == sorted(silent["subject"])
    assert (early["ci_low"] > 0.1).all()
    assert ((silent["ci_low"] <= 0) & (silent["ci_high"] >= 0)).all()


def test_ceilings_are_high_where_the_brain_responds(board):
    found = rows(board, model="ridge-encoder", metric="ceiling").pivot_table(
        index="subject", columns="roi", values="value"
    )
    assert (found["early"] > found["silent"] + 0.2).all()


def test_every_row_says_simulated_and_has_the_columns_of_the_tidy_table(board):
    from boldflow.artifacts.store.leaderboard import COLUMNS

    assert list(board.columns) == COLUMNS
    assert board["simulated"].all()
    assert board["code_digest"].notna().all() and board["data_digest"].notna().all()
    assert set(board["protocol"]) == {"ours"}


def test_the_split_holds_every_presentation_of_a_test_picture(finished):
    folder = finished.folder / "results/sim-tiny"
    split = pd.read_parquet(folder / "splits/repeated.parquet")
    for subject in SUBJECTS:
        trials = pd.read_parquet(folder / subject / "trials.parquet").merge(
            split, on=["subject", "session", "run", "trial"]
        )
        shown = trials.groupby("image_id").agg(n=("trial", "size"), parts=("part", "nunique"), part=("part", "first"))
        assert (shown["parts"] == 1).all()
        assert ((shown["n"] > 1) == (shown["part"] == "test")).all()


def test_train_and_test_pictures_share_no_pixels(finished):
    table = pd.read_parquet(finished.folder / "results/sim-tiny/stimuli.parquet")
    assert table["sha256"].is_unique


def test_receipts_list_what_arrived_and_are_the_same_when_made_again(finished):
    """Exactly one subject's files arrive with its receipt; the checksum is git-annex's own."""
    folder = finished.folder / "resources/receipts/sim-tiny"
    receipts = {str(p.relative_to(folder)): json.loads(p.read_text()) for p in folder.rglob("*.json")}
    assert set(receipts) == {"dataset.json", "stimuli.json", *(f"{subject}/bold.json" for subject in SUBJECTS)}
    for subject in SUBJECTS:
        files = receipts[f"{subject}/bold.json"]["files"]
        assert files and all(subject in row["path"] for row in files)
        assert all(row["size"] > 0 and re.match(r"(md5|sha256):", row["checksum"]) for row in files)
    text = (folder / "sub-01/bold.json").read_text()
    assert "date" not in text and str(finished.folder) not in text


# what each figure was drawn from, as the note inside it names it
SOURCES = {
    "leaderboard": b"demo-tiny/leaderboard.parquet",
    "encoding-map": b"ridge-encoder/repeated/map.parquet",
    "ceiling-map": b"ridge-encoder/repeated/map.parquet",
    "retrieval-examples": b"ridge/repeated/queries.parquet",
}


def test_figures_exist_in_four_forms_and_carry_their_provenance(finished):
    folder = finished.folder / f"results/studies/{STUDY}/figures"
    names = {"leaderboard", "encoding-map", "ceiling-map", "retrieval-examples"}
    assert {p.name for p in folder.iterdir()} == {f"{n}.{s}" for n in names for s in ("pdf", "svg", "png", "csv")}
    for name in names:
        assert "SIMULATED" in (folder / f"{name}.svg").read_text()
        assert SOURCES[name] in (folder / f"{name}.png").read_bytes()
        assert "simulated" in pd.read_csv(folder / f"{name}.csv").columns


def test_the_report_is_one_file_that_needs_no_network_and_says_simulated(finished):
    page = (finished.folder / f"results/studies/{STUDY}/report/index.html").read_text()
    assert "SIMULATED" in page
    assert not re.search(r"""(src|srcset)\s*=\s*["'](?!data:)""", page)
    assert not re.search(r"<link[^>]*href=(?!.data:)|@import|url\([^)]*http", page)
    assert str(finished.folder) not in page


def test_show_prints_the_head_and_the_place(finished):
    command = [sys.executable, "-m", "boldflow", "show", STUDY]
    found = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=True).stdout
    assert "SIMULATED" in found and f"results/studies/{STUDY}/report/index.html" in found and "ridge" in found
    missing = subprocess.run([*command[:-1], "haxby"], cwd=finished.folder, capture_output=True, text=True, check=False)
    assert missing.returncode == 1 and "snakemake --profile cpu --config study=haxby" in missing.stderr


def test_logs_hold_progress_and_no_traceback(finished):
    log = next((finished.folder / "logs/project_responses").glob("*sub-01*.log")).read_text()
    assert "project to fsaverage5" in log and "Traceback" not in log


def test_costs_are_in_a_table_of_their_own(finished):
    costs = pd.read_parquet(finished.folder / f"results/studies/{STUDY}/costs.parquet")
    made = {"list_trials", "pack_stimuli", "make_split", "project_responses", "cache_features"}
    fetched = {"fetch_dataset", "fetch_subject", "fetch_stimuli"}
    assert set(costs["rule"]) == {"train_model", "score_model", *made, *fetched}
    assert (costs["seconds"] > 0).all()


def test_p_is_small_where_there_is_something_and_says_how_it_was_found(board):
    ridge = rows(board, model="ridge", metric="inv_norm_rank", view="image", gallery="test")
    assert (ridge["p"] < 0.05).all() and set(ridge["p_kind"]) == {"refit"} and (ridge["n_permutations"] == 1000).all()
    assert rows(board, model="chance")["p"].isna().all()
    silent = rows(board, model="ridge-encoder", metric="r", roi="silent")
    assert (silent["p"] > 0.05).all()


def test_models_are_compared_pair_by_pair_over_the_same_pictures(finished):
    found = pd.read_csv(finished.folder / f"results/studies/{STUDY}/comparisons.csv")
    primary = found[found["primary"]]
    assert primary.groupby("subject").size().tolist() == [6, 6, 6]  # four decoders of the same pictures
    against = primary[primary["model_a"].isin(["ridge"]) & primary["model_b"].isin(["dummy"])]
    assert (against["difference"] > 0).all()
    assert (found["tied"] == ~((found["p_holm"] <= 0.05) & ((found["ci_low"] > 0) | (found["ci_high"] < 0)))).all()
