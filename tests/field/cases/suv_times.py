"""PET: when the tracer was given and when the scan began, as scanners and anonymisers write it."""

from kit.case import Group
from kit.dicom import suv_per_activity, text, write_pet

case = Group("suv_times", item=6)
DAY_S = 86400


def changed(**values):
    """An edit that sets these fields; None takes one away."""

    def edit(dataset, k):
        for name, value in values.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return edit


@case.either("the start's date is of another year, its clock fits: time of day and said, or refused by name", studies=1,
             words=("Start",))
def start_of_another_year(folder):
    write_pet(folder, tracer={"start_datetime": "20190105090000"})


@case.take("Y-90, scanned three days after: both dates count", studies=1)
def three_days_after(folder):
    unit = suv_per_activity(3 * DAY_S + 3600, half_life_s=230400.0)
    write_pet(folder, unit=unit, tracer={"start_datetime": "20230102090000", "half_life": 230400})


@case.take("a time of day {} without seconds is valid", studies=1, variants=("0900", "09"))
def time_without_seconds(folder, variant):
    write_pet(folder, tracer={"start": variant})


@case.take("the start in UTC, the scan in a zone of +0100: an hour of decay", studies=1)
def start_in_utc(folder):
    write_pet(folder, tracer={"start_datetime": "20230105080000.000000+0000"},
              edit=changed(TimezoneOffsetFromUTC="+0100"))


@case.take("the start at -0800, the scan at +0100: an hour of decay", studies=1)
def start_far_away(folder):
    write_pet(folder, tracer={"start_datetime": "20230105000000.000000-0800"},
              edit=changed(TimezoneOffsetFromUTC="+0100"))


@case.either("Start DateTime and Start Time an hour apart: one of them and said, or refused", studies=1)
def starts_disagree(folder):
    write_pet(folder, wait_s=7200, tracer={"start_datetime": "20230105080000"})


@case.refuse("given after the scan, both dates known: refused by name", words=("Start",))
def given_after_the_scan(folder):
    write_pet(folder, tracer={"start": None, "start_datetime": "20230105110000"})


@case.take("given as the scan begins: no decay", studies=1)
def given_at_the_scan(folder):
    write_pet(folder, wait_s=0, tracer={"start": "100000"})


@case.either("Acquisition DateTime in place of date and time: taken, or refused by name", studies=1,
             words=("Acquisition",))
def acquisition_datetime(folder):
    edit = changed(AcquisitionDate=None, AcquisitionTime=None, AcquisitionDateTime="20230105100000")
    write_pet(folder, edit=edit)


@case.either("every date emptied, the times kept: time of day and said, or refused by name", studies=1,
             words=("Date",))
def dates_removed(folder):
    write_pet(folder, edit=changed(SeriesDate="", AcquisitionDate="", StudyDate="", ContentDate=""))


@case.take("two beds, five minutes apart: one factor, of the series' time", studies=1)
def two_beds(folder):
    write_pet(folder, edit=lambda dataset, k: setattr(dataset, "AcquisitionTime", "100000" if k < 3 else "100500"))


@case.take("the series' time a quarter of an hour before the first slice's: the series' time", studies=1)
def series_began_earlier(folder):
    write_pet(folder, edit=changed(AcquisitionTime="101500"))


def write_dynamic(folder, positions=True, series_time=True):
    for frame, start in enumerate(("100000", "102000")):

        def edit(dataset, k, frame=frame, start=start):
            dataset.AcquisitionTime = start
            dataset.InstanceNumber = dataset.ImageIndex = 1 + k + 6 * frame
            dataset.SeriesType, dataset.NumberOfTimeSlices = ["DYNAMIC", "IMAGE"], 2
            dataset.FrameReferenceTime, dataset.ActualFrameDuration = text(600000 + 1200000 * frame), 1200000
            if positions:
                dataset.TemporalPositionIdentifier = frame + 1
            if not series_time:
                del dataset.SeriesTime, dataset.SeriesDate

        write_pet(folder, names=f"t{frame}-{{}}.dcm", instance=str(frame), edit=edit)


@case.take("a dynamic PET, decay from the start: both frames refer to the start of the series", studies=2)
def dynamic(folder):
    write_dynamic(folder)


@case.take("the same without the series' time: both refer to the first frame", studies=2)
def dynamic_without_series_time(folder):
    write_dynamic(folder, series_time=False)


@case.either("frames told apart by their reference time alone: two studies, or refused by a fitting reason", studies=2)
def dynamic_by_reference_time(folder):
    write_dynamic(folder, positions=False)


@case.refuse("Cu-64 given a minute after the scan, by clocks that disagree: never a day of decay", words=("Start",))
def clocks_a_minute_apart(folder):
    write_pet(folder, tracer={"start": "100100", "half_life": 45720})
