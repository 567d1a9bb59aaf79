"""Makes DICOM objects: series of slices, PET series, enhanced objects."""

import dataclasses
import typing
import warnings

import numpy
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module="pydicom")

STORAGE = "1.2.840.10008.5.1.4.1.1."
CLASSES = {"CT": "2", "MR": "4", "PT": "128", "enhanced MR": "4.1", "enhanced PT": "130", "SEG": "66.4"}
CLASSES.update({"RTSTRUCT": "481.3", "SR": "88.67", "PR": "11.1", "OT": "7"})
IMPLICIT, EXPLICIT = ImplicitVRLittleEndian, ExplicitVRLittleEndian
AXIAL, SAGITTAL, CORONAL = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 0, -1)
FLUORINE_18_S = 6586.2
RAMP = (3.0, 5.0, 7.0, 1500.0)


def text(number):
    """A decimal string (DS): at most 16 characters."""
    return f"{float(number):.9g}"


def texts(numbers):
    return [text(number) for number in numbers]


def items(*parts):
    return pydicom.Sequence(list(parts))


def fields(**values):
    out = Dataset()
    for name, value in values.items():
        setattr(out, name, value)
    return out


def grid_of(axes, corner, pixel_mm, step):
    """Voxel (column, row, slice) to LPS millimetres."""
    out = numpy.eye(4)
    out[:3, 0] = numpy.asarray(axes[:3], float) * pixel_mm[1]
    out[:3, 1] = numpy.asarray(axes[3:], float) * pixel_mm[0]
    out[:3, 2], out[:3, 3] = step, corner
    return out


def general(folder, kind, modality, key="one", patient="P1"):
    """The patient, study and series part of an object; key names the series, patient also study and frame."""
    when = {f"{name}Date": "20230105" for name in ("Study", "Series", "Acquisition", "Content")}
    when.update({f"{name}Time": "100000" for name in ("Study", "Series", "Acquisition", "Content")})
    return fields(
        SOPClassUID=STORAGE + CLASSES[kind],
        Modality=modality,
        StudyInstanceUID=folder.uid("study", patient),
        SeriesInstanceUID=folder.uid("series", key),
        FrameOfReferenceUID=folder.uid("frame", patient),
        PatientID=patient,
        PatientName=f"Case^{patient}",
        StudyID="1",
        SeriesNumber=1,
        Manufacturer="FIELD",
        **when,
    )


def store(dataset, path, syntax=EXPLICIT):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = UID(syntax), "2.25.1"
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=bytes(128))
    file.is_implicit_VR, file.is_little_endian = syntax == IMPLICIT, syntax != ExplicitVRBigEndian
    file.save_as(str(path), write_like_original=False)
    return path


def set_pixels(dataset, raw, signed=False):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = raw.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = raw.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"


@dataclasses.dataclass
class Series:
    """Slices of one series. `edit(dataset, k)` may change each; places replaces corner and step."""

    modality: str = "CT"
    slices: int = 10
    rows: int = 10
    columns: int = 12
    pixel_mm: tuple = (0.8, 0.7)
    step_mm: float = 2.0
    axes: tuple = AXIAL
    corner: tuple = (-10.0, -20.0, -100.0)
    places: typing.Optional[list] = None
    slope: float = 1.0
    intercept: float = -1024.0
    raw: typing.Optional[numpy.ndarray] = None
    signed: bool = False
    key: str = "one"
    patient: str = "P1"
    thickness: bool = True
    edit: typing.Optional[typing.Callable] = None
    names: str = "{:03d}.dcm"
    syntax: str = EXPLICIT
    instance: str = ""  # makes SOP instances of another copy of this series
    unit: float = 1.0  # a value of the stored scan is (raw × slope + intercept) × unit
    truth: bool = True
    within: float = 1e-3
    mm: float = 0.02


@dataclasses.dataclass
class Written:
    files: list
    values: numpy.ndarray
    grid: numpy.ndarray


def slice_object(folder, series, raw, k, place):
    dataset = general(folder, series.modality, series.modality, series.key, series.patient)
    dataset.SOPInstanceUID = folder.uid("slice", series.modality, series.key, series.patient, series.instance, k)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = texts(place), texts(series.axes)
    dataset.PixelSpacing = texts(series.pixel_mm)
    if series.thickness:
        dataset.SliceThickness = text(abs(series.step_mm))
    dataset.RescaleSlope, dataset.RescaleIntercept = text(series.slope), text(series.intercept)
    if series.modality == "CT":
        dataset.RescaleType = "HU"
    set_pixels(dataset, raw, series.signed)
    if series.edit:
        series.edit(dataset, k)
    return dataset


def write_series(folder, where="", **changes):
    """Writes the slices and, unless truth is false, says what their values and places are."""
    series = Series(**changes)
    axes = numpy.asarray(series.axes, float)
    step = numpy.cross(axes[:3], axes[3:]) * series.step_mm
    shape = (series.slices, series.rows, series.columns)
    raw = folder.draw(shape) if series.raw is None else series.raw
    files = []
    for k in range(series.slices):
        place = numpy.asarray(series.corner) + step * k if series.places is None else series.places[k]
        dataset = slice_object(folder, series, raw[k], k, place)
        files.append(store(dataset, folder.given / where / series.names.format(k), series.syntax))
    values = ((raw * series.slope + series.intercept) * series.unit).transpose(2, 1, 0)
    grid = grid_of(axes, series.corner, series.pixel_mm, step)
    if series.truth:
        folder.expect(values, grid, series.within, series.mm)
    return Written(files, values, grid)


