"""Gives a case to fovea-node, and judges what it stored and what it said."""

import dataclasses
import itertools
import json
import pathlib
import re
import shutil
import subprocess

import numpy

from kit.case import Folder, Ramp

RIGHT, WRONG, MISLEADING, SAFE_REFUSAL, CRASH = "right", "wrong", "misleading", "safe_refusal", "crash"
PASSPHRASE = "only for the cases of the field"
LIMIT_S = 120
DEATHS = ("died", "killed", "seccomp", "signal ")  # of a parser, in the node's own words


@dataclasses.dataclass
class Verdict:
    id: str
    item: int
    verdict: str
    why: str
    seconds: float = 0.0


class Crash(Exception):
    pass


class Fault(Exception):
    """What a program printed is not what a script could read."""


class Node:
    """fovea-node with a site's folder."""

    def __init__(self, program, site):
        self.program, self.site = str(program), pathlib.Path(site)

    def run(self, *words, text=None):
        command = [self.program, "--site", str(self.site), *map(str, words)]
        try:
            done = subprocess.run(command, input=(text or "").encode(), capture_output=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Crash(f"{words}: no end within {LIMIT_S} s") from None
        if done.returncode < 0 or done.returncode > 125:
            raise Crash(f"{words}: exit {done.returncode}")
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")

    def json(self, *words):
        """Exit code, the line of JSON, and what else it said."""
        code, out, said = self.run("--json", *words)
        try:
            lines = [json.loads(line) for line in out.decode("utf-8").splitlines()]
        except ValueError as fault:
            raise Fault(f"--json {words[1]}: {fault}") from None
        if len(lines) != 1:
            raise Fault(f"--json {words[1]}: {len(lines)} lines")
        return code, lines[0], said

    def init(self):
        code, _, said = self.run("--passphrase-fd", "0", "init", "field", text=PASSPHRASE + "\n")
        if code != 0:
            raise RuntimeError(f"fovea-node init: {said}")


def read_export(path):
    """Values and grid of the NRRD files that fovea-node exports; strict, as we know what it writes."""
    head, _, content = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:] if ": " in line)
    expected = {"encoding": "raw", "type": "float", "space": "left-posterior-superior"}
    if any(fields.get(name) != value for name, value in expected.items()):
        raise Fault(f"export: {fields}")
    numbers = [float(word) for word in re.findall(r"[^(), ]+", fields["space directions"])]
    grid = numpy.eye(4)
    grid[:3, :3] = numpy.reshape(numbers, (3, 3)).T
    grid[:3, 3] = [float(word) for word in fields["space origin"].strip("()").split(",")]
    sizes = [int(word) for word in fields["sizes"].split()]
    return numpy.frombuffer(content, "<f4").reshape(sizes[::-1]).transpose(2, 1, 0).astype(float), grid


