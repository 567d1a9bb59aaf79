"""What a case of the field is: how its files are made, and what is right to do with them."""

import dataclasses
import functools
import hashlib
import json
import math
import os
import pathlib
import typing

import numpy

# Files of a case are as old as this: what was changed in the last seconds may be a copy in progress.
LONG_AGO = 1_672_900_000
MANIFEST = ("--manifest", "{in}/studies.csv")


@dataclasses.dataclass
class Truth:
    """Values of voxels and the grid that they lie on: grid @ (i, j, k, 1) is the place in millimetres (LPS)."""

    values: numpy.ndarray
    grid: numpy.ndarray
    within: float
    mm: float


@dataclasses.dataclass
class Ramp:
    """A scan whose value at (x, y, z) mm is factors · (x, y, z, 1), wherever its voxels lie; elsewhere is air."""

    factors: tuple
    within: float


@dataclasses.dataclass
class Finding:
    center: numpy.ndarray
    diameter: float
    label: int
    within_mm: float = 0.05


@dataclasses.dataclass
class Rule:
    """verdict: "take", "refuse" or "either" (taken and right, or refused by a reason that has the words)."""

    group: str
    name: str
    make: typing.Callable
    verdict: str
    right: str
    item: int
    studies: typing.Optional[int] = None
    patients: typing.Optional[int] = None
    splits: typing.Optional[tuple] = None
    words: tuple = ()
    arguments: tuple = ("{in}",)
    again: tuple = ()  # of a second ingest into the same site

    @property
    def id(self):
        return f"{self.group}/{self.name}"


class Group:
    """The cases of one file. A case is a function that fills a Folder; its name is the function's."""

    def __init__(self, name, item):
        self.name, self.item, self.rules = name, item, []

    def _add(self, verdict, right, variants=None, **more):
        more.setdefault("item", self.item)

        def decorate(make):
            plain = make.__name__.strip("_").replace("_", "-")
            if variants is None:
                self.rules.append(Rule(self.name, plain, make, verdict, right, **more))
            else:
                for variant in variants:
                    word = variant if isinstance(variant, str) else variant[0]
                    name = f"{plain}-{word.lower().replace('_', '-') or 'empty'}"
                    made = functools.partial(make, variant=variant)
                    self.rules.append(Rule(self.name, name, made, verdict, right.format(word), **more))
            return make

        return decorate

    def take(self, right, **more):
        return self._add("take", right, **more)

    def refuse(self, right, **more):
        return self._add("refuse", right, **more)

    def either(self, right, **more):
        return self._add("either", right, **more)


class Folder:
    """The files of one case, and what is expected of a program that is given them."""

    def __init__(self, rule, root):
        self.rule, self.root = rule, pathlib.Path(root)
        self.given = self.root / "in"
        self.given.mkdir(parents=True)
        seed = int.from_bytes(hashlib.sha256(rule.id.encode()).digest()[:4], "big")
        self.random = numpy.random.default_rng(seed)
        self.truths, self.findings = [], None

    def path(self, name):
        """A file of the input; its folder is there."""
        out = self.given / name
        out.parent.mkdir(parents=True, exist_ok=True)
        return out

    def uid(self, *parts):
        digest = hashlib.sha256(json.dumps([self.rule.id, *map(str, parts)]).encode()).digest()
        return f"2.25.{int.from_bytes(digest[:9], 'big')}"

    def draw(self, shape, low=0, high=2000):
        return self.random.integers(low, high, shape)

    def expect(self, values, grid, within=1e-3, mm=0.02):
        self.truths.append(Truth(numpy.asarray(values, float), numpy.asarray(grid, float), within, mm))

    def expect_ramp(self, factors, within):
        self.truths.append(Ramp(factors, within))

    def expect_finding(self, mask, grid, label, within_mm=0.05):
        """One connected finding: mask[i, j, k] on this grid."""
        voxels = numpy.argwhere(mask)
        volume = len(voxels) * abs(numpy.linalg.det(grid[:3, :3]))
        center = grid[:3, :3] @ voxels.mean(axis=0) + grid[:3, 3]
        self.findings = (self.findings or []) + [
            Finding(center, (6 * volume / math.pi) ** (1 / 3), label, within_mm)
        ]

    def table(self, rows, head="study,patient,image,mask,split,label", name="studies.csv", coding="utf-8", end="\n"):
        self.path(name).write_bytes("".join(line + end for line in (head, *rows)).encode(coding))

    def age(self):
        """All files are copied to the end: none was changed in the last seconds."""
        for place, _, files in os.walk(self.root):
            for name in files:
                os.utime(os.path.join(place, name), (LONG_AGO, LONG_AGO))

    def ingests(self):
        """The arguments of each ingest."""
        for words in filter(None, (self.rule.arguments, self.rule.again)):
            yield [word.replace("{in}", str(self.given)) for word in words]


def block(shape, low, high):
    """A mask that is true from `low` up to, but not in, `high`."""
    out = numpy.zeros(shape, bool)
    out[tuple(slice(a, b) for a, b in zip(low, high))] = True
    return out


def replace_bytes(path, old, new):
    """Changes the bytes of a file as an export of another program would have them; the length stays."""
    content = path.read_bytes()
    if old not in content or len(old) != len(new):
        raise ValueError(f"{path.name}: {old!r} cannot become {new!r}")
    path.write_bytes(content.replace(old, new))


def cut(path, size):
    """Leaves out the last `size` bytes."""
    path.write_bytes(path.read_bytes()[:-size])
