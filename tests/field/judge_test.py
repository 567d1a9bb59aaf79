"""Tests of the judge: each thing that can be wrong with a stored scan is seen, and the list of cases only shrinks."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy  # noqa: E402

import judge  # noqa: E402
import run_cases  # noqa: E402
from kit.case import Finding, Folder, Ramp, Rule, Truth  # noqa: E402

GRID = numpy.diag([0.7, 0.8, 2.0, 1.0])
VALUES = numpy.arange(24.0).reshape(2, 3, 4)


def verdict(word, name="numbers/x"):
    return judge.Verdict(name, 3, word, "why")


def outcome(code=0, words="", studies=(), exported=None):
    return judge.Outcome(code, words, list(studies), exported or {})


STUDY = {"code": "s", "patient": "p", "split": "train", "findings": None}


class Volumes(unittest.TestCase):
    truth = Truth(VALUES, GRID, 0.1, 0.02)

    def test_the_same_voxels_in_another_order_are_right(self):
        flip = numpy.diag([1.0, -1, 1, 1])
        flip[1, 3] = 2
        self.assertEqual(judge.differs((VALUES[:, ::-1], GRID @ flip), self.truth), "")

    def test_a_value_a_place_and_a_size_are_seen(self):
        changed = VALUES.copy()
        changed[1, 1, 1] += 0.2
        self.assertIn("values by 0.2", judge.differs((changed, GRID), self.truth))
        moved = GRID.copy()
        moved[0, 3] = 0.1
        self.assertIn("places off by 0.1 mm", judge.differs((VALUES, moved), self.truth))
        moved[0, 3] = 1
        self.assertIn("elsewhere", judge.differs((VALUES, moved), self.truth))
        self.assertIn("size", judge.differs((VALUES[:1], GRID), self.truth))

    def test_two_truths_need_two_volumes(self):
        other = Truth(VALUES + 1, GRID, 0.1, 0.02)
        volumes = {"a": (VALUES, GRID), "b": (VALUES + 1, GRID)}
        self.assertEqual(judge.differing_volumes(volumes, [other, self.truth]), "")
        volumes["b"] = (VALUES, GRID)
        self.assertIn("scan 1", judge.differing_volumes(volumes, [self.truth, other]))

    def test_a_ramp_has_its_values_or_air(self):
        places = judge.every_voxel(VALUES.shape) @ GRID[:3, :3].T
        values = (places @ [3.0, 5.0, 7.0] + 1.0).reshape(VALUES.shape)
        ramp = Ramp((3.0, 5.0, 7.0, 1.0), 0.1)
        values[0, 0, :2] = -1000
        self.assertEqual(judge.differs((values, GRID), ramp), "")
        values[0, 0, 0] = 500
        self.assertNotEqual(judge.differs((values, GRID), ramp), "")


class Findings(unittest.TestCase):
    found = {"center_mm": [1.0, 2.0, 3.0], "diameter_mm": 5.0, "label": 1}

    def test_place_size_label_and_count_are_seen(self):
        wanted = Finding(numpy.array([1.0, 2.0, 3.0]), 5.0, 1)
        self.assertEqual(judge.differing_findings([self.found], [wanted]), "")
        for change in ({"center_mm": [1.1, 2, 3]}, {"diameter_mm": 5.2}, {"label": 2}):
            self.assertNotEqual(judge.differing_findings([{**self.found, **change}], [wanted]), "")
        self.assertNotEqual(judge.differing_findings([], [wanted]), "")
        self.assertNotEqual(judge.differing_findings(None, [wanted]), "")

    def test_unknown_findings_are_none(self):
        self.assertEqual(judge.differing_findings(None, []), "")


class Verdicts(unittest.TestCase):
    def judged(self, kind, found, **more):
        rule = Rule("numbers", "x", None, kind, "", 3, words=("Weight",), **more)
        with tempfile.TemporaryDirectory() as place:
            return judge.judged(found, Folder(rule, place))[0]

    def test_what_must_be_refused_is_wrong_when_taken(self):
        self.assertEqual(self.judged("refuse", outcome(words="weight", studies=[STUDY])), judge.WRONG)
        self.assertEqual(self.judged("refuse", outcome(1, "Patient's Weight")), judge.RIGHT)

    def test_a_refusal_needs_its_words_and_an_exit_code(self):
        self.assertEqual(self.judged("refuse", outcome(1, "damaged")), judge.MISLEADING)
        self.assertEqual(self.judged("either", outcome(0, "Weight")), judge.MISLEADING)

    def test_what_should_be_taken_is_a_safe_refusal_when_refused(self):
        self.assertEqual(self.judged("take", outcome(1, "Weight")), judge.SAFE_REFUSAL)
        self.assertEqual(self.judged("take", outcome(words="weight", studies=[STUDY])), judge.RIGHT)

    def test_counts_are_seen(self):
        found = outcome(words="weight", studies=[STUDY, STUDY])
        self.assertEqual(self.judged("take", found, studies=1), judge.WRONG)
        self.assertEqual(self.judged("take", found, studies=2, patients=2), judge.WRONG)
        self.assertEqual(self.judged("take", found, studies=2, splits=("test", "train")), judge.WRONG)
        self.assertEqual(self.judged("take", found, studies=2, patients=1), judge.RIGHT)


class Programs(unittest.TestCase):
    def seen(self, script):
        """The verdict on a program that is this shell script."""
        with tempfile.TemporaryDirectory() as place:
            program = pathlib.Path(place) / "node"
            program.write_text("#!/bin/sh\n" + script)
            program.chmod(0o755)
            folder = Folder(Rule("numbers", "x", None, "refuse", "", 3), pathlib.Path(place) / "case")
            return judge.observed(judge.Node(program, place), folder)

    def test_a_signal_is_a_crash(self):
        self.assertEqual(self.seen("kill -SEGV $$")[0], judge.CRASH)

    def test_a_parser_that_died_is_a_crash(self):
        answer = '{"data": {"taken": 0, "refused": [{"reason": "the parser died"}], "left_alone": []}}'
        self.assertEqual(self.seen(f"echo '{answer}'; exit 1")[0], judge.CRASH)

    def test_no_line_of_json_two_lines_and_no_json_are_wrong(self):
        for script in ("exit 2", "echo '{}'; echo '{}'; exit 1", "echo error; exit 1", "echo '[]'; exit 1"):
            self.assertEqual(self.seen(script)[0], judge.WRONG, script)

    def test_a_refusal_is_right(self):
        self.assertEqual(self.seen("""echo '{"error": {"message": "no"}}'; exit 1""")[0], judge.RIGHT)


class List(unittest.TestCase):
    def test_only_what_is_listed_may_be_wrong(self):
        self.assertEqual(list(run_cases.complaints([verdict(judge.WRONG)], {"numbers/x": 3})), [])
        self.assertIn("wrong", next(run_cases.complaints([verdict(judge.WRONG)], {})))

    def test_what_became_right_leaves_the_list(self):
        self.assertIn("take it off", next(run_cases.complaints([verdict(judge.RIGHT)], {"numbers/x": 3})))
        self.assertEqual(list(run_cases.complaints([verdict(judge.RIGHT)], {})), [])

    def test_each_name_of_the_list_is_a_case_and_its_item(self):
        rules = {rule.id: rule for rule in run_cases.rules_of(run_cases.GROUPS)}
        for name, item in json.loads((run_cases.HERE / "not_yet.json").read_text()).items():
            self.assertIn(name, rules)
            self.assertEqual(item, rules[name].item)

    def test_groups_are_those_of_the_build(self):
        listed = (run_cases.HERE / "CMakeLists.txt").read_text().split("foreach(group ")[1].split(")")[0].split()
        self.assertEqual(listed, list(run_cases.GROUPS))
        self.assertEqual({path.stem for path in (run_cases.HERE / "cases").glob("*.py")}, set(run_cases.GROUPS))


if __name__ == "__main__":
    unittest.main()
