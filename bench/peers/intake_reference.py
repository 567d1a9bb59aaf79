#!/usr/bin/python3
"""Reads a corpus of scans with pydicom and nibabel, has `fovea-node data ingest` read the same, and compares them.

usage: intake_reference.py --node PATH_TO_fovea-node --data DIR --json FILE [--no-packages]

Corpus: DIR, the data files that Debian's python3-pydicom and python3-nibabel ship (--no-packages leaves those out),
and files made here with nibabel and pydicom: flipped, permuted, oblique and left-handed grids in every type, NIfTI-1
and 2, both byte orders, plain and gzipped; DICOM series in several transfer syntaxes, with slopes slice by slice,
padding, MONOCHROME1, a tilted gantry. Each root is ingested into a site folder of its own, in a temporary folder that
is removed at the end.

The reference is written from the standard (PS3.3 C.7.6.2, C.7.6.16, C.11.1), not from Fovea's code: files are grouped
by Series Instance UID, copies of one SOP instance count once, slices lie where Image Position (Patient) says. A
volume is consistent when its slices have one size, one spacing, one orientation, and lie at even distances (5 %) on
one line at right angles to them. A series of several such volumes (files, echoes, time points) is as many volumes.
Siemens mosaics are read by nibabel. Series that are whole but uneven or tilted are listed apart as `resampled`: a
node may refuse them, but what it takes must agree in patient millimetres.

Compared, for every volume that a node took: each voxel centre must map to a voxel centre (0.01 mm), and every voxel
must be equal (1e-3 and 1e-5 relative; SUV for PET, computed here from the header's fields).

JSON written to FILE (also printed): taken_fraction (of the volumes the reference reads), wrong_geometries (volumes
whose shape, place or values differ, or that no reference volume explains), consistent, taken, resampled, refused
(list: file, reason, and whether the reference reads it as a volume), wrong (list: file, why), unchecked (taken, but
the reference cannot decode the pixels). Exit status: 0 whatever the figures are, 1 when the comparison itself could
not be made.

Needs Debian's python3-pydicom, python3-nibabel, python3-numpy; with python3-gdcm it decodes JPEG, JPEG-LS and JPEG
2000 too."""
import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
import zlib

import nibabel
import numpy as np
import pydicom
from nibabel.nicom import dicomwrappers

IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",
}
PLACE_MM = 0.01  # how far a voxel centre may lie from where the reference has it
EVEN = 0.05  # of the usual distance between slices
LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Volume:
    """values[i, j, k] (NaN where not known), affine: index -> LPS mm, source: the first file of it."""

    def __init__(self, source, affine, values, padded=None):
        self.source, self.affine, self.values, self.padded = source, affine, values, padded


class Slice:
    """One plane of a file: where it lies and how stored values become numbers."""

    def __init__(self, path, dataset, frame, groups):
        self.path, self.dataset, self.frame = path, dataset, frame
        self.position = np.array(_field(groups, "PlanePositionSequence", "ImagePositionPatient"), float)
        orientation = np.array(_field(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), float)
        self.row, self.column = orientation[:3], orientation[3:]
        self.spacing = np.array(_field(groups, "PixelMeasuresSequence", "PixelSpacing"), float)
        if self.position.shape != (3,) or orientation.shape != (6,) or self.spacing.shape != (2,):
            raise ValueError("position, orientation or spacing incomplete")
        self.slope = float(_field(groups, "PixelValueTransformationSequence", "RescaleSlope", 1))
        self.intercept = float(_field(groups, "PixelValueTransformationSequence", "RescaleIntercept", 0))
        self.echo = _number(_field(groups, "MREchoSequence", "EffectiveEchoTime", dataset.get("EchoTime")))
        self.time = _number(
            _field(groups, "FrameContentSequence", "TemporalPositionIndex", dataset.get("TemporalPositionIdentifier"))
        )
        self.kind = str(_field(groups, "MRImageFrameTypeSequence", "FrameType", ""))
        self.b_value = _number(_field(groups, "MRDiffusionSequence", "DiffusionBValue", dataset.get("DiffusionBValue")))


