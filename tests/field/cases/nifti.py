"""NIfTI as converters write it: types, scaling, units, forms."""

import struct

import nibabel
import numpy

from kit.case import MANIFEST, Group, block
from kit.files import INSIDE, LPS, NOT_A_NUMBER, PLAIN, SHAPE, pack_at, straight, write_nifti

case = Group("nifti", item=11)
STRAIGHT = numpy.diag([1.5, 2.0, 2.5, 1.0])


@case.take("{}", studies=1, variants=("int64", "uint64"))
def long_integers(folder, variant):
    write_nifti(folder, "a.nii.gz", dtype=numpy.dtype(variant))


@case.refuse("float128: refused by name", words=("datatype",))
def float128(folder):
    def edit(content):
        struct.pack_into("<hh", content, 70, 1536, 128)
        return content + bytes(12 * 10 * 8 * 12)

    write_nifti(folder, "a.nii.gz", data=folder.random.random(SHAPE).astype("f4"), edit=edit, truth=False)


@case.take("four dimensions, one volume", studies=1)
def one_volume_of_four(folder):
    data = folder.draw((*SHAPE, 1), 0, 1000).astype("i2")
    write_nifti(folder, "a.nii.gz", data=data, values=data[..., 0])


@case.refuse("five dimensions, three components: refused by name", words=("dim[",))
def five_dimensions(folder):
    write_nifti(folder, "a.nii.gz", data=folder.draw((*SHAPE, 1, 3), 0, 1000).astype("i2"), truth=False)


@case.refuse("vox_offset 1e9: refused by name", words=("vox_offset",))
def huge_offset(folder):
    write_nifti(folder, "a.nii.gz", edit=pack_at("<f", 108, 1e9), truth=False)


@case.take("vox_offset 0: the voxels begin at 352", studies=1)
def no_offset(folder):
    write_nifti(folder, "a.nii.gz", edit=pack_at("<f", 108, 0.0))


@case.take("NIfTI-2", studies=1)
def second_version(folder):
    write_nifti(folder, "a.nii.gz", kind=nibabel.Nifti2Image)


@case.refuse("a table names a .hdr of a pair: refused with the remedy", words=("two files",), arguments=MANIFEST)
def pair_in_table(folder):
    data = folder.draw(SHAPE, 0, 1000).astype("i2")
    nibabel.save(nibabel.Nifti1Pair(data, numpy.eye(4)), folder.path("c.img"))
    folder.table(["a,p,c.hdr,,train,0"])


@case.refuse("a table names an Analyze 7.5 header: refused by name", words=("Analyze",), arguments=MANIFEST)
def analyze(folder):
    data = folder.draw(SHAPE, 0, 1000).astype("i2")
    nibabel.save(nibabel.AnalyzeImage(data, numpy.eye(4)), folder.path("c.img"))
    folder.table(["a,p,c.hdr,,train,0"])


@case.take("slope 0 with an intercept: no scaling at all", studies=1)
def slope_zero(folder):
    write_nifti(folder, "a.nii.gz", edit=pack_at("<ff", 112, 0.0, 7.0))


@case.take("slope and intercept are not numbers: no scaling, as nibabel", studies=1)
def slope_nan(folder):
    write_nifti(folder, "a.nii.gz", edit=pack_at("<ff", 112, NOT_A_NUMBER, NOT_A_NUMBER))


@case.take("uint8 with slope 0.37 and intercept -5", studies=1)
def slope_and_intercept(folder):
    data = folder.draw(SHAPE, 0, 255).astype("u1")
    write_nifti(folder, "a.nii.gz", data=data, edit=pack_at("<ff", 112, 0.37, -5.0),
                values=data * float(numpy.float32(0.37)) - 5, within=1e-2)


@case.take("float64 up to 1e6", studies=1)
def large_values(folder):
    write_nifti(folder, "a.nii.gz", data=folder.random.random(SHAPE) * 1e6, within=0.1)


@case.refuse("an infinite voxel: refused by name", words=("infinite",))
def infinite(folder):
    data = folder.random.random(SHAPE).astype("f4")
    data[3, 3, 3] = numpy.inf
    write_nifti(folder, "a.nii.gz", data=data, truth=False)


