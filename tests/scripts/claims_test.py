"""Tests of docs/claims.md: each claim names a test that would break, and each test that is named exists in its file."""

import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "claims.md"

HEADER = ["id", "claim", "made in", "against", "rests on", "tests"]
CASE = re.compile(r"^ *TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
NAME = re.compile(r"`([^`]+)`")
CASE_IN_PROSE = re.compile(r"`([A-Z]\w+[./][A-Za-z]\w+)`")


def camel_case(text):
    """As tests/adversary name their rows."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", text))


def names_in(path, text):
    """What a file of tests/ may be named for."""
    if path.suffix == ".py":
        found, suite = set(), ""
        for line in text.splitlines():
            head = re.match(r"class (\w+)|    def (test_\w+)", line)
            if head and head.group(1):
                suite = head.group(1)
            elif head:
                found.add(f"{suite}.{head.group(2)}")
        return found
    if path.name == "CMakeLists.txt":
        return set(re.findall(r"fovea_command_test\((\w+)", text))
    found = {f"{suite}.{case}" for suite, case in CASE.findall(text) if not case.startswith("DISABLED_")}
    if path.parent.name == "adversary":
        suite = "DishonestSite" if path.stem == "dishonest_site_test" else "DishonestCoordinator"
        found.update(f"{suite}/{camel_case(literal)}" for literal in LITERAL.findall(text))
    return found


def tests_by_file(root):
    """{file without folder and ending, or ctest: names}. Files of one name in several folders count as one."""
    found = {}
    for path in sorted((root / "tests").rglob("*")):
        if path.suffix not in (".cpp", ".py") and path.name != "CMakeLists.txt":
            continue
        key = "*ctest*" if path.name == "CMakeLists.txt" else path.stem
        found.setdefault(key, set()).update(names_in(path, path.read_text(encoding="utf-8")))
    return found


def rows(page):
    """(line, cells) of every table whose first column is an id."""
    inside = False
    for number, line in enumerate(page.splitlines(), start=1):
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().split("|")[1:-1]]
        if cells[0] == "id":
            inside = True
            if cells != HEADER:
                yield number, []
        elif inside and not set(line) <= set("|- "):
            yield number, cells


def faults_of_tests(cell, tests):
    named = 0
    for group in filter(None, (part.strip() for part in cell.split(";"))):
        file, _, names = group.partition(":")
        named += len(NAME.findall(names))
        if file not in tests:
            yield f"no file {file} in tests/"
        else:
            yield from (f"no test {name} in {file}" for name in NAME.findall(names) if name not in tests[file])
    if named == 0:
        yield "names no test"


def faults(page, tests):
    """What is wrong with the page, a sentence each."""
    known = set().union(*tests.values())
    ids, found = set(), []
    for line, cells in rows(page):
        if len(cells) != len(HEADER):
            found.append(f"line {line}: expected the columns {', '.join(HEADER)}")
            continue
        name, claim, made_in, against, _, named = cells
        if not re.fullmatch(r"[A-Z]\d+", name) or name in ids:
            found.append(f"line {line}: the id {name} is none, or is there twice")
        ids.add(name)
        if not claim or not made_in or not against:
            found.append(f"{name}: lacks its claim, where it is made, or whom it holds against")
        found += [f"{name}: {fault}" for fault in faults_of_tests(named, tests)]
    if not ids:
        found.append("has no row")
    prose = "\n".join(line for line in page.splitlines() if not line.startswith("|"))
    shown = prose.partition("## Claimed and not shown")[2]
    found += [f"no test {name} in tests/" for name in CASE_IN_PROSE.findall(shown) if name not in known]
    return found


class Claims(unittest.TestCase):
    def test_every_claim_has_tests_that_exist(self):
        self.assertEqual(faults(PAGE.read_text(encoding="utf-8"), tests_by_file(ROOT)), [])

    def test_pages_that_claim_lead_here(self):
        for page in ("README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/protocol.md", "docs/audit.md"):
            self.assertTrue("claims.md" in (ROOT / page).read_text(encoding="utf-8"), f"{page} has no link")


class PlantedFaults(unittest.TestCase):
    TESTS = {
        "gate_test": {"Gate.FailsClosed"},
        "round_attacks": {"DishonestCoordinator/R0WithTwoSites"},
        "*ctest*": {"constant_time"},
    }

    @staticmethod
    def page(*table):
        head = f"| {' | '.join(HEADER)} |\n|---|---|---|---|---|---|\n"
        return "## One\n\n" + head + "\n".join(table) + "\n\n## Claimed and not shown by a test\n\nIt is so.\n"

    def found(self, *table):
        return faults(self.page(*table), self.TESTS)

    def test_a_sound_page_has_none(self):
        self.assertEqual(
            self.found(
                "| L1 | It is so | README | stranger | disk | gate_test: `Gate.FailsClosed` |",
                "| L2 | It is so | P2 | stranger | | round_attacks: `DishonestCoordinator/R0WithTwoSites`;"
                " *ctest*: `constant_time` |",
            ),
            [],
        )

    def test_a_test_that_does_not_exist_is_found(self):
        row = "| L1 | It is so | README | stranger | disk | gate_test: `Gate.FailsOpen` |"
        self.assertEqual(self.found(row), ["L1: no test Gate.FailsOpen in gate_test"])

    def test_a_test_of_another_file_is_found(self):
        row = "| L1 | It is so | README | stranger | disk | round_attacks: `Gate.FailsClosed` |"
        self.assertEqual(self.found(row), ["L1: no test Gate.FailsClosed in round_attacks"])
        row = "| L1 | It is so | README | stranger | disk | door_test: `Gate.FailsClosed` |"
        self.assertEqual(self.found(row), ["L1: no file door_test in tests/"])

    def test_a_claim_without_a_test_is_found(self):
        for named in ("", "gate_test:", "to be written", "`Gate.FailsClosed`"):
            self.assertTrue(self.found(f"| L1 | It is so | README | stranger | disk | {named} |"), named)

    def test_a_claim_without_an_attacker_is_found(self):
        self.assertTrue(self.found("| L1 | It is so | README | | disk | gate_test: `Gate.FailsClosed` |"))

    def test_an_id_that_comes_twice_is_found(self):
        row = "| L1 | It is so | README | stranger | disk | gate_test: `Gate.FailsClosed` |"
        self.assertTrue(self.found(row, row))

    def test_an_empty_page_and_an_invented_test_in_prose_are_found(self):
        self.assertTrue(faults("# What is claimed\n", self.TESTS))
        page = self.page("| L1 | It is so | README | stranger | disk | gate_test: `Gate.FailsClosed` |")
        self.assertEqual(faults(page + "\nSee `Gate.IsThere`.\n", self.TESTS), ["no test Gate.IsThere in tests/"])

    def test_disabled_and_commented_cases_do_not_count(self):
        text = "TEST(Gate, DISABLED_FailsClosed) {}\n// TEST(Gate, FailsOpen) {}\nTEST_F(Gate, Holds) {}\n"
        self.assertEqual(names_in(pathlib.Path("tests/unit/egress/gate_test.cpp"), text), {"Gate.Holds"})


if __name__ == "__main__":
    unittest.main()
