import io
import os
import struct
import tarfile
import zipfile
import zlib

import pytest

from boldflow.artifacts.formats import archives

PICTURES = {"stimuli/a.png": b"one", "stimuli/deep/b.png": b"two" * 1000}


def make_zip(path, files, **changes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content, changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


def listed(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(archive, folder, match, **bounds):
    """The archive is refused, and nothing is written: neither in the folder nor beside it."""
    before = sorted(p.relative_to(folder.parent) for p in folder.parent.rglob("*"))
    with pytest.raises(archives.Refused, match=match) as error:
        archives.unpack(archive, folder, **bounds)
    assert str(archive) in str(error.value)
    assert sorted(p.relative_to(folder.parent) for p in folder.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_files_come_out_as_they_went_in(tmp_path, kind):
    path = tmp_path / f"pictures.{kind}"
    if kind == "zip":
        make_zip(path, PICTURES.items())
    else:
        folders = [("./", b"", {"type": tarfile.DIRTYPE}), ("./stimuli", b"", {"type": tarfile.DIRTYPE})]
        files = [(f"./{name}", content, {}) for name, content in PICTURES.items()]
        make_tar(path, folders + files, {"tar": "w"}.get(kind, f"w:{kind[4:]}"))
    assert archives.is_archive(path)
    archives.unpack(path, tmp_path / "out" / "here")
    assert listed(tmp_path / "out" / "here") == PICTURES
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["here"]


def test_an_earlier_folder_is_replaced_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.png").write_bytes(b"old")
    (tmp_path / ".out.abcd.part").mkdir()  # of an unpacking that was killed
    archives.unpack(make_zip(tmp_path / "p.zip", PICTURES.items()), tmp_path / "out")
    assert listed(tmp_path / "out") == PICTURES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "p.zip"]


@pytest.mark.parametrize("name", ["../a.png", "stimuli/../../a.png", "/a.png", "C:/a.png", "..\\a.png", "a\nb.png"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    good = ("stimuli/a.png", b"one", {})
    for archive in (
        make_zip(tmp_path / "p.zip", [("stimuli/a.png", b"one"), (name, b"two")]),
        make_tar(tmp_path / "p.tar.gz", [good, (name, b"two", {})]),
    ):
        refused(archive, tmp_path / "out", "must stay below the folder")


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "a.png"),
        (tarfile.LNKTYPE, "stimuli/a.png"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, link):
    members = [("stimuli/a.png", b"one", {}), ("stimuli/x", b"", {"type": kind, "linkname": link})]
    refused(make_tar(tmp_path / "p.tar.gz", members), tmp_path / "out", "'stimuli/x', which is no plain file")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010644])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode):
    archive = make_zip(tmp_path / "p.zip", [("x", b"/etc/passwd")], external_attr=mode << 16, create_system=3)
    refused(archive, tmp_path / "out", "'x', which is no plain file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_come_twice_are_refused(tmp_path):
    twice = [("a.png", b"one"), ("b/../a.png".replace("b/../", "./"), b"two")]
    refused(make_zip(tmp_path / "p.zip", [twice[0], twice[0]]), tmp_path / "out", "'a.png' twice")
    tar = make_tar(tmp_path / "p.tar", [(name, content, {}) for name, content in twice], "w")
    refused(tar, tmp_path / "out", "'a.png' twice")
    both = make_zip(tmp_path / "q.zip", [("a", b"one"), ("a/b", b"two")])
    refused(both, tmp_path / "out", "'a' as a file and as a folder")


def test_a_bomb_is_refused_by_what_it_states(tmp_path):
    zeros = bytes(30 * 1024**2)
    for archive in (
        make_zip(tmp_path / "p.zip", [("zeros.png", zeros)]),
        make_tar(tmp_path / "p.tar.gz", [("zeros.png", zeros, {})]),
    ):
        refused(archive, tmp_path / "out", f"would unpack to {len(zeros)} bytes or more in 1 files.*a bomb")
        refused(archive, tmp_path / "out", "1000 bytes", max_bytes=1000, max_ratio=1e9)
        archives.unpack(archive, tmp_path / "out", max_ratio=1e9)
        assert listed(tmp_path / "out") == {"zeros.png": zeros}
    many = make_zip(tmp_path / "many.zip", [(f"{place}.png", b"") for place in range(30)])
    refused(many, tmp_path / "none", "20 files are allowed", max_files=20)


def test_a_bomb_is_stopped_where_more_comes_than_it_states(tmp_path):
    """The sizes in the directory and in the header of the zip are made smaller than what the stream holds."""
    path = make_zip(tmp_path / "p.zip", [("zeros.png", bytes(5 * 1024**2))])
    content = bytearray(path.read_bytes())
    true, stated = struct.pack("<L", 5 * 1024**2), struct.pack("<L", 1000)
    crc = struct.pack("<L", zlib.crc32(bytes(5 * 1024**2)))
    assert content.count(true) == 2 and content.count(crc) == 2
    content = content.replace(true, stated)
    path.write_bytes(content)
    refused(path, tmp_path / "out", "Bad CRC-32|more came|1000 bytes")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "p.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 3_000_000}) as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    refused(path, tmp_path / "out", r"a header of 30000\d\d bytes, more than 1048576")


@pytest.mark.parametrize("cut", [10, 0.5, 0.95])
def test_archives_cut_short_are_refused_with_their_bytes(tmp_path, cut):
    noise = [(f"{place}.png", os.urandom(20_000)) for place in range(3)]
    for archive in (
        make_zip(tmp_path / "p.zip", noise),
        make_tar(tmp_path / "p.tar.gz", [(name, content, {}) for name, content in noise]),
    ):
        content = archive.read_bytes()
        archive.write_bytes(content[: cut if cut > 1 else int(cut * len(content))])
        refused(archive, tmp_path / "out", f"\\({archive.stat().st_size} bytes\\) is (not a zip|no whole archive)")


def test_what_is_no_archive_is_refused(tmp_path):
    page = tmp_path / "p.zip"
    page.write_bytes(b"<!DOCTYPE html><html></html>")
    assert not archives.is_archive(page)
    refused(page, tmp_path / "out", "is not a zip, tar")
    refused(make_zip(tmp_path / "empty.zip", []), tmp_path / "out", "holds no files")
    with pytest.raises(FileNotFoundError, match="no such archive"):
        archives.unpack(tmp_path / "nowhere.zip", tmp_path / "out")


def test_a_damaged_member_leaves_nothing(tmp_path):
    path = make_zip(tmp_path / "p.zip", [("a.png", os.urandom(5000)), ("b.png", os.urandom(5000))])
    content = bytearray(path.read_bytes())
    content[7000] ^= 1
    path.write_bytes(content)
    refused(path, tmp_path / "out", "no whole archive.*Bad CRC-32")


def encrypt(path, files, password):
    """Write a zip with the traditional encryption (APPNOTE 6.1), as the field's archives have it."""

    def step(keys, byte):
        keys[0] = crc_byte(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc_byte(keys[2], keys[1] >> 24)

    def crc_byte(crc, byte):
        return zlib.crc32(bytes([byte]), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    directory, body = b"", b""
    for name, content in files:
        keys, crc = [0x12345678, 0x23456789, 0x34567890], zlib.crc32(content)
        for byte in password:
            step(keys, byte)
        hidden = bytearray()
        for byte in bytes(11) + bytes([crc >> 24]) + content:
            mask = (keys[2] | 2) & 0xFFFF
            hidden.append(byte ^ ((mask * (mask ^ 1)) >> 8) & 0xFF)
            step(keys, byte)
        common = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 33, crc, len(hidden), len(content), len(name), 0)
        place = struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, len(body))
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common + place + name.encode()
        body += b"PK\x03\x04" + common + name.encode() + bytes(hidden)
    end = struct.pack("<HHHHLLH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\x05\x06" + end)
    return path


def test_a_password_opens_and_is_never_told(tmp_path, caplog, capfd):
    caplog.set_level("DEBUG")
    archive = encrypt(tmp_path / "p.zip", list(PICTURES.items()), b"open-sesame")
    archives.unpack(archive, tmp_path / "out", "open-sesame")
    assert listed(tmp_path / "out") == PICTURES
    with pytest.raises(PermissionError, match="encrypted and no password was given"):
        archives.unpack(archive, tmp_path / "other")
    with pytest.raises((PermissionError, archives.Refused), match="the password is wrong") as error:
        archives.unpack(archive, tmp_path / "other", "shut-sesame")
    told = capfd.readouterr()
    assert "sesame" not in str(error.value) + caplog.text + told.out + told.err
    assert not (tmp_path / "other").exists()
