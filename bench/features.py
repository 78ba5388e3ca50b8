"""DINOv2: leaving after the block needed against the forward of all layers; and, on a GPU, from files to features.

The networks have seeded random weights: speed does not depend on what they have learnt.
"""

import importlib.metadata
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from bench.harness import Row, alternate
from boldflow.artifacts.formats import networks, pictures
from boldflow.core.compute import fixed_threads
from boldflow.core.pictures.extractor import Extractor
from boldflow.features import dinov2

SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 518}
GIANT = {"hidden_size": 1536, "num_hidden_layers": 26, "num_attention_heads": 24, "image_size": 518} | {
    "use_swiglu_ffn": True
}
BLOCK, BATCH, REPEATS = 8, 4, 5
EXIT_GOAL, RATE_GOAL = 1.3, 0.5
N_FILES, N_WARM = 4096, 512
MATRIX = 8192  # rows of the square matrices whose product measures the card


def run(quick: bool = False) -> list[Row]:
    """Measure what leaving early saves and, where there is a GPU, what share of its rate whole files reach.

    Parameters
    ----------
    quick : bool
        Two pictures instead of four, measured twice; a sixteenth of the files.

    Returns
    -------
    list of Row
        One where torch finds no GPU, else two.
    """
    rows = [early_exit(2 if quick else BATCH, 2 if quick else REPEATS)]
    if torch.cuda.is_available():
        rows.append(files_to_features(N_FILES // 16 if quick else N_FILES))
    else:
        print("files to features on a GPU: not measured, torch finds none here")
    return rows


def early_exit(n_images: int, repeats: int) -> Row:
    """Compare with a forward of all 12 layers that keeps hidden states, as peers run it, on a CPU."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, 224, 224, 3), dtype=np.uint8)
    ours = _opened(SMALL, BLOCK, "cpu", "float32", n_images)
    whole = networks.untrained("dinov2", SMALL, seed=0).eval()
    found: dict[str, np.ndarray] = {}

    def leaving() -> None:
        found["ours"] = ours(list(images))

    def all_layers() -> None:
        with torch.inference_mode():
            states = whole(pixel_values=ours.rule.normalise(torch.from_numpy(images)), output_hidden_states=True)
            found["peer"] = states.hidden_states[BLOCK].mean(dim=1).numpy()

    with fixed_threads(2):
        ours_s, peer_s = alternate([leaving, all_layers], repeats)
    same = np.array_equal(found["ours"], found["peer"])
    return Row(
        bench="features",
        peer="transformers, all layers with hidden states",
        peer_version=importlib.metadata.version("transformers"),
        shape=f"DINOv2 of 12 blocks, width 384, {n_images} pictures of 224, state {BLOCK}, mean of tokens",
        ratio=peer_s / ours_s,
        sense=">=",
        bound=EXIT_GOAL,
        agreement="bit-identical" if same else f"differs by {np.abs(found['ours'] - found['peer']).max():.1e}",
        agrees=same,
        repeats=repeats,
    )


def files_to_features(n_files: int, sizes: dict[str, Any] = GIANT, device: str = "cuda") -> Row:
    """Go from JPEG files on disk to features of DINOv2-giant through block 26, in bfloat16.

    The ratio is the rate at which the network's own operations are done, files read, decoded, resized and moved all
    included, over the rate of a large product of matrices in bfloat16 on the same card.
    """
    extractor = _opened(sizes, sizes["num_hidden_layers"], device, "bfloat16", None)
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        files = _photographs(Path(folder), n_files)
        first = extractor.rule.prepare(pictures.read(files[0]))
        one = extractor.rule.normalise(torch.from_numpy(first[None]).to(device))
        with FlopCounterMode(display=False) as counter, torch.inference_mode(), torch.autocast(device, torch.bfloat16):
            extractor.network(one)
        operations = counter.get_total_flops()
        for _ in _described(extractor, files[:N_WARM], workers):  # finds the batch that fits
            pass
        start = time.perf_counter()
        rows = np.concatenate(list(_described(extractor, files, workers)))
        seconds = time.perf_counter() - start
    exact = _opened(sizes, sizes["num_hidden_layers"], device, "float32", 8)
    rate, peak = operations * n_files / seconds, _matrix_rate(device)
    sample = np.random.default_rng(0).integers(0, 256, (8, 300, 300, 3), dtype=np.uint8)
    lower, full = (np.asarray(e([e.prepare(image) for image in sample])) for e in (extractor, exact))
    apart = float((np.linalg.norm(lower - full, axis=1) / np.linalg.norm(full, axis=1)).max())
    return Row(
        bench="features-gpu",
        peer="product of matrices in bfloat16",
        peer_version=torch.cuda.get_device_name() if device == "cuda" else "cpu",
        shape=(
            f"{n_files} JPEG files of 500 x 375, {workers} workers, {operations / 1e9:.0f} GFLOP a picture, "
            f"batch {extractor.batch}: {n_files / seconds:.0f} pictures/s, "
            f"{rate / 1e12:.0f} of {peak / 1e12:.0f} TFLOP/s"
        ),
        ratio=rate / peak,
        sense=">=",
        bound=RATE_GOAL,
        agreement=f"bfloat16 differs from float32 by {100 * apart:.2f} % of a row's length",
        agrees=apart < 0.02 and bool(np.isfinite(rows).all()),
        repeats=1,
    )


def _opened(sizes: dict[str, Any], layer: int, device: str, precision: str, batch: int | None) -> Extractor:
    settings = {"weights": "untrained", "architecture": sizes, "seed": 0, "layer": layer, "pool": "mean"}
    settings |= {"input": "processor", "size": 224, "precision": precision} | ({"batch": batch} if batch else {})
    return dinov2.extractor(settings, None, device)  # type: ignore[return-value]


def _described(extractor: Extractor, files: list[Path], workers: int) -> Iterator[np.ndarray]:
    """Describe files in blocks, read and prepared ahead by workers, as the feature's stage does it from the pack."""
    size = 256
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(_ready, extractor, file) for file in files[: 2 * size])
        for start in range(0, len(files), size):
            block = [waiting.popleft().result() for _ in files[start : start + size]]
            after = files[start + 2 * size : start + 3 * size]
            waiting.extend(pool.submit(_ready, extractor, file) for file in after)
            yield extractor(block)


def _ready(extractor: Extractor, file: Path) -> np.ndarray:
    return extractor.prepare(pictures.read(file))


def _photographs(folder: Path, n: int) -> list[Path]:
    """Write smooth noise as JPEG files: a few pictures, each many times, since files are read one by one anyway."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(min(n, 64)):
        small = Image.fromarray(rng.integers(0, 256, (47, 63, 3), dtype=np.uint8))
        small.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{k:05d}.jpg", quality=90)
        made.append((folder / f"{k:05d}.jpg").read_bytes())
    files = [folder / f"{k:05d}.jpg" for k in range(n)]
    for k, file in enumerate(files[len(made) :], start=len(made)):
        file.write_bytes(made[k % len(made)])
    return files


def _matrix_rate(device: str) -> float:
    """Operations per second of a product of two square matrices in bfloat16: the best of ten."""
    size = MATRIX if device == "cuda" else 512
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    best = 0.0
    for _ in range(10):
        _wait(device)
        start = time.perf_counter()
        for _ in range(8):
            a @ b
        _wait(device)
        best = max(best, 8 * 2 * size**3 / (time.perf_counter() - start))
    return best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
