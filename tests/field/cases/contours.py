"""Structure sets and segmentations."""

import math

import numpy

from kit.case import MANIFEST, Group, block
from kit.dicom import write_ramp, write_series
from kit.labels import HELD, SQUARE, outline, squares, write_seg, write_structures

from cases.stacks import oblique

case = Group("contours", item=11)
SHAPE = (12, 10, 10)
TINY = [(5.2, 5.2), (5.4, 5.2), (5.4, 5.4), (5.2, 5.4)]
AWAY = [(column + 40, row + 40) for column, row in SQUARE]
FIRST = ("{in}", "--finding", "1")


@case.take("an oblique MR", studies=1)
def oblique_structures(folder):
    grid = write_series(folder, "mr", modality="MR", axes=oblique(12), intercept=0).grid
    write_structures(folder, "rt.dcm", {4: squares(grid)})
    folder.expect_finding(block(SHAPE, *HELD), grid, 4)


@case.take("a tilted CT, drawn in its tilted planes", studies=1)
def tilted_structures(folder):
    turn = math.radians(10)
    axes = (1, 0, 0, 0, round(math.cos(turn), 6), round(math.sin(turn), 6))
    grid = write_ramp(folder, "ct", [(-10, -20, -50 + 2.0 * k) for k in range(12)], axes)
    corners = [(4.5, 4.5), (14.5, 4.5), (14.5, 14.5), (4.5, 14.5)]
    write_structures(folder, "rt.dcm", {1: squares(grid, corners, (4, 5, 6))})
    mask = block((24, 20, 12), (5, 5, 4), (15, 15, 7))
    folder.expect_finding(mask, grid, 1, within_mm=0.4)  # it is drawn into a resampled grid


@case.take("a keyhole contour", studies=1)
def keyhole(folder):
    grid = write_series(folder, "ct").grid
    hole = [(2.5, 5.0), (4.5, 5.0), (4.5, 5.5), (5.5, 5.5), (5.5, 4.5), (4.5, 4.5), (4.5, 5.0), (2.5, 5.0)]
    write_structures(folder, "rt.dcm", {1: squares(grid, SQUARE + hole)})
    mask = block(SHAPE, *HELD)
    mask[5, 5, 3:6] = False
    folder.expect_finding(mask, grid, 1)


def write_ct(folder, regions, **more):
    """A CT with these regions; says the square of the region `label`, if there is one."""
    label = more.pop("label", None)
    grid = write_series(folder, "ct", truth=label is not None).grid
    write_structures(folder, "rt.dcm", {number: make(grid) for number, make in regions.items()}, **more)
    if label is not None:
        folder.expect_finding(block(SHAPE, *HELD), grid, label)


@case.take("a point beside a closed region is left out", studies=1)
def point(folder):
    write_ct(folder, {1: lambda grid: [("POINT", outline(grid, [(5, 5)], 4))], 2: squares}, label=2)


@case.refuse("only an open contour", words=("closed contour",))
def open_contour(folder):
    write_ct(folder, {1: lambda grid: [("OPEN_PLANAR", outline(grid, SQUARE, 4))]})


@case.take("one contour: one slice", studies=1)
def one_contour(folder):
    grid = write_series(folder, "ct").grid
    write_structures(folder, "rt.dcm", {1: squares(grid, slices=(4,))})
    folder.expect_finding(block(SHAPE, (3, 3, 4), (8, 8, 5)), grid, 1)


@case.take("the outline of the body (EXTERNAL) is no finding", studies=1)
def body_outline(folder):
    body = [(0, 0), (11, 0), (11, 9), (0, 9)]
    write_ct(folder, {1: lambda grid: squares(grid, body, range(10)), 2: squares}, types={1: "EXTERNAL"}, label=2)


@case.either("a marker smaller than a voxel beside a region: left out and said, or refused", studies=1)
def marker(folder):
    write_ct(folder, {1: squares, 2: lambda grid: squares(grid, TINY, (4,))}, label=1)


@case.take("a marker that nobody asked for does not refuse the study", studies=1, arguments=FIRST)
def marker_not_chosen(folder):
    marker(folder)


@case.take("nor does a couch outside of the scan", studies=1, arguments=FIRST)
def couch_not_chosen(folder):
    write_ct(folder, {1: squares, 2: lambda grid: squares(grid, AWAY)}, label=1)


@case.either("region 100001: taken, or refused by name", studies=1, words=("1–32767",))
def large_number(folder):
    write_ct(folder, {100001: squares}, label=100001)


@case.either("the mask column names the folder of one RTSTRUCT: taken, or a fitting reason", studies=1,
             words=("folder",), arguments=MANIFEST, item=12)
def folder_of_structures(folder):
    grid = write_series(folder, "ct").grid
    write_structures(folder, "rt/1-1.dcm", {1: squares(grid)})
    folder.table(["a,p,ct,rt,train,"])
    folder.expect_finding(block(SHAPE, *HELD), grid, 1)


def transposed(mask):
    return mask.transpose(2, 1, 0)


def write_segments(folder, segments, **more):
    grid = write_series(folder, "ct").grid
    write_seg(folder, "seg.dcm", segments, grid, **more)
    for number, mask in segments.items():
        folder.expect_finding(transposed(mask), grid, number)


@case.take("frames from back to front, another count for each segment", studies=1)
def frames_backwards(folder):
    segments = {1: block((10, 10, 12), (1, 3, 3), (3, 8, 8)), 2: block((10, 10, 12), (5, 2, 2), (9, 5, 9))}
    write_segments(folder, segments, order=[(2, 8), (2, 7), (1, 2), (2, 6), (1, 1), (2, 5)])


@case.take("two segments that overlap", studies=1)
def overlapping_segments(folder):
    second = block((10, 10, 12), (4, 4, 4), (8, 9, 10))
    write_segments(folder, {1: block((10, 10, 12), (2, 2, 2), (6, 7, 7)), 2: second})


@case.take("segments 1 and 300", studies=1)
def segment_300(folder):
    second = block((10, 10, 12), (5, 5, 5), (8, 9, 10))
    write_segments(folder, {1: block((10, 10, 12), (1, 1, 1), (3, 4, 4)), 300: second})


@case.take("fractional: from one half", studies=1)
def fractional(folder):
    grid = write_series(folder, "ct").grid
    mask = block((10, 10, 12), (4, 3, 3), (7, 8, 8))
    parts = mask * 200
    parts[3, 3:8, 3:8] = 100
    write_seg(folder, "seg.dcm", {1: parts}, grid, fractional=True)
    folder.expect_finding(transposed(mask), grid, 1)


@case.take("a segment without frames: no findings", studies=1)
def no_frames(folder):
    def change(dataset):
        del dataset.PixelData, dataset.PerFrameFunctionalGroupsSequence
        dataset.NumberOfFrames = 0

    grid = write_series(folder, "ct").grid
    write_seg(folder, "seg.dcm", {1: numpy.zeros((10, 10, 12))}, grid, change=change)
    folder.findings = []


@case.refuse("segments of another patient's scan", words=("Frame of Reference",), arguments=MANIFEST, item=4)
def other_patient(folder):
    grid = write_series(folder, "ct", truth=False).grid
    write_seg(folder, "seg.dcm", {1: block((10, 10, 12), (4, 3, 3), (7, 8, 8))}, grid, patient="P2")
    folder.table(["a,p,ct,seg.dcm,train,"])
