"""Tests of README.md: what it says of commands is checked against the programs, and its walk is run as it stands.

The programs are those of $FOVEA_BIN, or of build/release/bin. Nothing here reaches the network or installs anything."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "demo" / "run"))
from federation import HeldPort  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = pathlib.Path(os.environ.get("FOVEA_BIN") or ROOT / "build/release/bin").resolve()
PROGRAMS = ("fovea-node", "fovea-coordinator", "fovea-audit", "fovea-phantom")
MISSING = [name for name in PROGRAMS if not (BIN / name).exists()]
NEEDS_PROGRAMS = unittest.skipIf(MISSING, f"{', '.join(MISSING)} not in {BIN}; build them, or set FOVEA_BIN")

BIN_IN_README = "$PWD/build/release/bin"
WALK_SECONDS_MAX = 180
PICTURE_BYTES_MAX = 250_000
GIVEN_VARIABLES = {"PATH", "PWD", "HOME"}
OPERATOR = re.compile(r"&&|\|\||[<>]&|>>|[();<>|&\n]")


def shell_blocks():
    """(line in README.md, text) of every block to paste."""
    return [
        (README.count("\n", 0, block.start()) + 2, block.group(1))
        for block in re.finditer(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    ]


def words_and_operators(text):
    """(is an operator, token) of shell text without comments. Words come without their quotes."""
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace_split = True
    lexer.whitespace = " \t"
    lexer.commenters = ""
    for token in lexer:
        if set(token) <= set("();<>|&\n"):
            for operator in OPERATOR.findall(token):
                yield True, operator
        else:
            yield False, token


def pipelines(text):
    """Every pipeline, those in $( ) too, as a list of commands, each a list of words."""
    found, pipeline, skip_word = [], [[]], False
    for is_operator, token in words_and_operators(text + "\n"):
        if not is_operator:
            if not skip_word:
                pipeline[-1].append(token)
                found += pipelines(token.split("$(", 1)[1].rpartition(")")[0]) if "$(" in token else []
            skip_word = False
        elif token[0] in "<>":
            skip_word = True
            if pipeline[-1] and pipeline[-1][-1].isdigit():
                pipeline[-1].pop()
        elif token == "|":
            pipeline.append([])
        elif token != "\n" or pipeline[-1] or len(pipeline) == 1:  # a line may end after "|"
            found.append(pipeline)
            pipeline = [[]]
    bare = [[without_prefix(command) for command in pipeline] for pipeline in found]
    return [pipeline for pipeline in bare if any(pipeline)]


def without_prefix(words):
    """A command without keywords, assignments and `timeout` before it; empty for the head of a loop."""
    words = list(words)
    while words:
        if words[0] in ("for", "done", "}"):
            return []
        if words[0] in ("do", "until", "while", "{", "if", "then") or re.match(r"\w+=", words[0]):
            words.pop(0)
        elif words[0] == "timeout":
            words = words[2:]
        else:
            break
    return words


def commands():
    """(line of the block, command) of everything that the README has people run."""
    return [(line, command) for line, text in shell_blocks() for pipeline in pipelines(text) for command in pipeline]


def code_in_prose():
    """What stands between single backquotes outside of blocks."""
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)


class CommandHelp:
    """What `--help` of a program or of one of its subcommands lists."""

    known = {}

    def __init__(self, text):
        self.options = {}  # name: (number of values: 0, 1 or many; required)
        self.positionals = []  # (name, many, required)
        self.subcommands = set()
        section = ""
        for line in text.splitlines():
            heading = re.match(r"(\w+):$", line)
            entry = re.match(r"  (\S+)(?: (\S.*?))?(?:\s{2,}.*)?$", line)
            if heading:
                section = heading.group(1)
            elif entry and section:
                self._add(section, entry.group(1), entry.group(2) or "")

    def _add(self, section, name, kind):
        many, required = "..." in kind, "REQUIRED" in kind
        if section == "Subcommands":
            self.subcommands.add(name)
        elif section == "Positionals":
            self.positionals.append((name, many, required))
        elif name.startswith("-"):
            for spelling in name.split(","):
                self.options[spelling] = (("many" if many else 1) if kind else 0, required)

    @classmethod
    def of(cls, *path):
        if path not in cls.known:
            done = subprocess.run([BIN / path[0], *path[1:], "--help"], capture_output=True, text=True, check=True)
            cls.known[path] = cls(done.stdout)
        return cls.known[path]


def refusal(words, complete=True):
    """Why the program's parser would refuse these words; None if it takes them. Not complete: things may be missing."""
    path, given, positionals = (words[0],), set(), []
    rest = list(words[1:])
    while rest:
        level, word = CommandHelp.of(*path), rest.pop(0)
        if word.startswith("-"):
            name, is_joined, _ = word.partition("=")
            if name not in level.options:
                return f"{' '.join(path)} has no option {name}"
            values = 0 if is_joined else level.options[name][0]
            given.add(name)
            if values and not rest and complete:
                return f"{' '.join(path)} {name} needs a value"
            while values and rest and not (values == "many" and rest[0].startswith("-")):
                rest.pop(0)
                values = values if values == "many" else 0
        elif level.subcommands:
            if word not in level.subcommands:
                return f"{' '.join(path)} has no command {word}"
            path, given = (*path, word), set()
        else:
            positionals.append(word)
    return missing_or_too_many(path, given, positionals) if complete else None


