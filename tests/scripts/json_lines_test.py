"""With --json a command prints exactly one line on stdout, whatever becomes of it: every command of every program.

The commands are those that the programs' own --help lists; each is typed wrongly, asked for help, and run where there
is nothing. The programs are those of $FOVEA_BIN, or of build/release/bin. Nothing here reaches the network."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FOVEA_BIN") or ROOT / "build/release/bin").resolve()
PROGRAMS = ("fovea-node", "fovea-coordinator", "fovea-audit")
MISSING = [name for name in PROGRAMS if not (BIN / name).exists()]
SECONDS_MAX = 60
USAGE, BUG = 2, 70


def run(folder, *words):
    return subprocess.run(
        [BIN / words[0], *words[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def subcommands(path):
    """The names that --help of this program or command lists below "Subcommands:"."""
    text = subprocess.run([BIN / path[0], *path[1:], "--help"], capture_output=True, text=True, check=True).stdout
    _, _, listed = text.partition("Subcommands:\n")
    return re.findall(r"^  ([a-z][\w-]*)", listed, re.MULTILINE)


def commands(path):
    """(words, whether it is a group) of this program or command and of all below it."""
    below = subcommands(path)
    yield path, bool(below)
    for name in below:
        yield from commands((*path, name))


@unittest.skipIf(MISSING, f"{', '.join(MISSING)} not in {BIN}; build them, or set FOVEA_BIN")
class JsonLines(unittest.TestCase):
    def problem(self, words, codes=None):
        """What is wrong with what these words print; None if nothing is."""
        with tempfile.TemporaryDirectory() as folder:
            done = run(folder, *words)
        said = f"{' '.join(words)}: exit {done.returncode}, stdout {done.stdout[:300]!r}, stderr {done.stderr[:300]!r}"
        lines = done.stdout.splitlines()
        if len(lines) != 1:
            return f"{len(lines)} lines: {said}"
        try:
            line = json.loads(lines[0])
        except ValueError:
            return f"no JSON: {said}"
        if line.get("fovea") != 1 or not line.get("command") or ("data" in line) == ("error" in line):
            return f"another form: {said}"
        if done.returncode < 0 or done.returncode == BUG or (codes and done.returncode not in codes):
            return f"exit code: {said}"
        if "error" in line and done.returncode == 0:
            return f"an error, and exit code 0: {said}"
        return None

    def test_every_command_prints_one_line_however_it_is_typed(self):
        typed = []
        for program in PROGRAMS:
            for path, is_group in commands((program,)):
                first, rest = path[0], path[1:]
                behind = len(typed) % 2 == 0
                typed.append(
                    (
                        (
                            (*path, "--no-such-option", "--json")
                            if behind
                            else (first, "--json", *rest, "--no-such-option")
                        ),
                        {USAGE},
                    )
                )
                typed.append(((first, "--json", *rest, "--help"), {0}))
                typed.append(((first, "--json", *rest), {USAGE} if is_group else None))
                if not is_group:
                    typed.append(((first, "--json", *rest, "no-such-thing"), None))
            typed.append(((program, "--json", "--version"), {0}))
        self.assertGreater(len(typed), 150)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            problems = list(filter(None, pool.map(lambda each: self.problem(*each), typed)))
        self.assertEqual(problems, [], "\n".join(problems))


if __name__ == "__main__":
    unittest.main()