_REQUIRED = object()


def _number(value):
    return None if value is None or value == "" else float(value)


def _field(groups, sequence, keyword, default=_REQUIRED):
    for group in groups:
        if sequence in group and len(group[sequence].value) and keyword in group[sequence][0]:
            return group[sequence][0].get(keyword)
        if keyword in group and group.get(keyword) not in (None, ""):
            return group.get(keyword)
    if default is _REQUIRED:
        raise ValueError(keyword + " missing")
    return default


def slices_of(path, dataset):
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        if frames != 1:
            raise ValueError("frames without places")
        return [Slice(path, dataset, 0, [dataset])]
    shared = dataset.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    own = dataset.PerFrameFunctionalGroupsSequence
    return [Slice(path, dataset, f, [own[f], shared[0], dataset]) for f in range(frames)]


def stack_of(slices):
    """(state, order, along): state "even", "uneven", "tilted", "repeated" or "mixed"."""
    first = slices[0]
    normal = np.cross(first.row, first.column)
    if any(s.dataset.Rows != first.dataset.Rows or s.dataset.Columns != first.dataset.Columns for s in slices):
        return "mixed", None, None
    if any(
        np.abs(s.row - first.row).max() > 1e-3
        or np.abs(s.column - first.column).max() > 1e-3
        or np.abs(s.spacing - first.spacing).max() > 1e-3
        for s in slices
    ):
        return "mixed", None, None
    offsets = np.array([s.position - first.position for s in slices])
    order = np.argsort(offsets @ normal, kind="stable")
    along = (offsets @ normal)[order]
    gaps = np.diff(along)
    if len(gaps) == 0:
        return "single", order, along
    if gaps.min() < 0.01:
        return "repeated", order, along
    sideways = offsets[order] - np.outer(along, normal)
    sideways -= sideways[0]
    drift = np.linalg.norm(sideways, axis=1).max()
    uneven = np.abs(gaps - np.median(gaps)).max() > EVEN * np.median(gaps)
    if drift > 0.1 + 0.01 * (along[-1] - along[0]):
        return "tilted", order, along
    return ("uneven" if uneven else "even"), order, along


def split_stacks(slices):
    """A series of several whole volumes, or None."""
    for key in (lambda s: s.path, lambda s: s.echo, lambda s: s.time, lambda s: s.b_value, lambda s: s.kind):
        groups = {}
        for s in slices:
            groups.setdefault(key(s), []).append(s)
        if (
            len(groups) > 1
            and len({len(g) for g in groups.values()}) == 1
            and all(stack_of(g)[0] == "even" for g in groups.values())
        ):
            return list(groups.values())
    return None


def seconds(date, time):
    from datetime import datetime, timezone

    whole, _, part = str(time).partition(".")
    return datetime.strptime(str(date) + whole, "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc).timestamp() + float(
        "0." + (part or "0")
    )


def suv_factor(slices):
    """Body-weight SUV per rescaled unit, the QIBA vendor-neutral rule."""
    d = min(
        (s.dataset for s in slices), key=lambda d: str(d.get("AcquisitionDate", "")) + str(d.get("AcquisitionTime", ""))
    )
    if d.get("Units") == "GML":
        return 1.0
    if (
        d.get("Units") != "BQML"
        or d.get("DecayCorrection") != "START"
        or not {"ATTN", "DECY"} <= set(d.get("CorrectedImage", []))
    ):
        raise ValueError("no SUV can be computed")
    drug = d.RadiopharmaceuticalInformationSequence[0]
    acquired = seconds(d.AcquisitionDate, d.AcquisitionTime)
    series = seconds(d.SeriesDate, d.SeriesTime)
    start = series if series <= acquired else acquired
    if drug.get("RadiopharmaceuticalStartDateTime"):
        when = str(drug.RadiopharmaceuticalStartDateTime)
        injected = seconds(when[:8], when[8:])
    else:
        injected = seconds(d.SeriesDate, drug.RadiopharmaceuticalStartTime)
        injected -= 86400 if injected > start else 0
    return (
        float(d.PatientWeight)
        * 1000
        / (float(drug.RadionuclideTotalDose) * 2 ** (-(start - injected) / float(drug.RadionuclideHalfLife)))
    )