@case.refuse("every voxel 0: refused by name", words=("same value",))
def constant(folder):
    write_nifti(folder, "a.nii.gz", data=numpy.zeros(SHAPE, "i2"), truth=False)


@case.take("an extension of 4 kB before the voxels", studies=1)
def extension(folder):
    def change(image):
        content = bytes(folder.draw(4000, 0, 255).astype("u1"))
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, content))

    write_nifti(folder, "a.nii.gz", change=change)


@case.take("stored as HU + 1024, with --intensity-offset", studies=1,
           arguments=("{in}", "--intensity-offset", "-1024"))
def offset(folder):
    data = folder.draw(SHAPE).astype("i2")
    write_nifti(folder, "a.nii.gz", data=data, values=data - 1024.0)


@case.either("a BIDS tree: images taken, the series of volumes refused, others named", studies=3)
def bids(folder):
    write_nifti(folder, "sub-01/anat/sub-01_T1w.nii.gz")
    write_nifti(folder, "sub-01/anat/sub-01_FLAIR.nii.gz")
    write_nifti(folder, "derivatives/sub-01_lesion.nii.gz", data=block(SHAPE, *INSIDE).astype("u1"))
    volumes = folder.draw((*SHAPE, 3), 0, 99).astype("i2")
    write_nifti(folder, "sub-01/dwi/sub-01_dwi.nii.gz", data=volumes, truth=False)
    for name in ("dataset_description.json", "participants.tsv", "sub-01/dwi/sub-01_dwi.bval"):
        folder.path(name).write_text("{}")


def forms(qform, sform):
    """A change of an image: (matrix, code) or None for each form."""

    def change(image):
        image.set_qform(*(qform or (None, 0)))
        image.set_sform(*(sform or (None, 0)))

    return change


@case.take("sform and pixdim disagree: sform", studies=1)
def pixdim(folder):
    ras = numpy.diag([1.0, 1.0, 3.0, 1.0])
    write_nifti(folder, "a.nii.gz", ras=ras, change=forms(None, (ras, 1)), edit=pack_at("<fff", 80, 1, 1, 1))


@case.either("no form at all: pixdim, or refused", studies=1)
def no_forms(folder):
    write_nifti(folder, "a.nii.gz", ras=STRAIGHT, change=forms(None, None), lps=LPS @ STRAIGHT)


@case.take("a left-handed qform", studies=1)
def left_handed(folder):
    ras = straight((-1.5, 2.0, 2.5), (10, -20, 30))
    write_nifti(folder, "a.nii.gz", ras=ras, change=forms((ras, 1), None))


@case.take("sform and qform disagree by 20 mm: sform", studies=1)
def forms_disagree(folder):
    other = straight((1.5, 2.0, 2.5), (0, 0, 20))
    write_nifti(folder, "a.nii.gz", ras=STRAIGHT, change=forms((other, 1), (STRAIGHT, 1)))


@case.either("a sform of zeros beside a good qform: qform, or refused by name", studies=1)
def empty_sform(folder):
    write_nifti(folder, "a.nii.gz", ras=STRAIGHT, change=forms((STRAIGHT, 1), (STRAIGHT, 1)),
                edit=pack_at("<12f", 280, *([0.0] * 12)))


@case.either("a sform sheared by 0.004 beside a good qform: qform and said, or refused by name", studies=1,
             words=("right angles",))
def sheared_sform(folder):
    ras = straight((1, 1, 1), (-10, -20, 30))
    sheared = ras.copy()
    sheared[0, 1] = 0.004
    write_nifti(folder, "a.nii.gz", ras=ras, change=forms((ras, 1), (sheared, 1)))


@case.take("units of metres", studies=1)
def metres(folder):
    ras = straight((0.0015, 0.002, 0.0025), (0.01, 0.02, 0.03))
    millimetres = straight((1.5, 2.0, 2.5), (10, 20, 30))
    write_nifti(folder, "a.nii.gz", ras=ras, lps=LPS @ millimetres,
                change=lambda image: image.header.set_xyzt_units("meter"))


@case.either("units of metres where spacings are plainly millimetres: refused by name", studies=1, words=("spacing",))
def not_metres(folder):
    write_nifti(folder, "a.nii.gz", ras=PLAIN, change=lambda image: image.header.set_xyzt_units("meter"))
