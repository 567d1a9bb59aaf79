"""Tables as spreadsheets and people write them."""

from kit.case import MANIFEST, Group, block
from kit.dicom import write_series
from kit.files import INSIDE, write_nifti

case = Group("tables", item=8)
HEAD = "study,patient,image,mask,split,label"


@case.either("the separator {0}: taken, or named", studies=1, arguments=MANIFEST, words=("separat",),
             variants=(("semicolon", ";"), ("tab", "\t")))
def separator(folder, variant):
    write_nifti(folder, "a.nii.gz")
    folder.table(["a,p,a.nii.gz,,train,0".replace(",", variant[1])], HEAD.replace(",", variant[1]))


@case.either("UTF-16 with its mark: taken, or named", studies=1, arguments=MANIFEST, words=("UTF-16",))
def utf_16(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["a,p,a.nii.gz,,train,0"], coding="utf-16")


@case.refuse("the split {0!r}: refused with its line and what is expected", arguments=MANIFEST,
             words=("line 2", "train"), variants=("Train", "training", "val", ""))
def split(folder, variant):
    write_nifti(folder, "a.nii.gz", truth=False)
    folder.table([f"s,p,a.nii.gz,,{variant},0"])


@case.either("blanks after the commas: taken, or said", studies=1, arguments=MANIFEST)
def blanks(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s, p, a.nii.gz, , train, 0"], HEAD.replace(",", ", "))


@case.either("a head in capitals: taken, or said", studies=1, arguments=MANIFEST)
def capital_head(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s,p,a.nii.gz,,train,0"], HEAD.title())


@case.either("a path of Windows: taken, or refused", studies=1, arguments=MANIFEST)
def backslashes(folder):
    write_nifti(folder, "scans/a.nii.gz")
    folder.table(["s,p,scans\\a.nii.gz,,train,0"])


@case.either("rows of commas at the end: ignored, or refused with the line", studies=1, arguments=MANIFEST,
             words=("line",))
def empty_rows(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s,p,a.nii.gz,,train,0", ",,,,,", ",,,,,"])


@case.either("the label 1.0: taken, or refused with line and expectation", studies=1, arguments=MANIFEST,
             words=("line 2", "label"))
def label_float(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s,p,a.nii.gz,,train,1.0"])


@case.either("Latin-1: the row refused by a fitting reason, JSON stays valid", arguments=MANIFEST)
def latin_1(folder):
    write_nifti(folder, "Größe.nii.gz", truth=False)
    write_nifti(folder, "b.nii.gz")
    folder.table(["Größe,Müller,Größe.nii.gz,,train,0", "b,q,b.nii.gz,,train,0"], coding="latin-1")


@case.either("a path with a blank behind: taken, or refused", studies=1, arguments=MANIFEST)
def trailing_blank(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s,p,a.nii.gz ,,train,0"])


@case.take("lines ended by CR alone", studies=1, arguments=MANIFEST)
def carriage_returns(folder):
    write_nifti(folder, "a.nii.gz")
    folder.table(["s,p,a.nii.gz,,train,0"], end="\r")


def write_hospital(folder, where, name="studies.csv"):
    """A folder with a scan, its mask and a table that says "test"."""
    data, _ = write_nifti(folder, where + "im.nii.gz")
    mask = block(data.shape, *INSIDE).astype("u1")
    write_nifti(folder, where + "mask.nii.gz", data=mask, truth=False)
    row = f"{where.strip('/') or 'a'},{where or 'p'},im.nii.gz,mask.nii.gz,test,"
    folder.table([row], name=where + name)


@case.either("two folders with a table each: both tables, or an error; masks are no scans", studies=2,
             splits=("test", "test"), arguments=("{in}/a", "{in}/b"))
def two_folders(folder):
    write_hospital(folder, "a/")
    write_hospital(folder, "b/")


@case.either("their parent: both tables, or an error that names them", studies=2, splits=("test", "test"),
             words=("studies.csv",))
def parent_folder(folder):
    write_hospital(folder, "a/")
    write_hospital(folder, "b/")


@case.either("Studies.CSV: the table, or said; masks are no scans", studies=1, splits=("test",))
def capital_name(folder):
    write_hospital(folder, "", name="Studies.CSV")


@case.either("--manifest and a path: both, or an error; never the path ignored", studies=2,
             arguments=("{in}/more", *MANIFEST))
def path_beside_manifest(folder):
    write_nifti(folder, "a.nii.gz")
    write_nifti(folder, "more/b.nii.gz")
    folder.table(["s,p,a.nii.gz,,train,0"])


@case.take("--labels names a study that is not there: said, the rest taken", studies=1, words=("names no scan",),
           arguments=("{in}/ct", "--labels", "{in}/l.csv"))
def unknown_study(folder):
    write_series(folder, "ct")
    folder.path("l.csv").write_text("study,label\n1.2.3,1\n" + folder.uid("series", "one") + ",1\n")


@case.take("--points names Scan1 for scan1.nii.gz: said", studies=1, words=("names no scan",),
           arguments=("{in}", "--points", "{in}/p.csv"))
def other_case(folder):
    write_nifti(folder, "scan1.nii.gz")
    folder.path("p.csv").write_text("study,x_mm,y_mm,z_mm,radius_mm\nScan1,5,10,40,3\n")
