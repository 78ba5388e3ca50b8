"""Files of betas in NSD's layouts: planted numbers come back whatever the chunks; short files are refused."""

import gzip
import struct

import h5py
import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.releases import beta_files

GRID, N_TRIALS, N_VERTICES = (9, 7, 5), 23, 42
CHUNKS = [None, (N_TRIALS, 1, 1, 1), (1, 5, 7, 9), (4, 2, 3, 2), (N_TRIALS, 5, 7, 9), (5, 1, 7, 4)]


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(-3000, 3000, (*GRID, N_TRIALS)).astype(np.int16)


@pytest.fixture
def inside():
    return np.random.default_rng(1).random(GRID) < 0.2


def write_hdf5(path, values, chunks=None, **how):
    with h5py.File(path, "w") as handle:
        handle.create_dataset("betas", data=values.transpose(), chunks=chunks, **how)
    return path


def write_nifti(path, values, slope):
    """Write numbers as they are, with a scale in the header, which nibabel would take out of them."""
    nib.Nifti1Image(values, np.eye(4)).to_filename(path)
    compressed = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if compressed else path.read_bytes())
    if slope is not None:
        content[112:120] = struct.pack("<ff", slope, 0)  # scl_slope, scl_inter
    path.write_bytes(gzip.compress(content) if compressed else content)


def write_mgh(path, values):
    nib.MGHImage(values.T.reshape(values.shape[1], 1, 1, -1), np.eye(4)).to_filename(path)
    return path


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("block_bytes", [400, beta_files.BLOCK_BYTES])
def test_numbers_of_hdf5_come_back_whatever_its_chunks(tmp_path, values, inside, chunks, block_bytes):
    file = beta_files.open_betas(write_hdf5(tmp_path / "betas_session01.hdf5", values, chunks))
    assert (file.n_trials, file.grid, file.chunks, file.dtype) == (N_TRIALS, GRID, chunks, np.int16)
    for mask in (inside, np.ones(GRID, bool), np.zeros(GRID, bool)):
        wanted = np.array([values[i, j, k] for i, j, k in np.argwhere(mask)]).reshape(-1, N_TRIALS).T
        found, times = np.zeros(wanted.shape, np.float32), np.zeros(wanted.shape, int)
        for trials, columns, some in file.blocks(mask, block_bytes):
            assert some.dtype == np.float32
            found[trials, columns] = some
            times[trials, columns] += 1
        assert (found == wanted).all() and (times == 1).all()


@pytest.mark.parametrize("chunks", [None, (1, 5, 7, 9), (4, 5, 7, 9)])
@pytest.mark.parametrize("gap", [0, 16, 1 << 20])
def test_of_trials_that_stand_side_by_side_only_the_bytes_around_the_mask_are_read(
    tmp_path, monkeypatch, values, chunks, gap
):
    monkeypatch.setattr(beta_files, "GAP_BYTES", gap)
    path = write_hdf5(tmp_path / "betas_session01.hdf5", values.astype(">i2"), chunks)
    file = beta_files.open_betas(path)
    assert len(file.starts) == N_TRIALS
    inside = np.zeros(GRID, bool)
    inside[[4, 2, 6], [1, 0, 3], [3, 1, 3]] = True
    n_read, fill = [], beta_files._fill
    monkeypatch.setattr(beta_files, "_fill", lambda handle, target: n_read.append(target.size) or fill(handle, target))
    assert (file.read(inside) == values[inside].T).all()
    first, last = np.ravel_multi_index(([2, 6], [0, 3], [1, 3]), GRID, order="F")
    wanted = {0: 3, 16: 3, 1 << 20: last - first + 1}[gap]
    assert sum(n_read) == N_TRIALS * wanted


def test_compressed_chunks_are_read_too(tmp_path, values, inside):
    path = write_hdf5(tmp_path / "betas.h5", values, (4, 2, 3, 2), compression="gzip", shuffle=True)
    assert (beta_files.open_betas(path).read(inside) == values[inside].T).all()


@pytest.mark.parametrize("name", ["betas.nii", "betas.nii.gz"])
@pytest.mark.parametrize("slope", [None, 1 / 300])
def test_numbers_of_nifti_are_those_stored(tmp_path, values, inside, name, slope):
    write_nifti(tmp_path / name, values, slope)
    file = beta_files.open_betas(tmp_path / name)
    assert file.slope == pytest.approx(slope or 1) and file.inter == 0
    assert (file.read(inside) == values[inside].T).all()
    assert max(some.nbytes for _, _, some in file.blocks(inside, 4 * inside.size)) <= 4 * inside.size
    masked = beta_files.masked([tmp_path / name], [inside], 300.0)
    wanted = np.flatnonzero(np.random.default_rng(2).random(inside.sum()) < 0.5)
    chosen = np.isin(np.arange(inside.sum()), wanted)
    for trials, columns, some in masked.blocks(chosen):
        np.testing.assert_allclose(some, values[inside][wanted[columns]].T[trials] / 300, rtol=1e-6)


