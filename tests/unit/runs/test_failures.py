"""The end of a run names the jobs that failed, and why."""

from boldflow.runs import failures


def test_each_failure_is_told_with_its_subject_and_its_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures.note(
        ["a", "b"], "fetch_subject", {"dataset": "mine", "subject": "sub-02"}, "ValueError: cut\n short", "l.log"
    )
    failed = [("fetch_subject", ["b", "a"]), ("train_model", ["c"])]
    assert failures.summary(failed, 3, 2) == [
        "2 job(s) failed; 3 others were done, 2 were not, since they need these",
        "  fetch_subject of mine sub-02: ValueError: cut short (l.log)",
        "  train_model (c): it ended without a word; see its log",
    ]
    failures.forget(["b", "a"])
    assert "without a word" in failures.summary(failed[:1], 0, 0)[1] and failures.summary([], 3, 0) == []


def test_many_failures_are_counted_and_a_long_reason_is_cut(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures.note(["0"], "rule", {}, "x" * 1000, "log")
    lines = failures.summary([("rule", [str(n)]) for n in range(50)], 0, 0)
    assert len(lines) == 22 and lines[-1] == "  and 30 more" and len(lines[1]) < 350