_decoded = {}


def stored_frames(path):
    """All frames of a file as stored, [frame, row, column], or None when no installed decoder can."""
    if path not in _decoded:
        _decoded.clear()
        try:
            dataset = pydicom.dcmread(path)
            pixels = dataset.pixel_array
            _decoded[path] = pixels[None] if pixels.ndim == 2 else pixels
        except Exception:
            if not pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.is_compressed:
                raise
            _decoded[path] = None
    return _decoded[path]


def plane_values(s):
    """(values [column, row], padded), in the units a node keeps; None when not decodable."""
    frames = stored_frames(s.path)
    if frames is None or frames.ndim != 3:
        return None, None
    d, stored = s.dataset, frames[s.frame].astype(np.int64)
    padding = d.get("PixelPaddingValue")
    padded = np.zeros(stored.shape, bool) if padding is None else stored == int(padding)
    if d.get("PhotometricInterpretation") == "MONOCHROME1" and IMAGE_CLASSES[d.SOPClassUID] == "MR":
        stored = (-1 if d.PixelRepresentation else 2**d.BitsStored - 1) - stored
    return (stored * s.slope + s.intercept).T, padded.T


def volume_of(slices, order):
    first, last = slices[order[0]], slices[order[-1]]
    factor = suv_factor(slices) if IMAGE_CLASSES[first.dataset.SOPClassUID] == "PT" else 1.0
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.row * first.spacing[1], first.column * first.spacing[0]
    affine[:3, 2] = (last.position - first.position) / (len(slices) - 1)
    affine[:3, 3] = first.position
    planes = [plane_values(slices[n]) for n in order]
    if any(p[0] is None for p in planes):
        return Volume(slices[0].path, affine, np.full((first.dataset.Columns, first.dataset.Rows, len(slices)), np.nan))
    return Volume(
        slices[0].path, affine, np.stack([p[0] for p in planes], 2) * factor, np.stack([p[1] for p in planes], 2)
    )


def mosaic_volume(path):
    wrapper = dicomwrappers.wrapper_from_file(path)
    try:
        values = np.asarray(wrapper.get_data(), float)
    except Exception:
        if not wrapper.dcm_data.file_meta.TransferSyntaxUID.is_compressed:
            raise  # no lack of a decoder: there are no such pixels
        values = np.full(wrapper.image_shape, np.nan)
    # nibabel's voxel axes of a mosaic are (row, column, slice) in DICOM's patient millimetres.
    return Volume(path, np.asarray(wrapper.affine), values)


def read_dicom(path):
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if str(dataset.get("SOPClassUID", "")) not in IMAGE_CLASSES or not dataset.get("SeriesInstanceUID"):
            return None
        if int(dataset.get("SamplesPerPixel", 1)) != 1 or "Rows" not in dataset:
            return None
        return dataset
    except Exception:
        return None


class Series:
    """What the reference makes of one series: state "volume", "resampled" or why it is none."""

    def __init__(self, files, state, volumes=(), slices=()):
        self.files, self.state, self.volumes, self.slices = files, state, list(volumes), list(slices)


def read_series(files):
    """files: [(path, dataset)] of one series."""
    paths = [p for p, _ in files]
    try:
        if any("LOCALIZER" in (d.get("ImageType") or []) for _, d in files):
            return Series(paths, "localizer")
        if all("MOSAIC" in (d.get("ImageType") or []) for _, d in files):
            return Series(paths, "volume", [mosaic_volume(p) for p in paths])
        slices = [s for path, dataset in files for s in slices_of(path, dataset)]
        state, order, _ = stack_of(slices)
        if state == "even":
            return Series(paths, "volume", [volume_of(slices, order)])
        if state in ("uneven", "tilted"):
            return Series(paths, "resampled", slices=[slices[n] for n in order])
        stacks = split_stacks(slices) if state == "repeated" else None
        if stacks:
            return Series(paths, "volume", [volume_of(g, stack_of(g)[1]) for g in stacks])
        return Series(paths, state)
    except Exception as error:
        return Series(paths, "unreadable: " + type(error).__name__)


