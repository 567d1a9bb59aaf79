"""Less data than the header claims: never filled up, never a shorter volume without a word."""

from kit.case import MANIFEST, Group, block, cut
from kit.dicom import IMPLICIT, compress, write_axial_frames, write_pet, write_series
from kit.files import PLAIN, SHAPE, meta_image, straight, write_nifti, write_nrrd
from kit.labels import squares, write_seg, write_structures

case = Group("cut_off", item=1)
LARGE = {"rows": 64, "columns": 64, "truth": False}
CUT = ("cut off",)


@case.refuse("half of a slice's pixels", words=CUT)
def slice_half(folder):
    cut(write_series(folder, **LARGE).files[4], 4096)


@case.refuse("the same through a table", words=CUT, arguments=MANIFEST)
def slice_half_in_table(folder):
    cut(write_series(folder, "ct", **LARGE).files[4], 4096)
    folder.table(["a,p,ct,,train,0"])


@case.refuse("the same of implicit value representation", words=CUT)
def slice_half_implicit(folder):
    cut(write_series(folder, syntax=IMPLICIT, **LARGE).files[2], 4096)


@case.refuse("half of a PET slice's pixels", words=CUT)
def pet_slice_half(folder):
    cut(write_pet(folder, **LARGE).files[2], 4096)


@case.refuse("Pixel Data shorter than rows and columns ask for, its length honest", words=CUT)
def too_few_pixels(folder):
    def edit(dataset, k):
        if k == 4:
            dataset.PixelData = dataset.PixelData[:-40]

    write_series(folder, truth=False, edit=edit)


@case.refuse("the last slice has no Pixel Data", words=("pixels",))
def no_pixels(folder):
    def edit(dataset, k):
        if k == 9:
            del dataset.PixelData

    write_series(folder, truth=False, edit=edit)


@case.refuse("one slice of {} is cut off within its stream", words=CUT,
             variants=("JPEGLSLossless", "JPEG2000Lossless", "RLELossless", "JPEGLosslessProcess14_1"))
def stream(folder, variant):
    raw = folder.draw((6, 64, 64), -1000, 1000)
    files = write_series(folder, slices=6, raw=raw, signed=True, intercept=0, **LARGE).files
    for file in files:
        compress(file, variant)
    cut(files[3], 3000)


@case.refuse("six of the twelve frames of an enhanced MR", words=CUT)
def frames_half(folder):
    path, _, _ = write_axial_frames(folder, "e.dcm", list(range(12)))
    cut(path, 6 * 240)


@case.refuse("a SEG without the last of its pixels", words=CUT)
def seg_pixels(folder):
    grid = write_series(folder, "ct", truth=False).grid
    cut(write_seg(folder, "seg.dcm", {1: block((10, 10, 12), (1, 3, 3), (9, 8, 8))}, grid), 80)


@case.refuse("a MetaImage without nine tenths of its voxels", words=CUT)
def meta_image_tenth(folder):
    meta_image(folder, "b.mha", leave=192)


@case.refuse("NRRD and MetaImage without their last 400 bytes", words=CUT)
def nrrd_and_meta_image(folder):
    grid = straight((0.7, 0.8, 2.5), (-1, -2, 3))
    write_nrrd(folder, "a.nrrd", folder.draw(SHAPE, -1000, 1000).astype("<i2"), grid)
    cut(folder.path("a.nrrd"), 400)
    meta_image(folder, "b.mha", leave=-400)


@case.refuse("NIfTI, plain and compressed, without their last 300 bytes", words=CUT)
def nifti(folder):
    for name in ("a.nii", "b.nii.gz"):
        write_nifti(folder, name, truth=False)
        cut(folder.path(name), 300)


def write_positive(folder, name, write):
    """A scan, and a mask of it whose finding lies in what is then cut away."""
    data, grid = write_nifti(folder, "im.nii.gz", truth=False)
    write(block(data.shape, (3, 3, 5), (7, 6, 7)), grid)
    folder.table([f"a,p,im.nii.gz,{name},train,"])


@case.refuse("a mask without the half that holds its finding: never a study without one", words=("mask",),
             arguments=MANIFEST)
def mask_nifti(folder):
    write_positive(folder, "m.nii",
                   lambda mask, grid: write_nifti(folder, "m.nii", data=mask.astype("u1"), ras=PLAIN, truth=False))
    cut(folder.path("m.nii"), 480)


@case.refuse("the same of a NRRD", words=("mask",), arguments=MANIFEST)
def mask_nrrd(folder):
    write_positive(folder, "m.nrrd",
                   lambda mask, grid: write_nrrd(folder, "m.nrrd", mask.astype("u1"), grid, kind="unsigned char"))
    cut(folder.path("m.nrrd"), 480)


@case.refuse("the last slice is an empty file: never a shorter volume", words=("damaged",), item=10)
def last_slice_empty(folder):
    write_series(folder, truth=False).files[9].write_bytes(b"")


@case.refuse("the same through a table", words=("damaged",), arguments=MANIFEST, item=10)
def last_slice_empty_in_table(folder):
    write_series(folder, "ct", truth=False).files[9].write_bytes(b"")
    folder.table(["a,p,ct,,train,0"])


@case.refuse("the last slice is cut off within its header", words=("damaged",), item=10)
def last_slice_header(folder):
    path = write_series(folder, truth=False).files[9]
    path.write_bytes(path.read_bytes()[:700])


@case.refuse("the same of a compressed NIfTI", words=("mask",), arguments=MANIFEST)
def mask_nifti_compressed(folder):
    def write(mask, grid):
        write_nifti(folder, "m.nii.gz", data=mask.astype("u1"), truth=False)

    write_positive(folder, "m.nii.gz", write)
    cut(folder.path("m.nii.gz"), 20)


@case.refuse("a structure set that is cut off within its contours", words=("cut off",))
def structures(folder):
    grid = write_series(folder, "ct", truth=False).grid
    cut(write_structures(folder, "rt.dcm", {1: squares(grid)}), 120)
