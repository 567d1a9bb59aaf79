"""Tests of scripts/mutants-drill.py, on a project in miniature: its language is the shell, its compiler copies a file
whose syntax is right, and its linker takes the first object of each name. And that the project's own list is up to
date."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRILL = ROOT / "scripts" / "mutants-drill.py"

RULE = """limit() {
  [ "$1" -le 3 ]
}
"""

# Has GoogleTest's options as far as the drill uses them, and the cases Rule.Holds and Other.Passes.
PROGRAM = """#!/bin/sh
for word in "$@"; do
  case $word in --gtest_filter=*) filter=${word#*=} ;; --gtest_output=json:*) report=${word#*json:} ;; esac
done
status=0 cases=
run() {
  case ":$filter:" in *":$1:"*) ;; *) return ;; esac
  failures=
  "$2" || { failures=', "failures": [{}]'; status=1; }
  cases="$cases${cases:+,}{\\"name\\": \\"${1%%.*}\\", \\"testsuite\\": [{\\"name\\": \\"${1#*.}\\",
    \\"status\\": \\"RUN\\", \\"result\\": \\"COMPLETED\\"$failures}]}"
}
holds() { limit 3 && ! limit 4; }
run Rule.Holds holds
run Other.Passes true
printf '{"testsuites": [%s]}' "$cases" > "$report"
exit $status
"""

COMPILE = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in -o) object=$2; shift ;; -c) source=$2; shift ;; esac
  shift
done
sh -n "$source" || { echo "error: syntax"; exit 1; }
cp "$source" "$object"
"""

# Of the objects with rules the first counts, as with a linker and its libraries.
LINK = """#!/bin/sh
rule=
while [ $# -gt 0 ]; do
  case $1 in
    -o) program=$2; shift ;;
    *.test) main=$1 ;;
    *) rule=${rule:-$1} ;;
  esac
  shift
done
{ head -n 1 "$main"; cat "$rule"; tail -n +2 "$main"; } > "$program"
chmod +x "$program"
"""

NINJA = """rule link
  command = : && ./link $in -o $out  rule.o && :
build tests/unit_rule: link rule.test
"""

HEAD = """[limit-too-high]
attack: Four are let in where three are allowed.
file: rules/rule.cpp
test: unit_rule Rule.Holds
"""


