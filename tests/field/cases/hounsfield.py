"""What the numbers of a CT mean: rescaling, stored bits, padding, compression."""

import numpy

from kit.case import Group
from kit.dicom import compress, fields, items, write_series

case = Group("hounsfield", item=7)


@case.take("no Rescale Slope and Intercept: as stored", studies=1)
def not_rescaled(folder):
    def edit(dataset, k):
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType

    write_series(folder, slope=1, intercept=0, edit=edit)


@case.refuse("Rescale Type {}: these are not HU", words=("Rescale Type",), variants=("Z_EFF", "MGML", "US"))
def rescale_type(folder, variant):
    write_series(folder, slope=0.01, intercept=0,
                 edit=lambda dataset, k: setattr(dataset, "RescaleType", variant))


def stored_bits(dataset, words, bits, high):
    dataset.PixelData = words.astype("<u2").tobytes()
    dataset.BitsStored, dataset.HighBit = bits, high


@case.take("12 of 16 bits, an old overlay above them: masked", studies=1)
def overlay_bits(folder):
    def edit(dataset, k):
        stored_bits(dataset, numpy.frombuffer(dataset.PixelData, "<u2") | 0xA000, 12, 11)

    write_series(folder, edit=edit)


@case.take("12 signed bits with others above: the sign is bit 11", studies=1)
def overlay_bits_signed(folder):
    def edit(dataset, k):
        stored_bits(dataset, numpy.frombuffer(dataset.PixelData, "<u2") & 0x0FFF | 0x5000, 12, 11)

    write_series(folder, raw=folder.draw((10, 10, 12), -2000, 2000), signed=True, intercept=0, edit=edit)


@case.either("12 bits up to bit 15: shifted, or refused by name", studies=1)
def left_aligned(folder):
    def edit(dataset, k):
        stored_bits(dataset, numpy.frombuffer(dataset.PixelData, "<u2").astype(int) << 4, 12, 15)

    write_series(folder, edit=edit)


@case.take("8 bits", studies=1)
def eight_bits(folder):
    raw = folder.draw((10, 10, 12), 0, 255)

    def edit(dataset, k):
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelData = 7, raw[k].astype(numpy.uint8).tobytes()
        dataset["PixelData"].VR = "OB"

    write_series(folder, raw=raw, edit=edit)


@case.take("32 signed bits", studies=1)
def thirty_two_bits(folder):
    raw = folder.draw((10, 10, 12), -1000, 2000)

    def edit(dataset, k):
        dataset.BitsAllocated = dataset.BitsStored = 32
        dataset.HighBit, dataset.PixelRepresentation = 31, 1
        dataset.PixelData = raw[k].astype("<i4").tobytes()

    write_series(folder, raw=raw, intercept=0, edit=edit)


@case.either("a Modality LUT in place of slope and intercept: applied, or refused by name", studies=1, words=("LUT",))
def modality_lut(folder):
    raw = folder.draw((10, 10, 12), 0, 256)
    table = (numpy.arange(256) * 8 - 1000).astype("<i2")

    def edit(dataset, k):
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
        lut = fields(ModalityLUTType="HU")
        lut.add_new(0x00283002, "US", [256, 0, 16])
        lut.add_new(0x00283006, "OW", table.tobytes())
        dataset.ModalityLUTSequence = items(lut)

    series = write_series(folder, raw=raw, edit=edit, truth=False)
    folder.expect(table[raw].transpose(2, 1, 0), series.grid)


@case.take("signed pixels, a Pixel Padding Value of -2000 written unsigned", studies=1)
def padding_value(folder):
    raw = folder.draw((10, 10, 12))
    raw[:, 0, :3] = -2000
    series = write_series(folder, raw=raw, signed=True, truth=False,
                          edit=lambda dataset, k: dataset.add_new(0x00280120, "US", 63536))
    series.values[raw.transpose(2, 1, 0) == -2000] = -1000
    folder.expect(series.values, series.grid)


@case.take("a Pixel Padding Range Limit: all from the value to the limit is padding", studies=1)
def padding_range(folder):
    raw = folder.draw((10, 10, 12))
    raw[:, 0, :6] = numpy.arange(-2000, -1994)

    def edit(dataset, k):
        dataset.add_new(0x00280120, "SS", -2000)
        dataset.add_new(0x00280121, "SS", -1995)

    series = write_series(folder, raw=raw, signed=True, truth=False, edit=edit)
    series.values[raw.transpose(2, 1, 0) <= -1995] = -1000
    folder.expect(series.values, series.grid)


@case.take("MONOCHROME1: HU stay as they are", studies=1)
def monochrome1(folder):
    write_series(folder, edit=lambda dataset, k: setattr(dataset, "PhotometricInterpretation", "MONOCHROME1"))


@case.take("a signed CT compressed as {}", studies=1,
           variants=("JPEGLSLossless", "JPEG2000Lossless", "RLELossless", "JPEGLosslessProcess14_1"))
def compressed(folder, variant):
    raw = folder.draw((6, 16, 16), -1000, 1000)
    series = write_series(folder, slices=6, rows=16, columns=16, raw=raw, signed=True, intercept=0)
    for file in series.files:
        compress(file, variant)
