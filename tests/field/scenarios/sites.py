"""A site's folder with several users: two ingests at once, and an archive that sends with pauses."""

import json
import shutil
import signal
import subprocess
import time

from federation import Failed, NotMeasured, Program, call, free_port
from kit.case import Folder, Group, block
from kit.dicom import write_series
from kit.files import write_nifti
from kit.labels import HELD, squares, write_structures

SITE = "s0"
made = Group("scenarios", item=2)


@made.take("studies for two ingests at once")
def two_halves(folder):
    for half in ("a", "b"):
        for number in range(5):
            write_nifti(folder, f"{half}/{half}{number}.nii", data=folder.draw((96, 96, 48), 0, 1000).astype("i2"))


@made.take("a series and its structures")
def series_and_structures(folder):
    grid = write_series(folder, "ct").grid
    write_structures(folder, "rt.dcm", {1: squares(grid)})
    folder.expect_finding(block((12, 10, 10), *HELD), grid, 1)


def files_of(federation, name):
    rule = next(rule for rule in made.rules if rule.name == name)
    folder = Folder(rule, federation.root / "files")
    rule.make(folder)
    folder.age()
    return folder


def studies(federation, site=SITE):
    answer = federation.node(site, "--json", "data", "list", check=False)
    try:
        return [study for study in json.loads(answer.stdout)["data"]["studies"] if study["usable"]]
    except (ValueError, KeyError):
        raise Failed(f"data list: exit {answer.returncode}: {answer.stderr[-200:]}") from None


def two_ingests_at_once(federation, figures, quick):
    """Other scans and the same scans: each study is there and whole, or its ingest's exit code says that it is not."""
    folder = files_of(federation, "two-halves")
    for number in range(4 if quick else 15):
        site = f"copy-{number}"
        shutil.copytree(federation.root / SITE, federation.root / site)
        node = (federation.programs / "fovea-node", "--site", federation.root / site)
        same = number % 2 == 1
        ingests = [
            Program((*node, "data", "ingest", folder.given / ("" if same else half)), federation.root / f"{site}.log")
            for half in ("a", "b")
        ]
        federation.started += ingests
        codes = [ingest.wait(60) for ingest in ingests]
        taken = len(studies(federation, site))
        checked = call(*node, "data", "check", "--deep", check=False)
        if checked.returncode != 0:
            words = checked.stdout[-200:] + checked.stderr[-200:]
            raise Failed(f"try {number}: exits {codes}, then data check: {words}")
        if taken != (10 if same and 0 in codes else 5 * codes.count(0)):
            raise Failed(f"try {number}: exits {codes}, yet {taken} studies of 10")


class Archive:
    """An archive that sends to a site's receiver by DCMTK's storescu."""

    def __init__(self, federation):
        if shutil.which("storescu") is None:
            raise NotMeasured("dcmtk's storescu is not installed")
        self.port = free_port()
        settings = federation.root / SITE / "node.toml"
        text = settings.read_text().replace("port = 11112", f"port = {self.port}")
        text = text.replace("allow = []", 'allow = ["STORESCU@127.0.0.1"]').replace("settle_s = 10", "settle_s = 1")
        settings.write_text(text)
        node = (federation.programs / "fovea-node", "--site", federation.root / SITE)
        self.receiver = Program((*node, "data", "listen"), federation.root / "listen.log")
        federation.started.append(self.receiver)

    def send(self, files):
        """Until it is accepted: the receiver may just be starting."""
        words = ["storescu", "-aec", "FOVEA", "-aet", "STORESCU", "127.0.0.1", str(self.port), *map(str, files)]
        end = time.monotonic() + 20
        while subprocess.run(words, capture_output=True).returncode != 0:
            if time.monotonic() > end or not self.receiver.alive():
                raise Failed(f"the receiver takes nothing: {self.receiver.last_words()}")
            time.sleep(0.2)

    def settle(self):
        """Longer than the quiet time after which what was received is ingested."""
        time.sleep(5)

    def end(self):
        self.receiver.send(signal.SIGTERM)
        self.receiver.wait(30)


def archive_pauses_within_a_series(federation, figures, quick):
    folder = files_of(federation, "series-and-structures")
    files = sorted((folder.given / "ct").iterdir())
    archive = Archive(federation)
    archive.send(files[:5])
    archive.settle()
    archive.send(files[5:])
    archive.settle()
    archive.end()
    sizes = [study["size"] for study in studies(federation)]
    if sizes != [[12, 10, 10]]:
        raise Failed(f"studies of {sizes}, not one of 10 slices: {archive.receiver.last_words()}")


def archive_sends_labels_late(federation, figures, quick):
    folder = files_of(federation, "series-and-structures")
    archive = Archive(federation)
    archive.send(sorted((folder.given / "ct").iterdir()))
    archive.settle()
    archive.send([folder.given / "rt.dcm"])
    archive.settle()
    archive.end()
    findings = [study["findings"] for study in studies(federation)]
    if len(findings) != 1 or not findings[0] or findings[0][0]["label"] != 1:
        raise Failed(f"{len(findings)} studies, without the finding that came late: {archive.receiver.last_words()}")
