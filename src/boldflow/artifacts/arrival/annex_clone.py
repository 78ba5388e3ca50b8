"""Cloning of DataLad data sets: whole or not at all, of one data set and no other, at a commit that is there.

All functions but the first work on a clone that is there; callers hold its lock.
"""

import logging
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from boldflow.artifacts.arrival import annex_tree
from boldflow.artifacts.arrival.annex_get import Limits


def afresh(url: str, folder: Path, commit: str | None) -> None:
    """Clone under a temporary name, bring it to the commit, and put it in place; the lock is the caller's."""
    pattern = f".{folder.name}.*.part"
    for leftover in folder.parent.glob(pattern):  # of a clone that was interrupted: the lock is ours, nobody writes it
        _remove(leftover)
    part_folder = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        _clone_with_datalad(url, part_folder, folder)
        annex_tree.git(part_folder, "remote", "set-url", "origin", url)
        if commit is not None and not has(part_folder, commit):
            fetch(url, part_folder, commit)
        check_commit(url, part_folder, commit or annex_tree.head(part_folder))
        part_folder.rename(folder)
    finally:
        if part_folder.exists():
            _remove(part_folder)


def _clone_with_datalad(url: str, part_folder: Path, folder: Path) -> None:
    """Clone; an address of the network that fails is tried again a bounded number of times."""
    from datalad import api  # takes most of a second, and only a fetch needs it

    limits = Limits.from_environment()
    n_tries = limits.attempts if url.startswith(("http://", "https://", "ssh://", "git://")) else 1
    for attempt in range(n_tries):
        results = api.clone(
            source=url, path=str(part_folder), on_failure="ignore", result_renderer="disabled", return_type="list",
            result_xfm=None, result_filter=None,
        )  # fmt: skip
        failed_rows = [row for row in results if row["status"] in ("error", "impossible")]
        if not failed_rows:
            return
        failure_text = f"cannot clone {url} to {folder}: {'; '.join(_reason(row) for row in failed_rows)}"
        if part_folder.exists():
            _remove(part_folder)
        if attempt + 1 < n_tries:
            wait_s = limits.backoff_s * 2**attempt
            logging.getLogger(__name__).warning("%s; trying again in %.0f s", failure_text, wait_s)
            time.sleep(wait_s)
    raise RuntimeError(failure_text)


def _remove(folder: Path) -> None:
    """Remove a clone, whose annexed objects lie in folders without write permission."""
    for subfolder, _, _ in os.walk(folder):
        Path(subfolder).chmod(0o700)
    shutil.rmtree(folder)


def origin(folder: Path) -> str | None:
    """Give the address that a clone follows."""
    return annex_tree.says(folder, "config", "--get", "remote.origin.url")


def has(folder: Path, commit: str) -> bool:
    """Tell whether a clone has a commit."""
    return annex_tree.says(folder, "cat-file", "-t", commit) == "commit"


def remote_head(url: str, folder: Path) -> str:
    """Give the commit that a clone of ``url`` checks out."""
    return _remote_tip(url, folder)[1]


def _remote_tip(url: str, folder: Path) -> tuple[str, str]:
    """Return the name and the commit of what a clone of ``url`` checks out."""
    ref_words = annex_tree.git(folder, "ls-remote", url, "HEAD", "refs/heads/*").decode().split()
    commit_of_ref = dict(zip(ref_words[1::2], ref_words[0::2], strict=True))
    if "HEAD" in commit_of_ref:
        return "HEAD", commit_of_ref["HEAD"]
    # a bundle may have none; DataLad then takes the branch that is not git-annex's own
    plain_refs = [name for name in commit_of_ref if name != "refs/heads/git-annex" and "/synced/" not in name]
    if len(plain_refs) != 1:
        raise RuntimeError(f"{url} has no HEAD and branches {sorted(commit_of_ref)}: name a commit")
    return plain_refs[0], commit_of_ref[plain_refs[0]]


def fetch(url: str, folder: Path, commit: str | None) -> None:
    """Fetch from ``url`` after making sure that it is the same data set; the clone then follows it."""
    remote_ref, remote_commit = _remote_tip(url, folder)
    if not has(folder, remote_commit):
        annex_tree.git(folder, "fetch", "--quiet", url, remote_ref)
    _check_same(url, folder, remote_commit)
    annex_tree.git(folder, "remote", "set-url", "origin", url)
    annex_tree.git(folder, "fetch", "--quiet", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*")
    if commit is not None and not has(folder, commit):
        # a commit that no branch holds; the check comes after
        annex_tree.says(folder, "fetch", "--quiet", "origin", commit)


def _check_same(url: str, folder: Path, remote_commit: str) -> None:
    own_id = _dataset_id(folder, "HEAD")
    remote_id = _dataset_id(folder, remote_commit)
    if own_id is None and remote_id is None:  # plain git-annex repositories: one history, or two
        is_same = annex_tree.says(folder, "merge-base", "HEAD", remote_commit) is not None
        own_id, remote_id = "another history", "its own"
    else:
        is_same = own_id == remote_id
    if not is_same:
        raise ValueError(
            f"{folder} is a clone of another data set ({own_id}) than {url} ({remote_id}): move it away, or choose "
            "another workspace"
        )


def _dataset_id(folder: Path, commit: str) -> str | None:
    return annex_tree.says(folder, "config", "--blob", f"{commit}:.datalad/config", "--get", "datalad.dataset.id")


def check_commit(url: str, folder: Path, commit: str) -> None:
    """Refuse a commit that neither the clone nor its origin has (ValueError)."""
    if not has(folder, commit):
        raise ValueError(
            f"{url} has no commit {commit}; its HEAD is {remote_head(url, folder)}: correct the commit in "
            "the data set's facts, or the address"
        )


def _reason(row: dict[str, Any]) -> str:
    """Return why DataLad failed at a path, each sentence once, with the key where the content was wrong."""
    message = row.get("message") or ""
    if isinstance(message, tuple):
        message = message[0] % message[1:]
    lines = [*str(message).splitlines(), *str(row.get("error_message") or "").splitlines()]
    reason_text = (
        "; ".join(dict.fromkeys(line.strip() for line in lines if line.strip())) or f"status {row.get('status')}"
    )
    return f"{reason_text} (key {row['annexkey']})" if row.get("annexkey") else reason_text
