"""Features that are killed, networks that are missing, moved or hostile: rows 14, 20, 24, 25, 27."""

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boldflow.artifacts.store import sidecars, stimuli, tables
from tests.conftest import Project
from tests.faults.test_process_faults import jobs
from tests.made import hub
from tests.made.running import Site, wait_for

pytestmark = pytest.mark.end_to_end
FEATURES = "results/sim-tiny/features"
RECEIPTS = "resources/receipts/checkpoints"
N, SHARDS = 500, 3
TINY = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28}
COMMIT = "1" * 40


def pictures(folder: Path, n: int) -> None:
    """Put other pictures into the finished study's pack."""
    rng = np.random.default_rng(0)
    made = ((f"image-{k:04d}", rng.integers(0, 256, (32, 40, 3), dtype=np.uint8), {}) for k in range(n))
    place = folder / "results/sim-tiny"
    note = tables.sidecar(place / "stimuli.parquet")
    tables.write(place / "stimuli.parquet", stimuli.write(place / "stimuli.h5", made, lambda _: ""), note)


@pytest.fixture
def site(finished: Project, tmp_path: Path) -> Iterator[Site]:
    one = Site(finished.again(tmp_path / "project").folder)
    yield one
    one.close()
    for process in jobs(one):
        os.kill(process, signal.SIGKILL)


def entries(site: Project, **given: str) -> None:
    """Add features to the catalogue."""
    lines = "".join(f"  {name}: {{{text}}}\n" for name, text in given.items())
    site.edit("config/config.yaml", "\nfeatures:\n", f"\nfeatures:\n{lines}")


