"""Makes segmentations and structure sets of a series."""

import numpy

from kit.dicom import AXIAL, fields, general, items, store, text, texts

SQUARE = [(2.5, 2.5), (7.5, 2.5), (7.5, 7.5), (2.5, 7.5)]  # holds the voxels 3 to 7 of both axes
HELD = ((3, 3, 3), (8, 8, 6))  # those of SQUARE in slices 3 to 5


def write_seg(folder, name, segments, grid, order=None, fractional=False, change=None, patient="P1"):
    """segments: {number: mask[slice, row, column]} on the grid of an axial series.

    order: the (segment, slice) of each frame; by default every slice of every segment."""
    shape = next(iter(segments.values())).shape
    order = [(number, k) for number in segments for k in range(shape[0])] if order is None else order
    dataset = general(folder, "SEG", "SEG", "seg", patient)
    dataset.SOPInstanceUID = folder.uid("seg", name)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ReferencedSeriesSequence = items(fields(SeriesInstanceUID=folder.uid("series", "one")))
    dataset.SegmentationType = "FRACTIONAL" if fractional else "BINARY"
    if fractional:
        dataset.SegmentationFractionalType, dataset.MaximumFractionalValue = "PROBABILITY", 255
    dataset.SegmentSequence = items(
        *(
            fields(SegmentNumber=number, SegmentLabel=f"segment {number}", SegmentAlgorithmType="MANUAL")
            for number in segments
        )
    )
    measures = fields(PixelSpacing=texts((0.8, 0.7)), SliceThickness=text(2), SpacingBetweenSlices=text(2))
    orientation = fields(ImageOrientationPatient=texts(AXIAL))
    dataset.SharedFunctionalGroupsSequence = items(
        fields(PixelMeasuresSequence=items(measures), PlaneOrientationSequence=items(orientation))
    )
    places = [(grid @ [0, 0, k, 1])[:3] for k in range(shape[0])]
    dataset.PerFrameFunctionalGroupsSequence = items(
        *(
            fields(
                PlanePositionSequence=items(fields(ImagePositionPatient=texts(places[k]))),
                SegmentIdentificationSequence=items(fields(ReferencedSegmentNumber=number)),
            )
            for number, k in order
        )
    )
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = shape[1], shape[2], len(order)
    dataset.BitsAllocated = dataset.BitsStored = 8 if fractional else 1
    dataset.HighBit = dataset.BitsStored - 1
    frames = numpy.stack([segments[number][k] for number, k in order])
    if fractional:
        content = frames.astype(numpy.uint8).tobytes()
    else:
        content = numpy.packbits((frames > 0).ravel(), bitorder="little").tobytes()
    dataset.PixelData = content + bytes(len(content) % 2)
    dataset["PixelData"].VR = "OB"
    if change:
        change(dataset)
    return store(dataset, folder.path(name))


def outline(grid, corners, k):
    """(column, row) of slice k as points in millimetres."""
    return [(grid @ [column, row, k, 1])[:3] for column, row in corners]


def squares(grid, corners=None, slices=(3, 4, 5)):
    return [("CLOSED_PLANAR", outline(grid, corners or SQUARE, k)) for k in slices]


def write_structures(folder, name, regions, types=None):
    """An RTSTRUCT. regions: {number: [(kind of contour, points)]}; types: {number: interpreted type}."""
    dataset = general(folder, "RTSTRUCT", "RTSTRUCT", "structures")
    dataset.SOPInstanceUID = folder.uid("structures", name)
    dataset.StructureSetLabel = "FIELD"
    frame = dataset.FrameOfReferenceUID
    referred = fields(SeriesInstanceUID=folder.uid("series", "one"))
    study = fields(RTReferencedSeriesSequence=items(referred))
    dataset.ReferencedFrameOfReferenceSequence = items(
        fields(FrameOfReferenceUID=frame, RTReferencedStudySequence=items(study))
    )
    dataset.StructureSetROISequence = items(
        *(
            fields(ROINumber=number, ROIName=f"region {number}", ReferencedFrameOfReferenceUID=frame)
            for number in regions
        )
    )
    dataset.RTROIObservationsSequence = items(
        *(
            fields(
                ObservationNumber=number,
                ReferencedROINumber=number,
                RTROIInterpretedType=(types or {}).get(number, "GTV"),
            )
            for number in regions
        )
    )
    dataset.ROIContourSequence = items(
        *(
            fields(
                ReferencedROINumber=number,
                ContourSequence=items(
                    *(
                        fields(
                            ContourGeometricType=kind,
                            NumberOfContourPoints=len(points),
                            ContourData=[f"{value:.4f}" for point in points for value in point],
                        )
                        for kind, points in contours
                    )
                ),
            )
            for number, contours in regions.items()
        )
    )
    return store(dataset, folder.path(name))
