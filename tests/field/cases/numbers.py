"""Numbers that are not numbers: decimal commas, units, thousands, hexadecimal."""

from kit.case import Group, replace_bytes
from kit.dicom import suv_per_activity, write_pet, write_series
from kit.files import SHAPE, meta_image, straight, write_nrrd
from kit.labels import squares, write_structures

case = Group("numbers", item=3)


@case.refuse("Pixel Spacing 1,5: refused by name, never 1 mm", words=("Pixel Spacing",))
def pixel_spacing_comma(folder):
    for file in write_series(folder, pixel_mm=(1.5, 1.5)).files:
        replace_bytes(file, b"1.5\\1.5", b"1,5\\1,5")


@case.refuse("Image Position -10,25: refused by name", words=("Image Position",))
def position_comma(folder):
    for file in write_series(folder, corner=(-10.25, -20.0, -100.0)).files:
        replace_bytes(file, b"-10.25", b"-10,25")


@case.refuse("Rescale Intercept -1024,5: refused by name", words=("Rescale",))
def intercept_comma(folder):
    for file in write_series(folder, intercept=-1024.5).files:
        replace_bytes(file, b"-1024.5", b"-1024,5")


@case.refuse("Rescale Slope 0x10 is no decimal string", words=("Rescale",))
def slope_hexadecimal(folder):
    for file in write_series(folder, slope=1.25, truth=False).files:
        replace_bytes(file, b"1.25", b"0x10")


@case.refuse("Rescale Slope nan is no decimal string", words=("Rescale",))
def slope_not_a_number(folder):
    for file in write_series(folder, slope=125, truth=False).files:
        replace_bytes(file, b"125 ", b"nan ")


@case.refuse("Patient's Weight 72,5: refused by name, never 72 kg", words=("Weight",))
def weight_comma(folder):
    series = write_pet(folder, unit=suv_per_activity(3600, 72.5), tracer={"weight": "72.5"})
    for file in series.files:
        replace_bytes(file, b"72.5", b"72,5")


@case.refuse("Patient's Weight 154 lb: refused, never 154 kg", words=("Weight",))
def weight_in_pounds(folder):
    series = write_pet(folder, unit=suv_per_activity(3600, 69.85), tracer={"weight": "154.25"})
    for file in series.files:
        replace_bytes(file, b"154.25", b"154 lb")


@case.refuse("a dose of 370.000.000: refused, never 370", words=("Dose",))
def dose_with_thousands(folder):
    for file in write_pet(folder, tracer={"dose": "370000000.5"}).files:
        replace_bytes(file, b"370000000.5", b"370.000.000")


@case.refuse("a contour's points with decimal commas: refused by name", words=("contour",))
def contour_comma(folder):
    series = write_series(folder, "ct", truth=False)
    path = write_structures(folder, "rt.dcm", {1: squares(series.grid)})
    replace_bytes(path, b"-8.2500", b"-8,2500")


@case.refuse("--points with -6,5: an error with its line", words=("line 2",),
             arguments=("{in}/ct", "--points", "{in}/p.csv"))
def points_comma(folder):
    write_series(folder, "ct", truth=False)
    row = folder.uid("series", "one") + ',"-6,5",-16,-90,3\n'
    folder.path("p.csv").write_text("study,x_mm,y_mm,z_mm,radius_mm\n" + row)


@case.refuse("--points in RAS in place of LPS lies outside the scan: a hint at LPS", item=12, words=("LPS",),
             arguments=("{in}/ct", "--points", "{in}/p.csv"))
def points_in_ras(folder):
    write_series(folder, "ct", corner=(-100, -200, -100), truth=False)
    row = folder.uid("series", "one") + ",95,195,-90,3\n"
    folder.path("p.csv").write_text("study,x_mm,y_mm,z_mm,radius_mm\n" + row)


@case.refuse("--intensity-offset=-1024,5 is refused", arguments=("{in}/ct", "--intensity-offset=-1024,5"))
def offset_comma(folder):
    write_series(folder, "ct", truth=False)


@case.refuse("a dose of 370000000,5: refused by name", words=("Dose",))
def dose_comma(folder):
    for file in write_pet(folder, tracer={"dose": "370000000.5"}).files:
        replace_bytes(file, b"370000000.5", b"370000000,5")


@case.refuse("a half-life of 6586,2: refused by name", words=("Half Life",))
def half_life_comma(folder):
    for file in write_pet(folder).files:
        replace_bytes(file, b"6586.2", b"6586,2")


@case.either("a Slice Thickness of 2,5: refused by name, or not needed", studies=1, words=("Thickness",))
def thickness_comma(folder):
    series = write_series(folder, edit=lambda dataset, k: setattr(dataset, "SliceThickness", "2.5"))
    for file in series.files:
        replace_bytes(file, b"2.5 ", b"2,5 ")


@case.refuse("a MetaImage's spacing of 0,7: refused by name", words=("spacing",))
def meta_image_comma(folder):
    meta_image(folder, "b.mha")
    replace_bytes(folder.path("b.mha"), b"0.7 0.8 2.5", b"0,7 0,8 2,5")


@case.refuse("a NRRD's directions with decimal commas: refused by name", words=("space directions",))
def nrrd_comma(folder):
    data = folder.draw(SHAPE, -1000, 1000).astype("<i2")
    write_nrrd(folder, "a.nrrd", data, straight((0.75, 0.875, 2.5), (-1, -2, 3)))
    replace_bytes(folder.path("a.nrrd"), b"0.875", b"0,875")


@case.refuse("a radius of 3mm in --points: an error with its line", words=("line 2",),
             arguments=("{in}/ct", "--points", "{in}/p.csv"))
def points_with_unit(folder):
    write_series(folder, "ct", truth=False)
    row = folder.uid("series", "one") + ",-6.5,-16,-90,3mm\n"
    folder.path("p.csv").write_text("study,x_mm,y_mm,z_mm,radius_mm\n" + row)
