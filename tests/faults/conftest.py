"""A finished study in which a fault is planted, and what was finished in it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project

STUDY = ("--config", "study=demo-tiny")
KEPT = ("results", "resources/receipts")


class Study(Project):
    """A copy of the finished study: faults go in, are mended, and what they touched is seen."""

    chosen: tuple[str, ...] = STUDY

    def __init__(self, folder: Path, whole: Path) -> None:
        super().__init__(folder)
        self.whole = whole  # the same study, never touched
        self._mend: list[Callable[[], None]] = []

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def plant(self, path: str, content: bytes) -> None:
        """Put other content in place of a file; the link to an annexed object is replaced, its time stays."""
        file = self.folder / path
        was, target, old = file.stat(), os.readlink(file) if file.is_symlink() else None, file.read_bytes()
        file.unlink()
        file.write_bytes(content)
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))

        def mend() -> None:
            file.unlink(missing_ok=True)
            if target is not None:
                file.symlink_to(target)
            else:
                file.write_bytes(old)
                os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))

        self._mend.append(mend)

    def mend(self) -> None:
        """Put everything back."""
        while self._mend:
            self._mend.pop()()

    def fails(self, *targets: str, says: list[str], largest: int | None = None) -> str:
        """Run the rules that make the targets; see that each fails as said and that nothing else is touched.

        ``largest`` limits the bytes of any file that is written.
        """
        before = self.files()
        done = self.snakemake("-f", *targets, "--keep-going", *self.chosen, check=False, largest=largest)
        assert done.returncode == 1, done.stdout
        for words in says:
            assert words in done.stdout, f"{words!r} is not in:\n{done.stdout}"
        failed = {
            path for line in re.findall(r"^Error in rule .*?output: ([^\n]+)", done.stdout, re.M | re.S)
            for path in re.sub(r" \(.*?\)", "", line).split(", ")
        }  # fmt: skip
        after = self.files()
        left = {path for path in failed & set(after) if after[path] != before.get(path)}
        assert failed and not left, "a job that failed left a file with a final name that is not the last good one"
        touched = {path for path in before if after.get(path) != before[path]}
        made = failed | {path for target in targets for path in before if _same_job(path, target)}
        assert touched <= made, "a finished file was touched"
        assert not [path for path in after if ".part" in Path(path).name]
        return done.stdout

    def completes(self, *targets: str) -> None:
        """Run again without force: the targets are made, and are what they were before the fault."""
        self.snakemake(*targets, *self.chosen)
        for target in targets:
            assert self.read(target) == (self.whole / target).read_bytes(), f"{target} differs from the undisturbed run"

    def files(self) -> dict[str, tuple[int, int, int]]:
        """Time, bytes and inode of what rules made."""
        found = {}
        for path in (path for place in KEPT for path in (self.folder / place).rglob("*") if path.is_file()):
            stat = path.stat()
            found[str(path.relative_to(self.folder))] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found


def _same_job(path: str, target: str) -> bool:
    """Tell whether a path is of the job that makes the target: a file's other endings, or the folder of responses."""
    one, other = Path(path), Path(target)
    return one.parent == other.parent and (one.stem == other.stem or other.stem == "responses")


@pytest.fixture
def study(finished: Project, tmp_path: Path):
    """Give a copy; it goes when the test is done, since it is large."""
    folder = tmp_path / "copy"
    yield Study(finished.again(folder).folder, finished.folder)
    for place in (path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()):
        place.chmod(0o755)
    shutil.rmtree(folder)