def missing_or_too_many(path, given, positionals):
    level = CommandHelp.of(*path)
    if level.subcommands:
        return f"{' '.join(path)} needs one of its commands"
    for name, (_, required) in level.options.items():
        if required and name not in given:
            return f"{' '.join(path)} needs {name}"
    if len(positionals) < sum(required for _, _, required in level.positionals):
        return f"{' '.join(path)} needs more than {positionals}"
    if len(positionals) > len(level.positionals) and not any(many for _, many, _ in level.positionals):
        return f"{' '.join(path)} takes less than {positionals}"
    return None


class Blocks(unittest.TestCase):
    def test_bash_parses_every_block(self):
        self.assertGreater(len(shell_blocks()), 10)
        for line, text in shell_blocks():
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"README.md:{line}: {done.stderr}")

    def test_nothing_is_left_to_fill_in(self):
        for line, text in shell_blocks():
            bare = re.sub(r"'[^']*'|\"[^\"]*\"|\$\w+|\b\w+=", " ", text)
            self.assertEqual(re.findall(r"\b[A-Z][A-Z0-9_-]{2,}\b|<\w|\.\.\.|…|/path/", bare), [], f"README.md:{line}")

    def test_variables_are_set_before_they_are_used(self):
        known = set(GIVEN_VARIABLES)
        for line, text in shell_blocks():
            known.update(re.findall(r"^\s*(?:export )?(\w+)=", text, re.MULTILINE))
            known.update(re.findall(r"\bfor (\w+) in", text))
            used = re.findall(r"\$\{?([A-Za-z_]\w*)", re.sub(r"'[^']*'", "", text))
            self.assertLessEqual(set(used), known, f"README.md:{line}")

    def test_every_command_is_there(self):
        functions = set(re.findall(r"^(\w+)\(\)", "".join(text for _, text in shell_blocks()), re.MULTILINE))
        for line, words in commands():
            name = words[0]
            if name in PROGRAMS or name in functions:
                continue
            if name.startswith("scripts/"):
                self.assertTrue(os.access(ROOT / name, os.X_OK), f"README.md:{line}: {name}")
            else:
                found = subprocess.run(["bash", "-c", 'type "$1"', "-", name], capture_output=True, check=False)
                self.assertEqual(found.returncode, 0, f"README.md:{line}: there is no command {name}")

    def test_no_program_of_ours_reads_another_ones_output(self):
        for line, text in shell_blocks():
            for pipeline in pipelines(text):
                for words in pipeline[1:]:
                    self.assertNotIn(words[0], PROGRAMS, f"README.md:{line}")

    @NEEDS_PROGRAMS
    def test_programs_take_every_command_line(self):
        ours = [(line, words) for line, words in commands() if words[0] in PROGRAMS]
        self.assertGreater(len(ours), 30)
        for line, words in ours:
            self.assertIsNone(refusal(words), f"README.md:{line}: {' '.join(words)}")

    @NEEDS_PROGRAMS
    def test_the_check_of_command_lines_refuses_what_the_programs_refuse(self):
        for text in (
            "fovea-node data lst",
            "fovea-node data",
            "fovea-node data list --yes",
            "fovea-node --site",
            "fovea-node data show",
            "fovea-node init one two",
            "fovea-node plan approve 12ab",
            "fovea-audit explain folder",
            "fovea-audit reconcile --site one",
        ):
            words = text.split()
            done = subprocess.run([BIN / words[0], *words[1:]], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, text)
            self.assertIsNotNone(refusal(words), text)