def test_another_scale_in_the_header_is_refused(tmp_path, values, inside):
    write_nifti(tmp_path / "betas.nii", values, 0.5)
    with pytest.raises(ValueError, match=r"states a scale of 0.5 .* expected none or 1/300"):
        beta_files.masked([tmp_path / "betas.nii"], [inside], 300.0)


def test_hemispheres_are_columns_side_by_side(tmp_path):
    rng = np.random.default_rng(0)
    halves = [rng.normal(size=(N_TRIALS, N_VERTICES)).astype(np.float32) for _ in "lr"]
    paths = [write_mgh(tmp_path / f"{side}h.betas_session01.mgh", one) for side, one in zip("lr", halves, strict=True)]
    both = beta_files.masked(paths, [np.ones(N_VERTICES, bool)] * 2, n_trials=N_TRIALS)
    assert both.shape == (N_TRIALS, 2 * N_VERTICES)
    for wanted in (rng.random(2 * N_VERTICES) < 0.4, np.arange(2 * N_VERTICES) >= N_VERTICES):
        found = np.empty((N_TRIALS, wanted.sum()), np.float32)
        for trials, columns, some in both.blocks(wanted):
            found[trials, columns] = some
        np.testing.assert_array_equal(found, np.hstack(halves)[:, wanted])
    with pytest.raises(ValueError, match="has 23 trials, expected 750"):
        beta_files.masked(paths, [np.ones(N_VERTICES, bool)] * 2, n_trials=750)
    with pytest.raises(ValueError, match=r"grid of \(42,\), the mask has shape \(40,\)"):
        beta_files.masked(paths, [np.ones(40, bool)] * 2)
    one = tmp_path / "lh.ncsnr.mgh"
    nib.MGHImage(halves[0][0].reshape(-1, 1, 1), np.eye(4)).to_filename(one)
    assert (beta_files.open_betas(one).read(np.ones(N_VERTICES, bool)) == halves[0][:1]).all()


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def part_written(path, values):
    with h5py.File(path, "w") as handle:
        stored = handle.create_dataset("betas", values.shape[::-1], np.int16, chunks=(1, *values.shape[2::-1]))
        stored[:5] = values.transpose()[:5]
    return path


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_short_files_are_refused_with_their_bytes(tmp_path, values, inside, share):
    nib.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "a.nii")
    nib.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    surface = np.ones((N_TRIALS, N_VERTICES), np.float32)
    plain, chunked = (write_hdf5(tmp_path / f"{n}.hdf5", values, CHUNKS[n]) for n in (0, 1))
    for path in (plain, chunked, tmp_path / "a.nii", tmp_path / "a.nii.gz", write_mgh(tmp_path / "lh.a.mgh", surface)):
        cut(path, share if path.suffix != ".mgh" else 0.9)  # its last bytes are a footer
        with pytest.raises(ValueError, match=rf"{path.name} \({path.stat().st_size} bytes\) is no whole file of betas"):
            file = beta_files.open_betas(path)
            file.read(np.ones(file.grid, bool))
    with pytest.raises(ValueError, match="5 of 23 chunks were written"):
        beta_files.open_betas(part_written(tmp_path / "part.hdf5", values))


def test_a_changed_byte_in_a_compressed_file_is_found(tmp_path, values, inside):
    path = tmp_path / "a.nii.gz"
    nib.Nifti1Image(values, np.eye(4)).to_filename(path)
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), 0))
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="CRC check failed"):
        beta_files.open_betas(path).read(inside)


def test_other_files_are_refused(tmp_path, values):
    (tmp_path / "a.hdf5").write_text("<html>")
    with pytest.raises(ValueError, match=r"a.hdf5 \(6 bytes\) is no whole file of betas"):
        beta_files.open_betas(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "b.hdf5", "w") as handle:
        handle["imgBrick"] = values
    with pytest.raises(ValueError, match="lacks 'betas'; there are: imgBrick"):
        beta_files.open_betas(tmp_path / "b.hdf5")
    with pytest.raises(FileNotFoundError, match="a link without content"):
        beta_files.open_betas(tmp_path / "c.nii.gz")
    with pytest.raises(ValueError, match=r"no file of betas; those end in \.hdf5"):
        beta_files.open_betas(tmp_path / "d.csv")
