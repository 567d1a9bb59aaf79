"""Slices in space: order, orientation, distances, several stacks in one series."""

import math

import numpy

from kit.case import Group, replace_bytes
from kit.dicom import AXIAL, CORONAL, SAGITTAL, write_axial_frames, write_enhanced, write_ramp, write_series

case = Group("stacks", item=1)


def oblique(degrees, digits=6):
    turn, lean = math.radians(degrees), math.radians(7)
    right = (math.cos(turn), math.sin(turn), 0)
    down = (-math.sin(turn) * math.cos(lean), math.cos(turn) * math.cos(lean), math.sin(lean))
    return tuple(numpy.round([*right, *down], digits))


@case.take("Instance Numbers and names run against the places", studies=1)
def numbered_backwards(folder):
    write_series(folder, names="{}x.dcm", edit=lambda dataset, k: setattr(dataset, "InstanceNumber", 10 - k))


@case.take("every Instance Number is 1", studies=1)
def numbered_alike(folder):
    write_series(folder, edit=lambda dataset, k: setattr(dataset, "InstanceNumber", 1))


@case.take("places off by up to 0.005 mm", studies=1)
def jitter(folder):
    exact = numpy.array([(-10.0, -20.0, -100 + 2.0 * k) for k in range(10)])
    write_series(folder, places=numpy.round(exact + folder.random.uniform(-0.005, 0.005, exact.shape), 4), mm=0.03)


@case.take("an oblique orientation of four digits", studies=1)
def four_digits(folder):
    write_series(folder, modality="MR", axes=oblique(1, 4), intercept=0, mm=0.05)


@case.either("an oblique orientation of two digits: within 0.2 mm, or refused by name", studies=1)
def two_digits(folder):
    write_series(folder, modality="MR", axes=oblique(12, 2), intercept=0, mm=0.2)


@case.take("no Slice Thickness, even distances", studies=1)
def no_thickness(folder):
    write_series(folder, thickness=False)


@case.refuse("no Slice Thickness, uneven distances", words=("distance",))
def no_thickness_uneven(folder):
    heights = (0, 2, 4, 6, 9, 12, 15, 18, 21, 24)
    write_series(folder, thickness=False, places=[(-10, -20, z) for z in heights], truth=False)


@case.take("slices of 5 mm every 2 mm", studies=1)
def overlapping(folder):
    write_series(folder, edit=lambda dataset, k: setattr(dataset, "SliceThickness", "5"))


@case.take("a gantry tilted by 20°: each voxel where its millimetres say", studies=1)
def tilted_gantry(folder):
    turn = math.radians(20)
    axes = (1, 0, 0, 0, round(math.cos(turn), 6), round(math.sin(turn), 6))
    write_ramp(folder, "", [(-10, -20, -50 + 2.0 * k) for k in range(12)], axes,
               edit=lambda dataset, k: setattr(dataset, "GantryDetectorTilt", "20"))


@case.take("a sagittal stack", studies=1)
def sagittal(folder):
    write_series(folder, modality="MR", axes=SAGITTAL, intercept=0)


@case.take("a coronal stack from back to front", studies=1)
def coronal(folder):
    write_series(folder, modality="MR", axes=CORONAL, intercept=0)


@case.either("two flip angles in one series: two studies, or refused by a fitting reason", studies=2)
def flip_angles(folder):
    for angle in ("5", "15"):
        write_series(folder, modality="MR", intercept=0, names=f"f{angle}-{{}}.dcm", instance=angle,
                     edit=lambda dataset, k, angle=angle: setattr(dataset, "FlipAngle", angle))


@case.either("three phases of one 4D-CT in one series: three studies, or refused by a fitting reason", studies=3)
def phases(folder):
    for phase in range(3):
        write_series(folder, names=f"d{phase}-{{}}.dcm", instance=str(phase),
                     edit=lambda dataset, k, phase=phase: dataset.add_new(0x00209241, "FD", 10.0 * phase))


@case.refuse("two stacks 100 mm beside each other in one series", words=("jump",))
def two_stacks(folder):
    write_series(folder, "a", modality="MR", intercept=0, truth=False)
    write_series(folder, "b", modality="MR", intercept=0, corner=(90, -20, -99.0), instance="b", truth=False)


@case.refuse("a slice missing in the middle", words=("missing",))
def missing_slice(folder):
    write_series(folder, truth=False).files[5].unlink()


@case.either("slices missing in pairs: refused by name", words=("gap",), item=12)
def alternating_gaps(folder):
    write_series(folder, places=[(-10, -20, z) for z in (0, 2, 6, 8, 12, 14, 18, 20, 24, 26)], truth=False)


@case.either("a scout in a series of 40 slices: left out and said, or refused as a localizer", studies=1,
             words=("localizer",), item=11)
def odd_scout(folder):
    write_series(folder, "a", slices=40)
    write_series(folder, "b", slices=1, rows=20, columns=24, axes=(1, 0, 0, 0, 0, -1), instance="scout", truth=False)


@case.take("enhanced MR without Dimension Index Values, frames in any order", studies=1)
def frames_without_index(folder):
    order = [int(k) for k in folder.random.permutation(12)]
    _, raw, grid = write_axial_frames(folder, "e.dcm", order, indexed=False)
    folder.expect(raw.transpose(2, 1, 0), grid)


@case.refuse("frames of two orientations in one object", words=("orientation",))
def frames_of_two_orientations(folder):
    raw = folder.draw((12, 10, 12))
    axial = [((-10, -20, -50 + 2.0 * k), AXIAL, raw[k], [1, k]) for k in range(6)]
    coronal_axes = (1, 0, 0, 0, 0, -1)
    other = [((-10, -20 + 2.0 * k, -50), coronal_axes, raw[k], [2, k]) for k in range(6, 12)]
    write_enhanced(folder, "e.dcm", axial + other)


@case.refuse("big endian by its Transfer Syntax, little by its data: never swapped voxels", item=12)
def other_byte_order(folder):
    for file in write_series(folder, truth=False).files:
        replace_bytes(file, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")


@case.either("two acquisitions of one place in one series: two studies, or refused by a fitting reason", studies=2)
def two_acquisitions(folder):
    for number in (1, 2):
        write_series(folder, names=f"a{number}-{{}}.dcm", instance=str(number),
                     edit=lambda dataset, k, number=number: setattr(dataset, "AcquisitionNumber", number))
