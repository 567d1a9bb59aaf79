"""What an export brings besides its scans: CDs, archives, links, files without a preamble, other objects."""

import gzip
import io
import struct
import tarfile
import zipfile

import nibabel
import numpy

from kit.case import MANIFEST, Group, block
from kit.dicom import (
    IMPLICIT, Dataset, compress, fields, general, items, store, write_axial_frames, write_series,
)
from kit.files import LPS, META_GRID, SHAPE, meta_image, straight, write_nifti, write_nrrd
from kit.labels import HELD, squares, write_structures

case = Group("exports", item=12)


@case.take("a CD: DICOMDIR beside DICOM/…/IM000001", studies=1)
def compact_disc(folder):
    write_series(folder, "DICOM/PAT00001/STU00001/SER00001", names="IM{:06d}")
    directory = fields(SOPClassUID="1.2.840.10008.1.3.10", SOPInstanceUID=folder.uid("directory"), FileSetID="CD")
    for tag, kind in ((0x00041200, "UL"), (0x00041202, "UL"), (0x00041212, "US")):
        directory.add_new(tag, kind, 0)
    directory.DirectoryRecordSequence = items()
    store(directory, folder.path("DICOMDIR"))


@case.take("names without an ending", studies=1)
def no_ending(folder):
    write_series(folder, names="IM{:04d}")


