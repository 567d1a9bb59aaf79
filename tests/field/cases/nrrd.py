"""NRRD and MetaImage: axes, units, line ends."""

import numpy

from kit.case import MANIFEST, Group, block
from kit.files import INSIDE, META_GRID, SHAPE, meta_image, straight, write_nifti, write_nrrd

case = Group("nrrd", item=11)
SPACING, ORIGIN = (0.7, 0.8, 2.5), (-1.0, -2.0, 3.0)


@case.take("the space {}: turned into LPS", studies=1, variants=(
    ("left-posterior-superior", (1, 1, 1)),
    ("right-anterior-superior", (-1, -1, 1)),
    ("left-anterior-superior", (1, -1, 1)),
    ("LAS", (1, -1, 1)),
))
def space(folder, variant):
    name, signs = variant
    data, grid = folder.draw(SHAPE, -1000, 1000).astype("<i2"), straight(SPACING, ORIGIN)
    write_nrrd(folder, "a.nrrd", data, grid, space=name, packed=name.startswith("left-posterior"))
    folder.expect(data, numpy.diag([*signs, 1.0]) @ grid)


@case.either("space units of {}: millimetres are made, or refused by name", studies=1, words=("units",),
             variants=(("cm", 10.0), ("m", 1000.0)))
def units(folder, variant):
    name, millimetres = variant
    data, right = folder.draw(SHAPE, -1000, 1000).astype("<i2"), straight(SPACING, ORIGIN)
    grid = right.copy()
    grid[:3] /= millimetres
    write_nrrd(folder, "a.nrrd", data, grid, more="space units: " + " ".join([f'"{name}"'] * 3) + "\n")
    folder.expect(data, right)


@case.take("a MetaImage", studies=1)
def meta(folder):
    folder.expect(meta_image(folder, "b.mha"), META_GRID)


@case.either("a MetaImage with the line ends of Windows: taken, or refused", studies=1)
def meta_of_windows(folder):
    folder.expect(meta_image(folder, "b.mha", end="\r\n"), META_GRID)


def segments_head(count):
    lines = "Segment{0}_Layer:=0\nSegment{0}_LabelValue:=1\nSegment{0}_ID:=Segment_{0}\n"
    return "".join(lines.format(number) for number in range(count))


@case.either("a mask of two layers: both, or refused by a reason that helps", studies=1, words=("layers",),
             arguments=MANIFEST)
def mask_of_two_layers(folder):
    data, grid = write_nifti(folder, "im.nii.gz")
    masks = [block(data.shape, *INSIDE), block(data.shape, (5, 4, 3), (9, 8, 6))]
    write_nrrd(folder, "m.seg.nrrd", numpy.stack(masks).astype("u1"), grid, kind="unsigned char", listed=2,
               more=segments_head(2))
    for mask in masks:
        folder.expect_finding(mask, grid, 1)
    folder.table(["a,p,im.nii.gz,m.seg.nrrd,train,"])


@case.take("a mask of one layer, a name in Latin-1", studies=1, arguments=MANIFEST)
def mask_of_one_layer(folder):
    data, grid = write_nifti(folder, "im.nii.gz")
    mask = block(data.shape, *INSIDE)
    write_nrrd(folder, "m.seg.nrrd", mask.astype("u1"), grid, kind="unsigned char", packed=True,
               more=segments_head(1) + "Segment0_Name:=L\xe4sion\nSegmentation_ConversionParameters:=a|b&c\n")
    folder.expect_finding(mask, grid, 1)
    folder.table(["a,p,im.nii.gz,m.seg.nrrd,train,"])