def suv_per_activity(wait_s, weight_kg=70.0, dose_bq=370e6, half_life_s=FLUORINE_18_S):
    return weight_kg * 1000 / (dose_bq * 2 ** (-wait_s / half_life_s))


def set_tracer(dataset, units="BQML", decay="START", weight="70", dose="370000000", half_life=FLUORINE_18_S,
               start="090000", start_datetime=None):
    dataset.Units, dataset.DecayCorrection = units, decay
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT", "NORM"]
    dataset.PatientWeight = weight
    drug = fields(RadionuclideTotalDose=dose, RadionuclideHalfLife=text(half_life))
    if start is not None:
        drug.RadiopharmaceuticalStartTime = start
    if start_datetime is not None:
        drug.RadiopharmaceuticalStartDateTime = start_datetime
    dataset.RadiopharmaceuticalInformationSequence = items(drug)


def write_pet(folder, where="", wait_s=3600.0, unit=None, edit=None, tracer=None, **changes):
    """A PET series; unit: SUV per stored activity, by default after wait_s of decay."""

    def both(dataset, k):
        set_tracer(dataset, **(tracer or {}))
        if edit:
            edit(dataset, k)

    if unit is None:
        unit = suv_per_activity(wait_s)
    changes = {"slices": 6, "slope": 10.0, "intercept": 0.0, "within": 0.2 * unit + 1e-4, **changes}
    return write_series(folder, where, modality="PT", edit=both, unit=unit, **changes)


def write_enhanced(folder, name, frames, kind="enhanced MR", modality="MR", indexed=True, change=None):
    """One object of several frames: (place, axes, raw[row, column], dimension index)."""
    dataset = general(folder, kind, modality)
    dataset.SOPInstanceUID = folder.uid("enhanced")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.InstanceNumber, dataset.NumberOfFrames = 1, len(frames)
    measures = fields(PixelSpacing=texts((0.8, 0.7)), SliceThickness="2")
    dataset.SharedFunctionalGroupsSequence = items(fields(PixelMeasuresSequence=items(measures)))
    groups = []
    for number, (place, axes, _, index) in enumerate(frames, start=1):
        content = fields(StackID="1", InStackPositionNumber=number)
        if indexed:
            content.DimensionIndexValues = index
        groups.append(
            fields(
                PlanePositionSequence=items(fields(ImagePositionPatient=texts(place))),
                PlaneOrientationSequence=items(fields(ImageOrientationPatient=texts(axes))),
                FrameContentSequence=items(content),
                PixelValueTransformationSequence=items(
                    fields(RescaleSlope="1", RescaleIntercept="0", RescaleType="US")
                ),
            )
        )
    dataset.PerFrameFunctionalGroupsSequence = items(*groups)
    set_pixels(dataset, numpy.stack([frame[2] for frame in frames]))
    if change:
        change(dataset)
    return store(dataset, folder.path(name))


def write_axial_frames(folder, name, order, indexed=True, **more):
    """An enhanced object of axial frames that come in this order; says what is right."""
    raw = folder.draw((len(order), 10, 12))
    corner = numpy.array([-10.0, -20.0, -50.0])
    frames = [
        (corner + [0, 0, 2.0 * k], AXIAL, raw[k], [1, int(folder.random.integers(1, 99))]) for k in order
    ]
    path = write_enhanced(folder, name, frames, indexed=indexed, **more)
    return path, raw, grid_of(AXIAL, corner, (0.8, 0.7), [0, 0, 2.0])


def write_ramp(folder, where, places, axes, edit=None):
    """A series whose value at each place in mm is RAMP's."""
    grids = [grid_of(axes, place, (0.8, 0.7), (0, 0, 0)) for place in places]
    column, row = numpy.meshgrid(numpy.arange(24), numpy.arange(20))
    points = numpy.stack([column, row, numpy.zeros_like(row), numpy.ones_like(row)])
    raw = [numpy.tensordot(numpy.array(RAMP), numpy.tensordot(grid, points, axes=1), axes=1) for grid in grids]
    raw = numpy.rint(numpy.array(raw) * 8).astype(int)
    write_series(folder, where, slices=len(places), rows=20, columns=24, raw=raw, slope=0.125, intercept=0,
                 places=places, axes=axes, edit=edit, truth=False)
    folder.expect_ramp(RAMP, 0.3)
    step = numpy.subtract(places[1], places[0])
    return grid_of(axes, places[0], (0.8, 0.7), step)


def compress(path, syntax):
    """Encodes the pixels of a file by GDCM; syntax is GDCM's name of it."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    writer = gdcm.ImageWriter()
    if reader.Read():
        change.SetInput(reader.GetImage())
        if change.Change():
            writer.SetFileName(str(path))
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            if writer.Write():
                return
    raise ValueError(f"{path.name}: cannot be compressed by {syntax}")