@case.take("dose report, presentation state, localizer and a viewer beside a CT: the CT", studies=1)
def other_objects(folder):
    write_series(folder, "ct")
    write_series(folder, "loc", slices=2, key="loc", truth=False,
                 edit=lambda dataset, k: setattr(dataset, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    for kind in ("SR", "PR", "OT"):
        other = general(folder, kind, kind, kind)
        other.SOPInstanceUID = folder.uid(kind)
        store(other, folder.path(kind + ".dcm"))
    folder.path("README.TXT").write_text("viewer")
    folder.path("AUTORUN.INF").write_text("x")
    folder.path("Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))


@case.take("a table names a folder of slices with a README and a PDF", studies=1, arguments=MANIFEST)
def documents_beside(folder):
    write_series(folder, "ct")
    folder.path("ct/README.txt").write_text("hello")
    folder.path("ct/report.pdf").write_bytes(b"%PDF-1.4 x")
    folder.table(["a,p,ct,,train,0"])


@case.take("private sequences of undefined length, implicit", studies=1)
def private_sequences(folder):
    def edit(dataset, k):
        inner = Dataset()
        inner.add_new(0x00091002, "LO", "x")
        dataset.add_new(0x00090010, "LO", "FIELD 1")
        dataset.add_new(0x00091001, "SQ", items(inner))
        dataset[0x00091001].is_undefined_length = True

    write_series(folder, syntax=IMPLICIT, edit=edit)


def packed(folder):
    """The files of a series, by name; none of them stays in the input."""
    files = write_series(folder).files
    content = {file.name: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    return content


@case.either("a zip: taken, or named as one", studies=1, words=("zip",))
def zipped(folder):
    content = packed(folder)
    with zipfile.ZipFile(folder.path("scan.zip"), "w") as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name), data)


@case.either("a .tar.gz: taken, or named as an archive", studies=1, words=("archive",))
def tarred(folder):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in packed(folder).items():
            head = tarfile.TarInfo(name)
            head.size = len(data)
            archive.addfile(head, io.BytesIO(data))
    folder.path("scan.tar.gz").write_bytes(gzip.compress(memory.getvalue(), mtime=0))


@case.either("slices compressed one by one: taken, or named as gzip", studies=1, words=("gzip",))
def gzipped_slices(folder):
    for name, data in packed(folder).items():
        folder.path(name + ".gz").write_bytes(gzip.compress(data, mtime=0))


@case.refuse("High-Throughput JPEG 2000 is named by its UID", words=("1.2.840.10008.1.2.4.201",))
def high_throughput_jpeg(folder):
    old, new = b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.201\0"
    for file in write_series(folder).files:
        compress(file, "JPEG2000Lossless")
        content = bytearray(file.read_bytes())
        at = content.index(old)
        content[at - 2:at + len(old)] = struct.pack("<H", len(new)) + new
        group = content.index(b"\x02\0\0\0UL\x04\0") + 8  # the length of the meta header
        longer = struct.unpack_from("<I", content, group)[0] + len(new) - len(old)
        struct.pack_into("<I", content, group, longer)
        file.write_bytes(content)


@case.take("endings in capitals", studies=2)
def capital_endings(folder):
    write_nifti(folder, "A.NII.GZ")
    write_nifti(folder, "B.NII")


@case.either("a NIfTI pair in a folder: taken, or said that header and voxels lie in two files", studies=1,
             words=("header",))
def nifti_pair(folder):
    ras = numpy.diag([-1.0, -2.0, 3.0, 1.0])
    data = folder.draw(SHAPE, 0, 1000).astype(numpy.int16)
    nibabel.save(nibabel.Nifti1Pair(data, ras), folder.path("c.img"))
    folder.expect(data, LPS @ ras)


@case.either("a detached NRRD in a folder: taken, or said", studies=1, words=("header",))
def detached_nrrd(folder):
    data, grid = folder.draw(SHAPE, -1000, 1000).astype("<i2"), straight((0.7, 0.8, 2.5), (-10, -20, 30))
    write_nrrd(folder, "b.nhdr", data, grid, detached="b.raw")
    folder.expect(data, grid)


@case.either("a detached MetaImage in a folder: taken, or said", studies=1, words=("header",))
def detached_meta_image(folder):
    folder.expect(meta_image(folder, "b.mhd", file="b.raw"), META_GRID)


@case.either("a .nii.gz compressed twice: taken, or refused", studies=1)
def compressed_twice(folder):
    write_nifti(folder, "a.nii.gz")
    path = folder.path("a.nii.gz")
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


@case.take("a plain NIfTI called .nii.gz", studies=1)
def plain_called_gz(folder):
    write_nifti(folder, "a.nii")
    folder.path("a.nii").rename(folder.path("a.nii.gz"))


@case.take("two gzip members, one after the other", studies=1)
def two_members(folder):
    write_nifti(folder, "a.nii")
    content = folder.path("a.nii").read_bytes()
    folder.path("a.nii").unlink()
    members = gzip.compress(content[:900], mtime=0) + gzip.compress(content[900:], mtime=0)
    folder.path("a.nii.gz").write_bytes(members)


@case.take("a table names a link to a NIfTI", studies=1, arguments=MANIFEST)
def link_in_table(folder):
    write_nifti(folder, "../real/a.nii.gz")
    folder.path("l.nii.gz").symlink_to(folder.path("../real/a.nii.gz").resolve())
    folder.table(["a,p,l.nii.gz,,train,0"])


@case.take("a table names a folder of linked slices", studies=1, arguments=MANIFEST)
def linked_slices_in_table(folder):
    for file in write_series(folder, "../real").files:
        folder.path(f"ct/{file.name}").symlink_to(file.resolve())
    folder.table(["a,p,ct,,train,0"])


@case.take("a table names a folder that holds one NIfTI", studies=1, arguments=MANIFEST)
def folder_of_one(folder):
    write_nifti(folder, "pat/a.nii.gz")
    folder.table(["a,p,pat,,train,0"])


def without_preamble(path):
    path.write_bytes(path.read_bytes()[132:])


@case.take("slices without the 132 bytes in front", studies=1)
def no_preamble(folder):
    for file in write_series(folder).files:
        without_preamble(file)


@case.take("the same of an object that a table names", studies=1, arguments=MANIFEST)
def no_preamble_in_table(folder):
    path, raw, grid = write_axial_frames(folder, "e.dcm", list(range(12)))
    without_preamble(path)
    folder.expect(raw.transpose(2, 1, 0), grid)
    folder.table(["a,p,e.dcm,,train,0"])


@case.take("the same of an RTSTRUCT as mask", studies=1, arguments=MANIFEST)
def no_preamble_structures(folder):
    grid = write_series(folder, "ct").grid
    without_preamble(write_structures(folder, "rt.dcm", {1: squares(grid)}))
    folder.table(["a,p,ct,rt.dcm,train,"])
    folder.expect_finding(block((12, 10, 10), *HELD), grid, 1)


@case.either("neither preamble nor meta header, implicit little endian", studies=1)
def no_meta_header(folder):
    for file in write_series(folder, syntax=IMPLICIT).files:
        content = file.read_bytes()
        file.write_bytes(content[144 + struct.unpack_from("<I", content, 140)[0]:])