class MutationDrill(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="fovea mutants ")
        self.addCleanup(place.cleanup)
        self.root = pathlib.Path(place.name) / "project"
        self.build = pathlib.Path(place.name) / "build"
        self.write(self.root / "rules/rule.cpp", RULE)
        self.write(self.root / "tests/unit/CMakeLists.txt", "fovea_test(unit_rule\n  SOURCES rule_test.cpp)\n")
        self.write(
            self.root / "tests/unit/rule_test.cpp",
            "TEST(Rule, Holds) {}\nTEST_F(Other,\n       Passes) {}\nTEST(Never, IsBuilt) {}\n",
        )
        self.write(self.build / "rule.test", PROGRAM)
        for name, text in (("compile", COMPILE), ("link", LINK)):
            self.write(self.build / name, text).chmod(0o755)
        self.write(self.build / "build.ninja", NINJA)
        (self.build / "tests").mkdir()
        command = f"'{self.build}/compile' -o rule.o -c '{self.root}/rules/rule.cpp'"
        self.write(
            self.build / "compile_commands.json",
            json.dumps([{"directory": str(self.build), "command": command, "file": f"{self.root}/rules/rule.cpp"}]),
        )

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def plant(self, *blocks):
        self.write(self.root / "tests/mutants/rules.txt", "# A list.\n\n" + "\n".join(blocks))

    def drill(self, code, *arguments):
        done = subprocess.run(
            [sys.executable, DRILL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def check(self, code):
        return self.drill(code, "check", self.root)

    def run_drill(self, code, *arguments):
        shutil.copy(self.root / "rules/rule.cpp", self.build / "rule.o")
        subprocess.run(["./link", "rule.test", "-o", "tests/unit_rule", "rule.o"], cwd=self.build, check=True)
        before = self.files()
        output = self.drill(code, "run", self.root, self.build, *arguments)
        self.assertEqual(self.files(), before, "something was left behind")
        return output

    def files(self):
        return {
            path: path.read_bytes()
            for folder in (self.root, self.build)
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".ninja")
        }

    KILLED = HEAD + '-  [ "$1" -le 3 ]\n+  [ "$1" -le 4 ]\n'
    SURVIVES = KILLED.replace("limit-too-high", "not-noticed").replace("Rule.Holds", "Other.Passes")

    def test_a_mutant_that_its_test_notices_is_killed_and_nothing_is_left_behind(self):
        self.plant(self.KILLED)
        report = self.root.parent / "report.json"
        output = self.run_drill(0, "--json", report)
        self.assertRegex(output, r"killed +limit-too-high .* Rule\.Holds")
        found = json.loads(report.read_text(encoding="utf-8"))
        self.assertEqual((found["mutants"], found["mutants_survived"], found["errors"]), (1, 0, 0))

    def test_a_mutant_that_survives_ends_the_drill_with_1(self):
        self.plant(self.KILLED, self.SURVIVES)
        output = self.run_drill(1)
        self.assertIn("2 mutants, 1 survived, 0 errors", output)
        self.assertRegex(output, r"survived +not-noticed")
        self.assertIn("Four are let in", output)

    def test_a_chosen_mutant_or_the_quick_ones_are_planted_alone(self):
        self.plant(self.KILLED.replace("]", "] quick", 1), self.SURVIVES)
        self.assertIn("1 mutants, 0 survived", self.run_drill(0, "--quick"))
        self.assertIn("1 mutants, 1 survived", self.run_drill(1, "not-noticed"))
        self.assertIn("no mutant is called unknown", self.run_drill(1, "unknown"))

    def test_what_does_not_compile_is_an_error_and_no_kill(self):
        self.plant(HEAD + '-  [ "$1" -le 3 ]\n+  [ "$1" -le ((\n')
        self.assertRegex(self.run_drill(1), r"error +limit-too-high .* does not compile")

    def test_a_text_that_is_absent_or_there_twice_is_an_error(self):
        self.plant(HEAD + "-  [ nowhere ]\n+  true\n")
        self.assertIn("0 times in rules/rule.cpp", self.check(1))
        self.assertRegex(self.run_drill(1), r"error +limit-too-high")
        self.plant(HEAD + "-i\n+j\n")
        self.assertIn("times in rules/rule.cpp, expected once", self.check(1))

    def test_a_filter_that_matches_no_test_is_an_error(self):
        self.plant(self.KILLED.replace("Rule.Holds", "Never.IsBuilt"))
        self.check(0)  # its text is there; that it is not run shows only now
        self.assertIn("no test is run that is called Never.IsBuilt", self.run_drill(1))
        self.plant(self.KILLED.replace("Rule.Holds", "Rule.Absent"))
        self.assertIn("unit_rule has no test Rule.Absent", self.check(1))
        self.plant(self.KILLED.replace("unit_rule", "unit_absent"))
        self.assertIn("no fovea_test is called unit_absent", self.check(1))

    def test_tests_that_fail_anyhow_show_nothing(self):
        self.plant(self.KILLED)
        self.write(self.root / "rules/rule.cpp", RULE.replace("limit() {", "limit() {\n  false &&"))
        self.assertIn("fails with nothing planted", self.run_drill(1))

    def test_a_test_that_does_not_end_counts_by_that_word_alone(self):
        self.plant(HEAD + '-  [ "$1" -le 3 ]\n+  exec sleep 100\n')
        self.assertRegex(self.run_drill(0, "--timeout", "1"), r"timeout +limit-too-high")

    def test_a_drill_that_is_ended_leaves_no_program_and_no_folder(self):
        pid_file = self.root.parent / "pid"
        self.plant(HEAD + f"-  [ \"$1\" -le 3 ]\n+  echo $$ > '{pid_file}'; exec sleep 100\n")
        shutil.copy(self.root / "rules/rule.cpp", self.build / "rule.o")
        subprocess.run(["./link", "rule.test", "-o", "tests/unit_rule", "rule.o"], cwd=self.build, check=True)
        place = self.root.parent / "tmp"
        place.mkdir()
        drill = subprocess.Popen(
            [sys.executable, DRILL, "run", self.root, self.build],
            env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while not (pid_file.exists() and pid_file.read_text(encoding="utf-8").strip()):
            self.assertIsNone(drill.poll(), "it ended before its mutant ran")
            time.sleep(0.01)
        drill.terminate()
        self.assertEqual(drill.wait(20), 143)
        self.assertEqual(list(place.iterdir()), [])
        self.assertFalse(pathlib.Path(f"/proc/{pid_file.read_text(encoding='utf-8').strip()}").exists())

    def test_lists_that_cannot_be_read_are_refused(self):
        for text, why in (
            (self.KILLED + "\n" + self.KILLED, "two mutants are called"),
            (HEAD, "needs attack, file, test"),
            (HEAD + "-limit\n+limit\n", "changes nothing"),
            (HEAD.replace("attack", "atack") + "-limit\n+x\n", "cannot read"),
            (HEAD.replace("rule.cpp", "rule.h") + "-limit\n+x\n", "only .cpp files"),
            (HEAD.replace("[limit-too-high]", "[Limit too high]") + "-limit\n+x\n", "expected [name]"),
        ):
            self.plant(text)
            self.assertIn(why, self.check(1))

    def test_the_script_refuses_what_it_does_not_know(self):
        environment = {**os.environ, "NO_COLOR": "1"}
        for arguments, code in (["--help"], 0), (["--unknown"], 2), (["--json", "--quick"], 2):
            done = subprocess.run(
                [ROOT / "scripts/mutants", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, env=environment, check=False,
            )  # fmt: skip
            self.assertEqual(done.returncode, code, done.stdout)


class OwnList(unittest.TestCase):
    """Cheap, so it is always run: a drill that rots would be noticed only by who runs all of it."""

    def test_every_mutants_text_is_there_once_and_its_test_exists(self):
        done = subprocess.run([sys.executable, DRILL, "check", ROOT], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertGreaterEqual(int(done.stdout.split()[0]), 40)


if __name__ == "__main__":
    unittest.main()
