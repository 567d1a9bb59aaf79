"""Which slices are one study, and whose: patients, series, copies, names."""

import shutil

from kit.case import MANIFEST, Group, replace_bytes
from kit.dicom import write_pet, write_series
from kit.files import write_nifti

case = Group("identity", item=4)


@case.take("a PET and a CT in one folder: two studies", studies=2, patients=1)
def pet_and_ct(folder):
    write_series(folder, key="ct", names="x{}.dcm")
    write_pet(folder, key="pt", names="y{}.dcm")


@case.take("two patients in one folder: two studies of two", studies=2, patients=2)
def two_patients(folder):
    for patient in ("P1", "P2"):
        write_series(folder, key="s" + patient, patient=patient, names=patient + "-{}.dcm",
                     edit=lambda dataset, k: setattr(dataset, "SeriesDescription", "CHEST"))


@case.either("one Series UID for two patients, at other heights: two patients, or refused by name", studies=2,
             patients=2, words=("patient",))
def one_series_of_two(folder):
    write_series(folder, patient="P1", names="a{}.dcm", slices=6)
    write_series(folder, patient="P2", names="b{}.dcm", slices=6, corner=(-10, -20, -88.0))


@case.either("the same at the same heights, told apart by the Acquisition Number", studies=2, patients=2,
             words=("patient",))
def one_series_of_two_in_place(folder):
    for number, patient in ((1, "P1"), (2, "P2")):
        write_series(folder, patient=patient, names=patient + "{}.dcm", slices=6,
                     edit=lambda dataset, k, number=number: setattr(dataset, "AcquisitionNumber", number))


@case.either("one Series UID in two studies of a patient: two studies, or refused by name", studies=2, patients=1,
             words=("stud",))
def one_series_of_two_studies(folder):
    for number in (1, 2):
        write_series(folder, names=f"{number}-{{}}.dcm", slices=6, corner=(-10, -20, -100.0 + 12 * number),
                     instance=str(number),
                     edit=lambda dataset, k, number=number: setattr(
                         dataset, "StudyInstanceUID", folder.uid("visit", number)))


@case.refuse("one series in two frames of reference", words=("Frame of Reference",))
def two_frames(folder):
    write_series(folder, truth=False,
                 edit=lambda dataset, k: setattr(dataset, "FrameOfReferenceUID", folder.uid("frame", k < 5)))


@case.take("Series UIDs padded by a blank in every second slice: one series", studies=1)
def padded_uid(folder):
    for file in write_series(folder).files[::2]:
        uid = folder.uid("series", "one").encode()
        if len(uid) % 2:
            replace_bytes(file, uid + b"\0", uid + b" ")


@case.take("a second copy of a slice in a folder counts once", studies=1, item=5)
def copied_slice(folder):
    shutil.copy(write_series(folder).files[5], folder.path("005(1).dcm"))


@case.take("the same through a table: the same verdict", studies=1, arguments=MANIFEST, item=5)
def copied_slice_in_table(folder):
    shutil.copy(write_series(folder, "ct").files[5], folder.path("ct/005(1).dcm"))
    folder.table(["a,p,ct,,train,0"])


@case.take("a series beside itself under other names: one study", studies=1, item=5)
def copied_series(folder):
    for k, file in enumerate(write_series(folder, "a").files):
        shutil.copy(file, folder.path(f"b/{9 - k}.dcm"))


@case.either("the same in two rows, train and test: one study, or said; never in both", studies=1, words=("same",),
             arguments=MANIFEST, item=5)
def copied_series_in_two_rows(folder):
    for k, file in enumerate(write_series(folder, "a", truth=False).files):
        shutil.copy(file, folder.path(f"b/{9 - k}.dcm"))
    folder.table(["a,p,a,,train,0", "b,q,b,,test,0"])


@case.either("one image in two rows of two patients and splits: said", words=("same",), studies=1,
             arguments=MANIFEST, item=5)
def one_image_of_two_patients(folder):
    write_nifti(folder, "im.nii.gz", truth=False)
    shutil.copy(folder.path("im.nii.gz"), folder.path("im2.nii.gz"))
    folder.table(["a,p,im.nii.gz,,train,0", "b,q,im2.nii.gz,,test,1"])


@case.take("one patient in train and test: taken, data check says so", studies=2, patients=1, words=("split",),
           arguments=MANIFEST)
def patient_in_two_splits(folder):
    for name in "ab":
        write_nifti(folder, f"{name}.nii.gz")
    folder.table(["a,123,a.nii.gz,,train,0", "b,123,b.nii.gz,,test,0"])


@case.take("a patient 123 with a blank behind is the patient 123", studies=2, patients=1, arguments=MANIFEST, item=11)
def patient_with_blank(folder):
    for name in "ab":
        write_nifti(folder, f"{name}.nii.gz")
    folder.table(["a,123,a.nii.gz,,train,0", "b,123 ,b.nii.gz,,train,0"])


@case.take("two series of one Patient ID, ANON: taken", studies=2)
def anonymous(folder):
    for number in "12":
        write_series(folder, key=number, patient="ANON", names=f"p{number}-{{}}.dcm")


@case.take("a folder with an umlaut and a space, a name in Latin-1: --identity stays UTF-8", studies=1, item=12)
def umlauts(folder):
    def edit(dataset, k):
        dataset.SpecificCharacterSet, dataset.PatientName, dataset.PatientID = "ISO_IR 100", "Müller^Änne", "Mü-1"

    write_series(folder, "Änne Müller", edit=edit)


@case.take("Latin-1 without a character set: --identity stays UTF-8", studies=1, item=12)
def undeclared_latin_1(folder):
    for file in write_series(folder, patient="MUE1").files:
        replace_bytes(file, b"MUE1", b"M\xfcE1")


@case.take("two images named by UIDs: two patients", studies=2, patients=2)
def patients_of_names(folder):
    for number in (1, 2):
        write_nifti(folder, f"1.2.840.{number}.nii.gz")
