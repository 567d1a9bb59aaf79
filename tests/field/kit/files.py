"""Makes NIfTI, NRRD and MetaImage files."""

import gzip
import math
import struct

import nibabel
import numpy

from kit.case import block

LPS = numpy.diag([-1.0, -1.0, 1.0, 1.0])  # from and to NIfTI's RAS
PLAIN = numpy.array([[1.5, 0, 0, -10], [0, 2.0, 0, -20], [0, 0, 2.5, 30], [0, 0, 0, 1.0]])
SHAPE = (12, 10, 8)
INSIDE = ((3, 3, 2), (7, 6, 5))  # a finding within SHAPE


def pack_at(layout, offset, *numbers):
    """An edit of a header: these numbers at this byte."""

    def edit(content):
        struct.pack_into(layout, content, offset, *numbers)
        return content

    return edit


def write_nifti(folder, name, data=None, ras=PLAIN, dtype=numpy.int16, kind=nibabel.Nifti1Image, change=None,
                edit=None, truth=True, values=None, within=1e-3, lps=None):
    """change(image) alters it before it is made bytes, edit(bytes) after; returns data and its LPS grid."""
    if data is None:
        data = folder.draw(SHAPE, 0, 1000).astype(dtype)
    image = kind(data, ras, dtype=data.dtype) if data.dtype.kind in "iu" else kind(data, ras)
    image.header.set_xyzt_units("mm")
    if change:
        change(image)
    content = bytearray(image.to_bytes())
    if edit:
        content = edit(content)
    if name.lower().endswith(".gz"):
        content = gzip.compress(bytes(content), mtime=0)
    folder.path(name).write_bytes(bytes(content))
    grid = LPS @ ras
    if truth:
        folder.expect(data if values is None else values, grid if lps is None else lps, within)
    return data, grid


def write_masked(folder, paint, label=None, edit=None, written="", image=None, mask=None):
    """im.nii.gz with m.nii.gz and a table; paint turns the finding's voxels into what the mask's file holds."""
    data, grid = write_nifti(folder, "im.nii.gz", **(image or {}))
    inside = block(data.shape, *INSIDE)
    write_nifti(folder, "m.nii.gz", data=paint(inside), edit=edit, truth=False, **(mask or {}))
    if label is not None:
        folder.expect_finding(inside, grid, label)
    folder.table([f"a,p,im.nii.gz,m.nii.gz,train,{written}"])


def vector(numbers):
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"


def write_nrrd(folder, name, data, grid, space="left-posterior-superior", kind="short", more="", packed=False,
               detached=None, listed=0):
    """data[i, j, k] on a grid in the axes of `space`; listed: a first axis of so many components."""
    head = ["NRRD0004", f"type: {kind}", f"dimension: {4 if listed else 3}", f"space: {space}"]
    head.append("sizes: " + " ".join(map(str, ([listed] if listed else []) + list(data.shape[-3:]))))
    head.append("space directions: " + ("none " if listed else "") + " ".join(vector(grid[:3, i]) for i in range(3)))
    head.append("kinds: " + ("list " if listed else "") + "domain domain domain")
    head += ["endian: little", f"encoding: {'gzip' if packed else 'raw'}", "space origin: " + vector(grid[:3, 3])]
    content = data.transpose().tobytes()
    if packed:
        content = gzip.compress(content, mtime=0)
    start = "\n".join(head) + "\n" + more
    if detached:
        folder.path(name).write_text(start + f"data file: {detached}\n\n")
        folder.path(detached).write_bytes(content)
    else:
        folder.path(name).write_bytes(start.encode("latin1") + b"\n" + content)


def straight(spacing, origin):
    out = numpy.diag([*spacing, 1.0])
    out[:3, 3] = origin
    return out


META_GRID = straight((0.7, 0.8, 2.5), (-10, -20, 30))


def meta_image(folder, name, end="\n", file="LOCAL", leave=None):
    """A MetaImage of shorts; leave: so many bytes of its voxels."""
    data = folder.draw(SHAPE, -1000, 1000).astype("<i2")
    head = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        "TransformMatrix = 1 0 0 0 1 0 0 0 1",
        "Offset = -10 -20 30",
        "CenterOfRotation = 0 0 0",
        "ElementSpacing = 0.7 0.8 2.5",
        "DimSize = 12 10 8",
        "ElementType = MET_SHORT",
        f"ElementDataFile = {file}",
    ]
    content = data.transpose().tobytes()[:leave]
    start = "".join(line + end for line in head).encode()
    if file == "LOCAL":
        folder.path(name).write_bytes(start + content)
    else:
        folder.path(name).write_bytes(start)
        folder.path(file).write_bytes(content)
    return data


NOT_A_NUMBER = math.nan