def read_nifti(path):
    try:
        image = nibabel.load(path)
        shape = image.shape + (1,) * (3 - len(image.shape))
        data = np.asarray(image.dataobj)
        if len(image.shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape[:3]) < 2 or data.dtype.kind not in "iuf":
            return Series([path], "no single volume")
        data = data.reshape(shape[:3]).astype(float)
        if not np.isfinite(data).all():
            return Series([path], "voxels that are no numbers")
        unit = {"meter": 1e3, "micron": 1e-3}.get(image.header.get_xyzt_units()[0], 1.0)
        affine = LPS_OF_RAS @ image.affine
        affine[:3] *= unit
        return Series([path], "volume", [Volume(path, affine, data)])
    except Exception as error:
        return Series([path], "unreadable: " + type(error).__name__)


NRRD_TYPES = {
    "uchar": "u1",
    "unsigned char": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "unsigned short": "u2",
    "ushort": "u2",
    "int": "i4",
    "float": "f4",
    "double": "f8",
}


def read_nrrd(path):
    try:
        raw = open(path, "rb").read()
        head, _, body = raw.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:] if ": " in line)
        sizes = [int(n) for n in fields["sizes"].split()]
        if len(sizes) != 3:
            return Series([path], "no single volume")
        if fields["encoding"] in ("gzip", "gz"):
            body = gzip.decompress(body)
        kind = np.dtype(NRRD_TYPES[fields["type"]]).newbyteorder(
            "<" if fields.get("endian", "little") == "little" else ">"
        )
        values = np.frombuffer(body, kind, int(np.prod(sizes))).reshape(sizes, order="F").astype(float)
        vector = lambda text: [float(n) for n in text.strip("()").split(",")]
        affine = np.eye(4)
        affine[:3, :3] = np.array([vector(v) for v in fields["space directions"].split()]).T
        affine[:3, 3] = vector(fields["space origin"])
        if fields["space"] in ("right-anterior-superior", "RAS"):
            affine = LPS_OF_RAS @ affine
        return Series([path], "volume", [Volume(path, affine, values)])
    except (KeyError, ValueError, OSError, zlib.error) as error:
        return Series([path], "unreadable: " + type(error).__name__)


def read_corpus(root):
    """Every series and volume file below the folder, each once."""
    out, series, instances = [], {}, set()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.startswith(".") or os.path.islink(path):
                continue
            if name.endswith((".nii", ".nii.gz")):
                out.append(read_nifti(path))
            elif name.endswith(".nrrd"):
                out.append(read_nrrd(path))
            else:
                dataset = read_dicom(path)
                instance = dataset and (dataset.SeriesInstanceUID, dataset.get("SOPInstanceUID", path))
                if dataset is not None and instance not in instances:
                    instances.add(instance)
                    series.setdefault(str(dataset.SeriesInstanceUID), []).append((path, dataset))
    # Slices must be found again by path: the node lists a series under the first of its paths.
    out += [read_series(sorted(files, key=lambda f: f[0])) for files in series.values()]
    return merge_copies(out)


def merge_copies(corpus):
    """The same contents under two names are one."""
    known = {}
    for series in corpus:
        contents = hashlib.sha256()
        for path in series.files:
            with open(path, "rb") as file:
                contents.update(file.read())
        first = known.setdefault(contents.digest(), series)
        if first is not series:
            first.files += series.files
    return list(known.values())


