"""A second ingest into the same site: what is there already stays one study, of one person and one split."""

import shutil

from kit.case import Group
from kit.dicom import write_series
from kit.files import write_masked, write_nifti

case = Group("reruns", item=5)
HALF, WHOLE = ("{in}/half",), ("{in}/whole",)
FIRST, SECOND = ("--manifest", "{in}/first.csv"), ("--manifest", "{in}/second.csv")


@case.take("the same folder again: one study", studies=1, again=("{in}",))
def same_folder(folder):
    write_series(folder)


@case.take("the same slices under other names, in the other order: one study", studies=1, arguments=("{in}/a",),
           again=("{in}/b",))
def renamed(folder):
    for k, file in enumerate(write_series(folder, "a").files):
        shutil.copy(file, folder.path(f"b/{9 - k}.dcm"))


@case.take("a part of a series, later all of it: one whole study", studies=1, arguments=HALF, again=WHOLE)
def completed(folder):
    for file in write_series(folder, "whole").files[:5]:
        shutil.copy(file, folder.path(f"half/{file.name}"))


@case.take("a whole series, later a part of it: the whole one stays", studies=1, arguments=WHOLE, again=HALF)
def part_after_the_whole(folder):
    completed(folder)


@case.take("the other split for the same image: said, never in silence", studies=1, words=("split",), arguments=FIRST,
           again=SECOND)
def other_split(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["a,p,a.nii.gz,,train,0"], name="first.csv")
    folder.table(["a,p,a.nii.gz,,test,0"], name="second.csv")


@case.take("the other label for the same image: said", studies=1, words=("label",), arguments=FIRST, again=SECOND)
def other_label(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["a,p,a.nii.gz,,train,0"], name="first.csv")
    folder.table(["a,p,a.nii.gz,,train,1"], name="second.csv")


@case.take("a mask that came later: the finding is added, or said", studies=1, arguments=FIRST,
           again=("--manifest", "{in}/studies.csv"))
def mask_came_later(folder):
    write_masked(folder, lambda mask: mask.astype("u1"), 1)
    folder.table(["a,p,im.nii.gz,,train,"], name="first.csv")
