"""PET: units, dose, weight and corrections. Right is what QIBA's pseudo-code computes, or a refusal by name."""

import numpy

from kit.case import Group
from kit.dicom import (
    AXIAL, FLUORINE_18_S, fields, grid_of, items, set_tracer, suv_per_activity, text, write_enhanced, write_pet,
    write_series,
)

case = Group("suv_units", item=6)


@case.refuse("Units GML with SUV Type {} are not SUVbw", words=("SUV Type",), variants=("LBM", "BSA", "IBW"))
def other_suv(folder, variant):
    write_pet(folder, unit=1.0, slope=0.01, tracer={"units": "GML"},
              edit=lambda dataset, k: setattr(dataset, "SUVType", variant))


@case.take("GML needs neither drug nor weight", studies=1)
def suv_without_drug(folder):
    def edit(dataset, k):
        del dataset.RadiopharmaceuticalInformationSequence, dataset.PatientWeight

    write_pet(folder, unit=1.0, slope=0.01, tracer={"units": "GML"}, edit=edit)


@case.refuse("GML without attenuation correction: refused by name", words=("ATTN",))
def suv_not_corrected(folder):
    write_pet(folder, unit=1.0, slope=0.01, tracer={"units": "GML"},
              edit=lambda dataset, k: setattr(dataset, "CorrectedImage", ["DECY", "NORM"]))


@case.refuse("a PET without attenuation correction: refused by name", words=("ATTN",))
def not_corrected(folder):
    write_pet(folder, edit=lambda dataset, k: setattr(dataset, "CorrectedImage", ["DECY", "NORM"]))


@case.either("Philips CNTS with activity per count (7053,1009): as BQML, or refused by name", studies=1,
             words=("CNTS",))
def philips_activity(folder):
    def edit(dataset, k):
        dataset.add_new(0x70530010, "LO", "Philips PET Private Group")
        dataset.add_new(0x70531000, "DS", "0")
        dataset.add_new(0x70531009, "DS", "1.5")

    write_pet(folder, unit=suv_per_activity(3600) * 1.5, tracer={"units": "CNTS"}, edit=edit)


@case.take("a Rescale Slope of its own for each slice", studies=1)
def slope_for_each_slice(folder):
    raw, slopes = folder.draw((6, 10, 12)), numpy.arange(6) * 1.25 + 3.5

    def edit(dataset, k):
        set_tracer(dataset)
        dataset.RescaleSlope = text(slopes[k])

    series = write_series(folder, modality="PT", slices=6, raw=raw, intercept=0, edit=edit, truth=False)
    values = raw * slopes[:, None, None] * suv_per_activity(3600)
    folder.expect(values.transpose(2, 1, 0), series.grid)


@case.take("decay corrected to the administration (ADMIN): no decay to be computed", studies=1)
def corrected_to_administration(folder):
    write_pet(folder, unit=suv_per_activity(0), tracer={"decay": "ADMIN"})


@case.refuse("a dose of {0}, in MBq or kBq where Bq are due: refused by name", words=("Dose",),
             variants=("370", "370000"))
def dose_in_other_units(folder, variant):
    write_pet(folder, tracer={"dose": variant})


@case.refuse("a weight in grams: refused by name", words=("Weight",))
def weight_in_grams(folder):
    write_pet(folder, tracer={"weight": "70000"})


@case.refuse("Patient's Weight differs between the slices of a series", words=("differ",), item=4)
def weight_differs(folder):
    write_pet(folder, edit=lambda dataset, k: setattr(dataset, "PatientWeight", "70" if k < 3 else "90"))


@case.either("enhanced PET, its units in the Real World Value Mapping: SUV, or refused by a name that fits", studies=1)
def enhanced(folder):
    raw, corner = folder.draw((6, 10, 12)), numpy.array([-10.0, -20.0, -50.0])
    frames = [(corner + [0, 0, 2.0 * k], AXIAL, raw[k], [1, k + 1]) for k in range(6)]

    def change(dataset):
        dataset.PatientWeight = "70"
        drug = fields(
            RadiopharmaceuticalStartDateTime="20230105090000",
            RadionuclideTotalDose="370000000",
            RadionuclideHalfLife=text(FLUORINE_18_S),
        )
        dataset.RadiopharmaceuticalInformationSequence = items(drug)
        dataset.DecayCorrected = dataset.AttenuationCorrected = "YES"
        dataset.DecayCorrectionDateTime = dataset.AcquisitionDateTime = "20230105100000"
        for group in dataset.PerFrameFunctionalGroupsSequence:
            unit = fields(CodeValue="Bq/ml", CodingSchemeDesignator="UCUM", CodeMeaning="Becquerels/milliliter")
            group.RealWorldValueMappingSequence = items(
                fields(
                    RealWorldValueSlope=10.0,
                    RealWorldValueIntercept=0.0,
                    RealWorldValueFirstValueMapped=0,
                    RealWorldValueLastValueMapped=65535,
                    MeasurementUnitsCodeSequence=items(unit),
                )
            )
            group.PixelValueTransformationSequence[0].RescaleSlope = "10"

    write_enhanced(folder, "e.dcm", frames, "enhanced PT", "PT", change=change)
    values = raw.transpose(2, 1, 0) * 10 * suv_per_activity(3600)
    folder.expect(values, grid_of(AXIAL, corner, (0.8, 0.7), [0, 0, 2.0]), within=0.01)
