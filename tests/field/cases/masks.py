"""Masks of a table: scaled, empty, elsewhere, of another thing than the scan."""

import nibabel
import numpy
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from kit.case import MANIFEST, Group, block
from kit.files import INSIDE, LPS, NOT_A_NUMBER, SHAPE, pack_at, straight, write_masked, write_nifti

case = Group("masks", item=11)
BYTES = numpy.uint8


@case.take("labels scaled by 1.0000153 round", studies=1, arguments=MANIFEST)
def scaled_labels(folder):
    write_masked(folder, lambda mask: (mask * 3).astype("i2"), 3, edit=pack_at("<ff", 112, 1.0000153, 0))


@case.take("a slope that is not a number: no scaling", studies=1, arguments=MANIFEST)
def slope_nan(folder):
    write_masked(folder, lambda mask: mask.astype(BYTES), 1, edit=pack_at("<ff", 112, NOT_A_NUMBER, NOT_A_NUMBER))


@case.take("an origin 1e-4 mm off", studies=1, arguments=MANIFEST)
def origin_rounded(folder):
    write_masked(folder, lambda mask: mask.astype(BYTES), 1,
                 mask={"ras": straight((1.5, 2.0, 2.5), (-10 + 1e-4, -20 + 1e-4, 30 + 1e-4))})


@case.take("flipped and permuted, in the same space", studies=1, arguments=MANIFEST)
def other_orientation(folder):
    data, grid = write_nifti(folder, "im.nii.gz")
    mask = block(data.shape, (2, 3, 1), (7, 6, 4))
    image = nibabel.Nifti1Image(mask.astype(BYTES), LPS @ grid)
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(("S", "L", "P")))
    nibabel.save(image.as_reoriented(turn), folder.path("m.nii.gz"))
    folder.expect_finding(mask, grid, 1)
    folder.table(["a,p,im.nii.gz,m.nii.gz,train,"])


@case.either("NaN outside of the organ: background, or refused by name", studies=1, words=("NaN",),
             arguments=MANIFEST)
def nan_outside(folder):
    write_masked(folder, lambda mask: numpy.where(mask, 1, numpy.nan).astype("f4"), 1)


@case.take("-1 is no finding", studies=1, arguments=MANIFEST)
def negative_label(folder):
    def paint(mask):
        out = mask.astype("i2")
        out[0, 0, 0] = -1
        return out

    write_masked(folder, paint, 1)


@case.take("an empty mask: no findings", studies=1, arguments=MANIFEST)
def empty(folder):
    write_masked(folder, lambda mask: numpy.zeros_like(mask, BYTES))
    folder.findings = []


@case.refuse("an empty mask with label 1", words=("label",), arguments=MANIFEST)
def empty_with_label_1(folder):
    write_masked(folder, lambda mask: numpy.zeros_like(mask, BYTES), written="1")


@case.refuse("a finding with label 0", words=("label: 0",), arguments=MANIFEST)
def finding_with_label_0(folder):
    write_masked(folder, lambda mask: mask.astype(BYTES), written="0", image={"truth": False})


@case.refuse("the scan's size with the identity as its affine: another place", words=("mask",), arguments=MANIFEST)
def identity_affine(folder):
    data, _ = write_nifti(folder, "im.nii.gz", ras=straight((1, 1, 1), (-6, -5, -4)), truth=False)
    mask = block(data.shape, (1, 1, 1), (4, 4, 3)).astype(BYTES)
    write_nifti(folder, "m.nii.gz", data=mask, ras=numpy.eye(4), truth=False)
    folder.table(["a,p,im.nii.gz,m.nii.gz,train,"])


@case.refuse("the scan itself as its mask", words=("mask",), arguments=MANIFEST)
def the_scan_itself(folder):
    write_nifti(folder, "a.nii.gz", truth=False)
    folder.table(["s,p,a.nii.gz,a.nii.gz,train,"])


@case.refuse("two channels", words=("mask",), arguments=MANIFEST)
def two_channels(folder):
    write_nifti(folder, "im.nii.gz", truth=False)
    write_nifti(folder, "m.nii.gz", data=numpy.zeros((*SHAPE, 2), BYTES), truth=False)
    folder.table(["a,p,im.nii.gz,m.nii.gz,train,"])


@case.refuse("the mask's file is missing", words=("mask",), arguments=MANIFEST)
def missing(folder):
    write_nifti(folder, "a.nii.gz", truth=False)
    folder.table(["s,p,a.nii.gz,nomask.nii.gz,train,"])


@case.either("a scan and its mask in a folder without a table: two scans, as documented", studies=2)
def mask_without_table(folder):
    data, _ = write_nifti(folder, "im.nii.gz")
    write_nifti(folder, "im_seg.nii.gz", data=block(data.shape, *INSIDE).astype(BYTES))


@case.either("points in P.CSV: read, or a fitting reason", studies=1, arguments=MANIFEST)
def points_in_capitals(folder):
    write_nifti(folder, "a.nii.gz")
    folder.path("P.CSV").write_text("x_mm,y_mm,z_mm,radius_mm\n5,10,40,3\n")
    folder.table(["s,p,a.nii.gz,P.CSV,train,"])