class Prose(unittest.TestCase):
    @NEEDS_PROGRAMS
    def test_programs_named_in_the_text_have_these_commands(self):
        for code in code_in_prose():
            if code.split()[0] in PROGRAMS:
                self.assertIsNone(refusal(code.split(), complete=False), code)

    def test_scripts_have_the_options_that_are_named(self):
        named = [code.split() for code in code_in_prose()] + [words for _, words in commands()]
        for words in named:
            options = [word for word in words if word.startswith("--")]
            if not words[0].startswith("scripts/") or not options:
                continue
            listed = subprocess.run([ROOT / words[0], "--help"], capture_output=True, text=True, check=True).stdout
            for option in options:
                self.assertIn(option, listed, f"{words[0]} --help")

    def test_paths_of_the_repository_exist(self):
        named = code_in_prose() + [word for _, words in commands() for word in words]
        paths = {code.split()[0] for code in named if re.match(r"(scripts|tests|configs|bench|docs)/\w", code)}
        self.assertGreater(len(paths), 5)
        for path in sorted(paths):
            self.assertTrue((ROOT / path).exists(), path)

    def test_targets_that_are_built_exist(self):
        files = [*ROOT.glob("*/CMakeLists.txt"), *(ROOT / "cmake").glob("*.cmake"), ROOT / "CMakeLists.txt"]
        rules = "".join(file.read_text(encoding="utf-8") for file in files)
        for line, words in commands():
            for target in (words[i + 1] for i, word in enumerate(words) if word == "--target"):
                self.assertIn(f"add_custom_target({target}", rules, f"README.md:{line}")

    def test_time_and_room_are_those_that_the_scripts_say(self):
        report = (
            ". scripts/common.sh; . scripts/lib/needs.sh; minutes() { echo $(($1 / 2 / 60 + 1)); }\n"
            'eval "$(grep "^run_mb" scripts/demo)"\n'
            'echo "$(size $packages_download_mb) to download, $(size $packages_installed_mb) on disk"\n'
            'echo "about $(minutes $build_demo_core_s) minutes, $(size $build_demo_mb) in"\n'
            'echo "about $(minutes $build_all_core_s) minutes, $(size $build_all_mb) in"\n'
            'echo "about $run_min minutes, with"; echo "$(size $run_mb) to \\`demo-run\\`"\n'
        )
        said = subprocess.run(
            ["bash", "-c", report, "scripts/x"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        self.assertEqual(len(said), 5)
        for text in said:
            self.assertTrue(text in README, f'README.md does not say "{text}", which the scripts say')

    def test_pictures_are_small_and_shown(self):
        pictures = sorted((ROOT / "docs/pictures").iterdir())
        self.assertGreaterEqual(len(pictures), 2)
        for picture in pictures:
            self.assertIn(f"](docs/pictures/{picture.name})", README)
            self.assertLessEqual(picture.stat().st_size, PICTURE_BYTES_MAX, picture.name)

    def test_contents_list_every_section(self):
        sections = re.findall(r"^## (.*)$", README, re.MULTILINE)
        listed = re.findall(r"^\* \[([^]]*)\]\(#", README, re.MULTILINE)
        self.assertEqual(listed, [section for section in sections if section != "Contents"])


def walk_script(port, dicom_port):
    """All blocks in their order, as one script that notes the commands that fail."""
    parts = ["set -uE", """trap 'echo "$? $BASH_COMMAND" >>"$HOME/failures"' ERR"""]
    for line, text in shell_blocks():
        text = re.sub(r"^scripts/.*\n", "", text, flags=re.MULTILINE)
        text = text.replace(BIN_IN_README, str(BIN)).replace("7443", str(port))
        if "data listen" in text:
            parts.append(f"sed -i 's/^port = 11112/port = {dicom_port}/' st-anna/node.toml")
        parts += [f"echo '### README.md:{line}'", text]
    return "\n".join(parts + ["echo '### the end'", ""])


@NEEDS_PROGRAMS
class Walk(unittest.TestCase):
    """The blocks are pasted one after the other; the tests look at what they left behind."""

    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="fovea readme ")
        cls.addClassCleanup(place.cleanup)
        cls.home = pathlib.Path(place.name)
        cls.folder = cls.home / "fovea-walk"
        ports = [HeldPort(), HeldPort()]
        for port in ports:
            cls.addClassCleanup(port.release)
        script = cls.home / "walk.sh"
        script.write_text(walk_script(*[port.number for port in ports]), encoding="utf-8")
        cls.in_time, cls.left_running = cls.run_script(script)
        cls.output = (cls.home / "output").read_text(encoding="utf-8", errors="replace")

    @classmethod
    def run_script(cls, script):
        """(whether it ended in time, whether anything that it started was still running). Ends all of it."""
        with open(cls.home / "output", "wb") as out:
            walk = subprocess.Popen(
                ["bash", script],
                cwd=ROOT,
                env={**os.environ, "HOME": str(cls.home)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            walk.wait(WALK_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pass
        in_time = walk.poll() is not None
        try:
            os.killpg(walk.pid, signal.SIGKILL)
        except ProcessLookupError:
            return in_time, False
        walk.wait()
        return in_time, True

    def said(self):
        logs = [f"---- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in self.folder.glob("*.log")]
        return "\n".join([self.output[-6000:], *logs])

    def block_output(self, words):
        """What the block that holds these words printed."""
        line = next(line for line, text in shell_blocks() if words in text)
        return self.output.partition(f"### README.md:{line}\n")[2].partition("### ")[0]

    def test_walk_ends_in_time(self):
        self.assertTrue(self.in_time, f"not within {WALK_SECONDS_MAX} s\n{self.said()}")
        self.assertIn("### the end", self.output, self.said())
        self.assertFalse(self.left_running, "the README stops what it started")

    def test_no_command_fails_but_the_one_that_is_cut_short(self):
        noted = self.home / "failures"
        failures = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        self.assertEqual(failures, ["124 timeout 10 fovea-node --site st-anna data listen"], self.said())

    def test_rounds_are_published_and_become_a_model(self):
        watched = self.block_output("run watch")
        self.assertEqual(watched.count('"event":"round_finished"'), 3, self.said())
        self.assertIn("complete", watched)
        self.assertTrue(list(self.folder.glob("coordinator/runs/*/publications/*")), self.said())
        self.assertGreater((self.folder / "model.safetensors").stat().st_size, 100_000)
        self.assertEqual((self.folder / "regions.png").read_bytes()[:4], b"\x89PNG")

    def test_audit_verifies(self):
        audit = self.block_output("fovea-audit reconcile")
        self.assertIn("PASS: 3 ledgers are complete and unchanged", audit, self.said())
        self.assertIn("Unlogged bytes: 0", audit)
        self.assertNotIn("FAIL", audit)
        self.assertIn("PASS", (self.folder / "report.html").read_text(encoding="utf-8"))
        self.assertIn("masked", self.block_output("fovea-audit explain"))

    def test_tampering_is_found(self):
        tampered = self.block_output("audit/tampered")
        self.assertRegex(tampered, r"entry \d+ .*was changed: its bytes in tile/entries/")
        self.assertIn("exit code 7", tampered)

    def test_plan_is_refused_and_a_hospital_revoked(self):
        self.assertIn("rejected by Dr A. Bauer", self.block_output("plan reject"), self.said())
        self.assertRegex(self.block_output("revoke lakeview"), r"roster of epoch \d+: 2 sites")

    def test_study_is_exported_and_forgotten(self):
        self.assertIn("forgotten", self.block_output("data forget"), self.said())
        self.assertTrue((self.folder / "study.png").exists() and (self.folder / "study.nrrd").exists())

    def test_nothing_is_written_outside_the_folder_of_the_walk(self):
        ours = {"fovea-walk", "walk.sh", "output", "failures"}
        self.assertEqual({path.name for path in self.home.iterdir()} - ours, set())


if __name__ == "__main__":
    unittest.main()