def kept(site: Site) -> int:
    """Rows that are kept of the shards, finished or not."""
    found = 0
    for path in (site.folder / FEATURES).glob(".many.shard-*.rows/progress.json"):
        try:
            found += sidecars.read(path)["done"]
        except (OSError, ValueError):
            continue
    return found + sum(N // SHARDS for _ in (site.folder / FEATURES).glob("many.shard-*.safetensors"))


def test_five_hundred_pictures_killed_five_times_give_the_undisturbed_features_and_no_shard_is_made_twice(site: Site):
    pictures(site.folder, N)
    small = "plugin: gabor, size: 24, scales: [2, 4]"
    entries(site, many=f"{small}, shards: {SHARDS}", whole=small)
    site.snakemake(f"{FEATURES}/whole.npy")
    undisturbed = (site.folder / f"{FEATURES}/whole.npy").read_bytes()
    site.edit("src/boldflow/artifacts/store/partial.py", "EVERY_S = 5.0", "EVERY_S = 0.0")
    pause = "            bar.update(len(values))"
    site.edit(
        "src/boldflow/stages/features/_extraction.py", pause, f"            __import__('time').sleep(0.25)\n{pause}"
    )
    moments = random.Random(7)
    shards: dict[str, tuple[int, int]] = {}
    resumed = 0
    for _ in range(5):
        at = kept(site)
        run = site.start(f"{FEATURES}/many.npy", "--cores", "1")
        wait_for(lambda at=at: kept(site) > at and jobs(site), "rows that are kept", 120)
        time.sleep(moments.uniform(0, 0.5))
        for process in jobs(site):
            os.kill(process, signal.SIGKILL)
        run.ends(1)
        assert not (site.folder / f"{FEATURES}/many.npy").exists()
        for path in sorted((site.folder / FEATURES).glob("many.shard-*.safetensors")):
            now = (path.stat().st_ino, path.stat().st_mtime_ns)
            assert shards.setdefault(path.name, now) == now, "a finished shard was made again"
        logs = (site.folder / "logs/extract_shard").glob("sim-tiny_many_*.log")
        resumed += any("going on after" in path.read_text() for path in logs)
    site.start(f"{FEATURES}/many.npy").ends()
    assert resumed and (site.folder / f"{FEATURES}/many.npy").read_bytes() == undisturbed
    assert not [
        path.name for path in (site.folder / FEATURES).iterdir() if ".rows" in path.name or "shard" in path.name
    ]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DINOv2, as its publisher would have it."""
    from tests.made.networks import dinov2

    folder = tmp_path_factory.mktemp("checkpoint")
    dinov2(folder, 3, image_size=28)
    return folder


def test_networks_arrive_by_prefetch_alone_and_are_then_opened_without_any_network(site: Site, checkpoint: Path):
    """Cut off from all networks, this machine's own too; the hub is one on this machine."""
    seal = next(
        (
            one
            for one in (["unshare", "-n"], ["unshare", "-rn"])
            if not subprocess.run([*one, "true"], check=False).returncode
        ),
        None,
    )
    if seal is None:
        pytest.skip("unshare is not permitted here, so no process can be cut off from networks")
    common = "plugin: dinov2, checkpoint: mine/tiny, device: cpu, input: direct, size: 28"
    entries(site, fromhub=f"{common}, revision: '{COMMIT}'")
    study = (site.folder / "config/studies/demo-tiny.yaml").read_text().replace("[labels]", "[labels, fromhub]")
    (site.folder / "config/studies/networks.yaml").write_text(study)
    chosen, target = ("--config", "study=networks"), f"{FEATURES}/fromhub.npy"
    assert site.planned("prefetch", *chosen) == {"fetch_checkpoint": 1, "prefetch": 1}
    said = site.start(target, *chosen, wrap=tuple(seal)).ends(1)
    assert "checkpoint mine/tiny could not be downloaded" in said and "`snakemake prefetch --profile cpu`" in said
    assert not (site.folder / f"{RECEIPTS}/fromhub.json").exists()
    with hub.serving(checkpoint, "mine/tiny", COMMIT) as served:
        site.start("prefetch", *chosen, HF_ENDPOINT=served.url).ends()
        asked = len(served.asked)
        site.start(target, *chosen, wrap=tuple(seal), HF_ENDPOINT=served.url).ends()
        assert len(served.asked) == asked
    receipt = sidecars.read(site.folder / f"{RECEIPTS}/fromhub.json")
    assert {row["path"] for row in receipt["files"]} == {"config.json", "model.safetensors"}
    assert receipt["commit"] == COMMIT and receipt["origin"] == "huggingface.co/mine/tiny"
    note = sidecars.read(site.folder / f"{FEATURES}/fromhub.json")
    assert note["checkpoint"]["commit"] == COMMIT and "untrained" not in note
    # changed since, by one byte
    weights = site.folder / receipt["root"] / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    verify = [sys.executable, "-m", "boldflow", "verify", f"{FEATURES}/fromhub.json", *chosen]
    done = subprocess.run(verify, cwd=site.folder, env=site.environment(), capture_output=True, text=True, check=False)
    assert "model.safetensors has changed since it arrived" in done.stdout and done.returncode == 1
    said = site.start(target, *chosen, "-f").ends(1)
    assert "model.safetensors has changed since it arrived: was sha256:" in said and "-R fetch_checkpoint" in said
    # gone since: the command that brings it back is named, and works without the hub's other files
    (site.folder / receipt["root"] / "model.safetensors").unlink()
    said = site.start(target, *chosen, "-f").ends(1)
    command = f"snakemake {RECEIPTS}/fromhub.json -R fetch_checkpoint --profile cpu"
    assert f"model.safetensors; run: {command}" in said
    with hub.serving(checkpoint, "mine/tiny", COMMIT) as served:
        site.start(*command.split()[1:-2], *chosen, HF_ENDPOINT=served.url).ends()
    made = (site.folder / target).read_bytes() if (site.folder / target).exists() else b""
    site.start(target, *chosen, "-f").ends()
    assert not made or (site.folder / target).read_bytes() == made


class Canary:
    """What would run if the pickle were opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_networks_that_bring_code_or_moved_are_refused_and_no_code_of_theirs_runs(
    site: Site, checkpoint: Path, tmp_path: Path
):
    canary = tmp_path / "canary"
    said = {}

    def folder(name: str, words: str) -> Path:
        said[name] = words
        return Path(shutil.copytree(checkpoint, tmp_path / name))

    code = f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
    remote = folder("remote", "asks for code of its own (auto_map: ")
    content = sidecars.read(remote / "config.json")
    sidecars.write(remote / "config.json", content | {"auto_map": {"AutoModel": "modeling_mine.Mine"}})
    (remote / "modeling_mine.py").write_text(code)
    nested = folder("nested", "preprocessor_config.json asks for code of its own (auto_map: ")
    sidecars.write(nested / "preprocessor_config.json", {"inner": [{"auto_map": {"AutoImageProcessor": "mine.Mine"}}]})
    pickled = folder("pickled", "has no weights as safetensors; pytorch_model.bin may hold pickled code")
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(canary)))
    disguised = folder("disguised", "is not whole safetensors")
    (disguised / "model.safetensors").write_bytes(pickle.dumps(Canary(canary)))
    cut = folder("cut", "is not whole safetensors")
    os.truncate(cut / "model.safetensors", 3000)
    folder("pinned", "is not the pinned one (revision None): expected sha256:" + "0" * 64 + ", found sha256:")
    small = "plugin: dinov2, checkpoint: mine/NAME, device: cpu, input: direct, size: 28, checkpoint_root: PLACE"
    more = {"pinned": f", sha256: {{model.safetensors: '{'0' * 64}'}}"}
    texts = {n: small.replace("NAME", n).replace("PLACE", str(tmp_path / n)) + more.get(n, "") for n in said}
    # harmless at first use; what lies beside the weights is never taken
    moved = folder("moved", "checkpoint mine/moved: 2 of 2 checksums are not those of the first use")
    (moved / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(canary)))
    (moved / "modeling_mine.py").write_text(code)
    for name in ("moved", "later"):
        texts[name] = small.replace("NAME", name).replace("PLACE", str(moved))
    published = folder("alexnet", "is not the pinned one (revision None): expected sha256:7be5be79")
    (published / "alexnet-owt-7be5be79.pth").write_bytes(pickle.dumps(Canary(canary)))
    texts["pickle-of-tensors"] = f"plugin: alexnet, checkpoint_root: {published}"
    entries(site, **texts)
    harmless = ("moved", "later")
    site.start(*(f"{RECEIPTS}/{name}.json" for name in harmless)).ends()
    assert sorted(p.name for p in (site.folder / "resources/checkpoints/mine--moved@local").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    from tests.made.networks import dinov2

    dinov2(moved, 3, image_size=28, layer_norm_eps=1e-5, hidden_act="relu", mlp_ratio=2)
    receipt = (site.folder / f"{RECEIPTS}/moved.json").read_bytes()
    targets = [f"{RECEIPTS}/{name}.json" for name in texts if name != "later"]
    told = site.start(*targets, "--keep-going", "-R", "fetch_checkpoint").ends(1)
    for name, words in said.items():
        assert words in told, f"{name}: {words!r} is not in\n{told}"
    for name in texts:
        if name not in harmless:
            assert not (site.folder / f"{RECEIPTS}/{name}.json").exists(), name
    assert (site.folder / f"{RECEIPTS}/moved.json").read_bytes() == receipt
    assert not canary.exists()
    # put in its place after it has arrived: compared again before it is opened
    for name in ("config.json", "modeling_mine.py"):
        shutil.copy(remote / name, site.folder / "resources/checkpoints/mine--later@local")
    assert "config.json has changed since it arrived: was sha256:" in site.start(f"{FEATURES}/later.npy").ends(1)
    assert not canary.exists()


def test_a_full_disk_leaves_no_half_features_and_the_next_run_completes(site: Site):
    """Files may grow to 200 kB: the rows of 500 pictures are larger."""
    pictures(site.folder, N)
    site.edit("src/boldflow/artifacts/store/partial.py", "EVERY_S = 5.0", "EVERY_S = 0.0")
    target = site.folder / f"{FEATURES}/gabor.npy"
    limited, before = (sys.executable, "-c", LIMITED), target.read_bytes()
    said = site.start(f"{FEATURES}/gabor.npy", "-f", wrap=limited).ends(1)
    assert "File too large" in said and "bytes are free there" in said
    assert target.read_bytes() == before, "the features of fewer pictures are the last good ones"
    site.start(f"{FEATURES}/gabor.npy").ends()
    assert len(np.load(target)) == N and {path.name for path in target.parent.glob(".*")} <= {".described"}


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
os.execv(sys.argv[1], sys.argv[1:])
"""