def every_voxel(shape):
    return numpy.stack(numpy.meshgrid(*map(numpy.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)


def differs_from_ramp(values, grid, ramp):
    places = every_voxel(values.shape) @ grid[:3, :3].T + grid[:3, 3]
    right = places @ numpy.array(ramp.factors[:3]) + ramp.factors[3]
    on = numpy.abs(values.reshape(-1) - right) <= ramp.within
    air = numpy.unique(values.reshape(-1)[~on])
    if on.mean() <= 0.5 or air.size > 1:
        return f"{on.mean():.0%} of the voxels have the value of their place, the others {air.size} values"
    return ""


def differs(exported, truth):
    """What is wrong with an exported volume; nothing if it is this truth, in millimetres and value."""
    values, grid = exported
    if isinstance(truth, Ramp):
        return differs_from_ramp(values, grid, truth)
    if sorted(values.shape) != sorted(truth.values.shape):
        return f"size {values.shape} for {truth.values.shape}"
    places = every_voxel(truth.values.shape) @ truth.grid[:3, :3].T + truth.grid[:3, 3]
    voxels = (places - grid[:3, 3]) @ numpy.linalg.inv(grid[:3, :3]).T
    nearest = numpy.rint(voxels).astype(int)
    if (nearest < 0).any() or (nearest >= values.shape).any():
        return "it lies elsewhere"
    away = numpy.linalg.norm((voxels - nearest) @ grid[:3, :3].T, axis=1).max()
    off = numpy.abs(values[tuple(nearest.T)] - truth.values.reshape(-1)).max()
    if away > truth.mm or off > truth.within:
        return f"places off by {away:.4g} mm, values by {off:.4g}"
    return ""


def differing_volumes(exported, truths):
    """Each truth must be a volume of its own."""
    left = dict(exported)
    for number, truth in enumerate(truths):
        reasons = {code: differs(volume, truth) for code, volume in left.items()}
        match = next((code for code, reason in reasons.items() if not reason), None)
        if match is not None:
            del left[match]
        elif left:
            return f"scan {number}: {next(iter(reasons.values()))}"
    return ""


def is_finding(found, wanted):
    away = numpy.linalg.norm(numpy.subtract(found["center_mm"], wanted.center))
    thicker = abs(found["diameter_mm"] - wanted.diameter)
    return found["label"] == wanted.label and away <= wanted.within_mm and thicker <= 0.02 * wanted.diameter + 0.01


def differing_findings(found, wanted):
    if wanted is None:
        return ""
    if found is None:
        return "no findings are known" if wanted else ""
    if len(found) != len(wanted):
        return f"{len(found)} findings for {len(wanted)}"
    orders = itertools.permutations(found)
    if any(all(map(is_finding, order, wanted)) for order in orders):
        return ""
    return "findings lie elsewhere, or are of another size or label"


@dataclasses.dataclass
class Outcome:
    code: int
    words: str
    studies: list
    exported: dict


def ingest_once(node, arguments):
    """The exit code, what was said, and whether the catalogue has entries now."""
    code, answer, said = node.json("data", "ingest", *arguments)
    data = answer.get("data", {})
    reasons = [row["reason"] for row in data.get("refused", []) + data.get("left_alone", [])]
    reasons += [row["text"] for row in data.get("remarks", [])]
    reasons.append(answer.get("error", {}).get("message", ""))
    told = [line for line in said.splitlines() if not line.startswith("ingest ")]
    words = " | ".join(filter(None, [*reasons, *told]))
    if any(death in words for death in DEATHS):
        raise Crash(words)
    return code, words, bool(data.get("taken", 0) or data.get("refused"))


def ingest(node, folder):
    steps = [ingest_once(node, arguments) for arguments in folder.ingests()]
    code, words = steps[-1][0], " | ".join(step[1] for step in steps)
    studies, exported = [], {}
    if any(step[2] for step in steps):
        listed = node.json("data", "list", "--identity")[1]["data"]["studies"]
        studies = [study for study in listed if study["usable"]]
        missing = [word for word in folder.rule.words if word.lower() not in words.lower()]
        if missing:
            words += " | " + " ".join(node.run("data", "check")[1].decode("utf-8", "replace").split())
    if studies:
        out = node.site / "export"
        out.mkdir()
        codes = [study["code"] for study in studies]
        node.json("data", "export", *codes, "--out", out)
        exported = {study: read_export(out / f"{study}.nrrd") for study in codes}
    return Outcome(code, words, studies, exported)


def wrong_with(outcome, folder):
    """What is wrong with the studies that were taken."""
    rule, studies = folder.rule, outcome.studies
    if rule.studies is not None and len(studies) != rule.studies:
        return f"{len(studies)} studies, not {rule.studies}"
    patients = len({study["patient"] for study in studies})
    if rule.patients is not None and patients != rule.patients:
        return f"{patients} patients, not {rule.patients}"
    splits = tuple(sorted(study["split"] for study in studies))
    if rule.splits is not None and splits != rule.splits:
        return f"splits {splits}, not {rule.splits}"
    return differing_volumes(outcome.exported, folder.truths) or differing_findings(
        studies[0]["findings"], folder.findings
    )


def judged(outcome, folder):
    rule = folder.rule
    lacking = [word for word in rule.words if word.lower() not in outcome.words.lower()]
    if outcome.studies:
        if rule.verdict == "refuse":
            return WRONG, "taken"
        wrong = wrong_with(outcome, folder)
        if wrong:
            return WRONG, wrong
        if rule.verdict == "take" and lacking:
            return MISLEADING, f"without {lacking}: {outcome.words}"
        return RIGHT, "taken"
    if rule.verdict == "take":
        return SAFE_REFUSAL, outcome.words
    if outcome.code == 0:
        return MISLEADING, f"exit 0, nothing taken: {outcome.words}"
    if lacking:
        return MISLEADING, f"without {lacking}: {outcome.words}"
    return RIGHT, "refused: " + outcome.words


def observed(node, folder):
    """The verdict and why. What a program does not say or write as it should is wrong, and no reason to end the run."""
    try:
        return judged(ingest(node, folder), folder)
    except Crash as crash:
        return CRASH, str(crash)
    except Fault as fault:
        return WRONG, str(fault)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as fault:
        return WRONG, f"an answer or a file of the program: {type(fault).__name__}: {fault}"


def judge(rule, program, blank_site, place):
    """Makes the case below `place`, has it taken in by a copy of the blank site, and removes both."""
    place.mkdir()
    try:
        folder = Folder(rule, place)
        rule.make(folder)
        folder.age()
        shutil.copytree(blank_site, place / "site")
        verdict, why = observed(Node(program, place / "site"), folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Verdict(rule.id, rule.item, verdict, why.replace(str(place), ""))