class Node:
    """`fovea-node` on a site folder of its own."""

    def __init__(self, program, folder):
        self.program, self.site, self.folder = program, os.path.join(folder, "site"), folder

    def run(self, *words, typed=None):
        done = subprocess.run(
            [self.program, "--site", self.site, "--json", "--quiet", *words],
            input=typed,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError("fovea-node " + " ".join(words[:2]) + ": " + done.stderr.strip()[-400:])
        return json.loads(lines[-1])

    def ingest(self, root):
        if not os.path.exists(os.path.join(self.site, "site.json")):
            self.run("--passphrase-fd", "0", "init", "bench", typed="only for this benchmark\n")
        self.run("data", "ingest", root)
        studies = self.run("data", "list", "--identity")["data"]["studies"]
        usable = [study["code"] for study in studies if study["usable"]]
        if usable:
            self.run("data", "export", *usable, "--out", self.folder)
        return studies

    def volume(self, study):
        return read_nrrd(os.path.join(self.folder, study["code"] + ".nrrd")).volumes[0]


def difference(reference, taken):
    """What is wrong with `taken`, or "" """
    index = np.linalg.inv(taken.affine) @ reference.affine  # reference index -> taken index
    turn = np.rint(index[:3, :3])
    if not np.array_equal(np.abs(turn).sum(0), [1, 1, 1]) or not np.array_equal(np.abs(turn).sum(1), [1, 1, 1]):
        return "other axes"
    axes = np.abs(turn).argmax(1)  # taken axis a runs along reference axis axes[a]
    values = reference.values.transpose(axes)
    padded = None if reference.padded is None else reference.padded.transpose(axes)
    for a in range(3):
        if turn[a, axes[a]] < 0:
            values = np.flip(values, a)
            padded = None if padded is None else np.flip(padded, a)
    if values.shape != taken.values.shape:
        return f"shape {taken.values.shape}, expected {values.shape}"
    for corner in np.ndindex(2, 2, 2):
        at = np.array(corner) * (np.array(reference.values.shape) - 1)
        there = np.array(
            [
                at[axes[a]] if turn[a, axes[a]] > 0 else reference.values.shape[axes[a]] - 1 - at[axes[a]]
                for a in range(3)
            ]
        )
        expected, found = reference.affine @ [*at, 1], taken.affine @ [*there, 1]
        if np.linalg.norm((expected - found)[:3]) > PLACE_MM:
            return f"a corner lies {np.linalg.norm((expected - found)[:3]):.3f} mm off"
    if np.isnan(values).any():
        return ""
    wrong = np.abs(values - taken.values) > 1e-3 + 1e-5 * np.abs(values)
    if padded is not None:
        wrong &= ~padded
    return (
        f"{int(wrong.sum())} voxels differ, by {np.abs(values - taken.values)[wrong].max():.4g}" if wrong.any() else ""
    )


def resampled_difference(slices, taken):
    """An uneven or tilted series, taken by resampling: wherever a voxel of the result lies on a plane of a slice it
    must have the value that linear interpolation in that slice gives; elsewhere the one between the two
    neighbouring slices."""
    first = slices[0]
    normal = np.cross(first.row, first.column)
    values = [plane_values(s) for s in slices]
    if any(v[0] is None for v in values):
        return ""
    planes = [np.where(padded, np.nan, v) for v, padded in values]
    along = np.array([(s.position - first.position) @ normal for s in slices])
    numbers = np.random.default_rng(4)
    scale, worst, inside = max(np.nanmax(p) - np.nanmin(p) for p in planes), 0.0, 0
    for _ in range(4000):
        at = numbers.integers(0, taken.values.shape)
        point = (taken.affine @ [*at, 1])[:3]
        t = (point - first.position) @ normal
        upper = int(np.searchsorted(along, t - 1e-6))
        if upper >= len(along) or t < -1e-6:
            continue
        lower = upper if abs(along[upper] - t) < 1e-3 else upper - 1
        weight = 0.0 if lower == upper else (t - along[lower]) / (along[upper] - along[lower])
        value, good = 0.0, True
        for n, share in ((lower, 1 - weight), (upper, weight)):
            s = slices[n]
            u = (point - s.position) @ s.row / s.spacing[1]
            v = (point - s.position) @ s.column / s.spacing[0]
            i, j = int(np.floor(u + 1e-6)), int(np.floor(v + 1e-6))
            good = good and 0 <= i and i + 1 < planes[n].shape[0] and 0 <= j and j + 1 < planes[n].shape[1]
            if not good:
                break
            a, b = u - i, v - j
            box = planes[n][i : i + 2, j : j + 2]
            good = not np.isnan(box).any()
            if not good:
                break
            value += share * (
                (1 - a) * (1 - b) * box[0, 0] + a * (1 - b) * box[1, 0] + (1 - a) * b * box[0, 1] + a * b * box[1, 1]
            )
        if good:
            inside += 1
            worst = max(worst, abs(value - taken.values[tuple(at)]))
    if inside < 400:
        return f"only {inside} of 4000 voxels lie inside the slices"
    # Linear interpolation between voxels jumps by at most a thousandth of the range when a position is rounded.
    return f"values differ by {worst:.3g} of {scale:.3g}" if worst > 2e-3 * scale else ""


def compare_root(node, root, out):
    corpus = read_corpus(root)
    by_path = {path: series for series in corpus for path in series.files}
    counted = {id(s): [0] * len(s.volumes) for s in corpus}
    for study in node.ingest(root):
        path = study["identity"]["image"]
        series = by_path.get(path)
        if not study["usable"]:
            out["refused"].append(
                {"file": path, "reason": study["reason"], "reference": series.state if series else "not an image"}
            )
            continue
        taken = node.volume(study)
        if series is not None and series.state == "resampled":
            why = resampled_difference(series.slices, taken)
            out["resampled"].append({"file": path, "shape": list(taken.values.shape), "why": why or "agrees"})
            if why:
                out["wrong"].append({"file": path, "why": why})
            continue
        whys = [difference(v, taken) for v in series.volumes] if series else []
        if "" not in whys:
            out["wrong"].append(
                {
                    "file": path,
                    "why": "; ".join(whys)
                    or "the reference sees no volume here: " + (series.state if series else "not an image"),
                }
            )
            continue
        for n, why in enumerate(whys):
            counted[id(series)][n] += why == ""
        if all(np.isnan(v.values).any() for v, why in zip(series.volumes, whys) if why == ""):
            out["unchecked"].append(path)
    for series in corpus:
        for volume, times in zip(series.volumes, counted[id(series)]):
            out["consistent"] += 1
            out["taken"] += times > 0
            if times == 0:
                out["missed"].append(volume.source)


def rotation(about_z, about_x):
    a, b = np.radians([about_z, about_x])
    return np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]) @ np.array(
        [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    )


def make_nifti(folder, numbers):
    turns = {
        "plain": np.eye(3),
        "x": np.diag([-1, 1, 1]),
        "y": np.diag([1, -1, 1]),
        "z": np.diag([1, 1, -1]),
        "xy": np.diag([-1, -1, 1]),
        "permuted": np.eye(3)[[2, 0, 1]],
        "swapped": np.eye(3)[[1, 0, 2]],
        "oblique": rotation(20, -35),
        "left": rotation(-50, 10) @ np.diag([-1, 1, 1]),
    }
    types = [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]
    for n, (name, turn) in enumerate(turns.items()):
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([0.8, 1.1, 2.5])
        affine[:3, 3] = [-40.5, 17, 233]
        values = (numbers.random((11, 9, 7)) * 200).astype(types[n % len(types)])
        kind, order = (nibabel.Nifti2Image, "<") if n % 2 else (nibabel.Nifti1Image, ">" if n % 3 == 0 else "<")
        image = kind(values, affine, kind.header_class(endianness=order))
        image.set_sform(affine, 1 if n % 4 else 0)  # every fourth has a qform only
        image.set_qform(affine, 1)
        if values.dtype.kind in "iu":
            image.header.set_slope_inter(0.5, -30)
        nibabel.save(image, os.path.join(folder, name + (".nii.gz" if n % 2 else ".nii")))


def make_slice(n, position, orientation, spacing, pixels, series, modality="CT"):
    d = pydicom.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = {
        "CT": "1.2.840.10008.5.1.4.1.1.2",
        "MR": "1.2.840.10008.5.1.4.1.1.4",
    }[modality]
    d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"{series}.{n + 1}"
    d.SeriesInstanceUID, d.StudyInstanceUID, d.PatientID, d.Modality = series, "1.2.3", "made", modality
    d.ImagePositionPatient, d.ImageOrientationPatient = [f"{v:.6f}" for v in position], [
        f"{v:.9f}" for v in orientation
    ]
    d.PixelSpacing, d.SliceThickness = [str(v) for v in spacing], "2.5"
    d.Rows, d.Columns = pixels.shape
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = (
        16,
        12 if pixels.dtype.kind == "u" else 16,
        11 if pixels.dtype.kind == "u" else 15,
        int(pixels.dtype.kind == "i"),
    )
    d.RescaleSlope, d.RescaleIntercept = "1", "-1024"
    d.PixelData = pixels.tobytes()
    return d


def make_dicom(folder, numbers):
    """One folder of seven slices for each peculiarity."""
    syntaxes = {
        "explicit": pydicom.uid.ExplicitVRLittleEndian,
        "implicit": pydicom.uid.ImplicitVRLittleEndian,
        "big": pydicom.uid.ExplicitVRBigEndian,
        "deflated": pydicom.uid.DeflatedExplicitVRLittleEndian,
        "rle": pydicom.uid.RLELossless,
        "slopes": pydicom.uid.ExplicitVRLittleEndian,
        "padding": pydicom.uid.ImplicitVRLittleEndian,
        "inverted": pydicom.uid.ExplicitVRLittleEndian,
        "tilted": pydicom.uid.ExplicitVRLittleEndian,
    }
    for number, (name, syntax) in enumerate(syntaxes.items()):
        os.mkdir(os.path.join(folder, name))
        turn = np.eye(3) if name == "tilted" else rotation(15 * number, -20 * number) @ np.diag([(-1) ** number, 1, 1])
        normal = np.cross(turn[:, 0], turn[:, 1])
        for n in range(7):
            pixels = numbers.integers(0, 4000, (9, 11)).astype(np.int16 if number % 2 else np.uint16)
            position = np.array([-30, 12, 100]) + normal * 2.5 * n + (turn[:, 1] * 0.8 * n if name == "tilted" else 0)
            d = make_slice(
                n,
                position,
                [*turn[:, 0], *turn[:, 1]],
                [0.8, 0.6],
                pixels,
                f"1.2.826.{number + 1}",
                "MR" if name == "inverted" else "CT",
            )
            if name == "slopes":
                d.RescaleSlope, d.RescaleIntercept = str(1 + 0.25 * n), str(-100 * n)
            if name == "padding":
                d.PixelPaddingValue = int(pixels[0, 0])
            if name == "inverted":
                d.PhotometricInterpretation = "MONOCHROME1"
            d.file_meta.TransferSyntaxUID = syntax
            d.is_little_endian, d.is_implicit_VR = (
                syntax != pydicom.uid.ExplicitVRBigEndian,
                syntax == pydicom.uid.ImplicitVRLittleEndian,
            )
            if name == "big":
                d.PixelData = pixels.byteswap().tobytes()
            if name == "rle":
                d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
                d.compress(syntax)
            pydicom.dcmwrite(os.path.join(folder, name, f"{(n * 3) % 7}"), d, write_like_original=False)


def make_corpus(folder):
    numbers = np.random.default_rng(20)
    os.mkdir(folder)
    make_nifti(folder, numbers)
    make_dicom(folder, numbers)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--no-packages", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    roots = [asked.data]
    if not asked.no_packages:
        roots += [
            os.path.join(pydicom.__path__[0], "data"),
            os.path.join(nibabel.__path__[0], "tests", "data"),
            os.path.join(nibabel.__path__[0], "nicom", "tests", "data"),
        ]
    out = {"consistent": 0, "taken": 0, "resampled": [], "refused": [], "wrong": [], "missed": [], "unchecked": []}
    for root in [*roots, None]:
        with tempfile.TemporaryDirectory(prefix="fovea-reference-") as folder:
            compare_root(
                Node(asked.node, folder), os.path.realpath(root or make_corpus(os.path.join(folder, "made"))), out
            )
    result = {"taken_fraction": out["taken"] / max(out["consistent"], 1), "wrong_geometries": len(out["wrong"]), **out}
    text = json.dumps(result, indent=1)
    with open(asked.json, "w") as file:
        file.write(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"intake_reference.py: {error}", file=sys.stderr)
        sys.exit(1)
