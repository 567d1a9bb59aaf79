"""Tests of scripts/: first run on a fresh machine, progress, parallel use, single rooms and cases, lint, bench build.

Nothing here reaches the network or installs anything."""

import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from checkout import SOURCE, Checkout, Terminal  # noqa: E402

sys.path += [str(SOURCE / "demo" / "run"), str(SOURCE / "scripts" / "lint-tools")]
import documents  # noqa: E402
import duplicates  # noqa: E402
import run_folder  # noqa: E402
from federation import HeldPort  # noqa: E402

HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def has_ended(process):
    """True if it is gone, or dies within seconds of the signal that was sent to it; init may collect it later."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 5)[0])
    finally:
        os.close(descriptor)


class InCheckout(unittest.TestCase):
    def setUp(self):
        self.checkout = Checkout()
        self.addCleanup(self.checkout.close)

    def ends(self, code, *command, **more):
        """Runs a command that must end with this exit code; returns what it printed."""
        found, output = self.checkout.run(*command, **more)
        self.assertEqual(found, code, output)
        return output

    def commit(self, subject):
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", "add", "--all", "."], cwd=self.checkout.root, check=True)
        subprocess.run(
            ["git", *who, "commit", "--quiet", "--allow-empty", "-m", subject], cwd=self.checkout.root, check=True
        )

    def start_history(self):
        self.checkout.write(".gitignore", "/build/\n/fake/\n/system/\n")
        subprocess.run(["git", "init", "--quiet"], cwd=self.checkout.root, check=True)
        self.commit("lint: check the form of the code")


class Packages(InCheckout):
    def hold(self, name):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, str(self.checkout.system / name)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdin.close)
        self.assertEqual(holder.stdout.readline(), "held\n")
        return holder

    def test_nothing_missing_is_said(self):
        self.checkout.packages_are_there()
        output = self.ends(0, "scripts/setup", "--packages", "lint")
        self.assertIn("every package of these kinds is there: lint", output)

    def install(self, code, **answers):
        for name, text in answers.items():
            (self.checkout.fake / name.replace("_", ".")).write_text(text)
        return self.ends(code, "scripts/setup", "--packages", "coverage")

    def test_missing_packages_are_installed(self):
        output = self.install(0)
        self.assertIn("missing: gcovr python3", output)
        calls = (self.checkout.fake / "calls").read_text()
        self.assertRegex(calls, "install -y --no-install-recommends gcovr python3")

    def test_nothing_is_called_when_nothing_is_missing(self):
        self.checkout.packages_are_there()
        self.install(0)
        self.assertFalse((self.checkout.fake / "calls").exists())

    def test_lock_holder_is_named_and_waited_for(self):
        holder = self.hold("var/lib/dpkg/lock-frontend")
        setup = self.checkout.start("scripts/setup", "--packages", "coverage")
        lines = iter(setup.stdout.readline, "")
        waiting = next(line for line in lines if "apt is in use" in line)
        self.assertIn(f"(process {holder.pid})", waiting)
        self.assertIn("lock-frontend", waiting)
        self.assertFalse((self.checkout.fake / "calls").exists())
        holder.stdin.close()
        output = "".join(lines)
        setup.stdout.close()
        self.assertEqual(setup.wait(), 0, output)

    def test_waiting_for_a_lock_has_an_end(self):
        self.hold("var/lib/dpkg/lock-frontend")
        output = self.ends(1, "scripts/setup", "--packages", "coverage", FOVEA_APT_WAIT_S="1")
        self.assertIn("for more than 1 s", output)

    def test_lists_lock_lost_to_another_update_is_tried_again(self):
        self.install(
            0, update_once="E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)\n"
        )
        calls = (self.checkout.fake / "calls").read_text().splitlines()
        self.assertEqual([call.split()[-1] for call in calls if "update" in call.split()], ["update", "update"])

    def test_failures_name_the_package_and_the_fix(self):
        cases = {
            "E: Unable to locate package gcovr": ["apt finds no package gcovr", "sources.list"],
            "E: Package 'gcovr' has no installation candidate": ["apt finds no package gcovr"],
            "E: Failed to fetch http://deb.debian.org/debian/pool/main/g/gcovr/gcovr_5.2-1_all.deb  404  Not Found": [
                "no longer has this version of gcovr"
            ],
            "The following packages have unmet dependencies:\n gcovr : Depends: python3-lxml but it is not going to be "
            "installed\nE: Unable to correct problems, you have held broken packages.": [
                "dependencies of gcovr cannot be met",
                "apt-mark showhold",
            ],
            "W: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'": [
                "cannot be reached",
                "gcovr python3",
                "name server",
            ],
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.": [
                "interrupted",
                "dpkg --configure -a",
            ],
            "Errors were encountered while processing:\n gcovr\nE: Sub-process dpkg returned an error code (1)": [
                "dpkg could not install gcovr"
            ],
            "E: You don't have enough free space in /var/cache/apt/archives/.": ["the disk is full"],
            "E: something never seen": ["E: something never seen"],
        }
        for text, wanted in cases.items():
            with self.subTest(text):
                output = self.install(100, install_out=text + "\n", install_rc="100")
                for words in wanted:
                    self.assertIn(words, output)
                log = re.search(r"the whole log: .*? (/.*install\.log)$", output, re.MULTILINE)
                self.assertIn(text, pathlib.Path(log.group(1)).read_text())

    def test_progress_of_apt_is_no_log(self):
        lines = "".join(f"pmstatus:gcovr:{n}.0:Unpacking gcovr (all)\n" for n in range(100))
        output = self.install(0, install_out=lines + "Setting up gcovr\n")
        self.assertNotIn("pmstatus", output)
        self.assertNotIn("Setting up", output)

    def test_another_system_is_warned_of(self):
        self.checkout.write("system/etc/os-release", 'ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04"\n')
        self.assertIn("warning: this is Ubuntu 22.04", self.install(0))

    def test_full_disk_is_refused_before_anything_is_done(self):
        self.checkout.program("df", '#!/bin/sh\necho header\necho "102400 /mnt/a disk"\n')
        output = self.ends(1, "scripts/setup", "build", "--target", "demo_programs")
        self.assertIn("not enough room", output)
        self.assertIn(str(self.checkout.root / "build/release"), output)
        self.assertIn("missing (disk mounted at /mnt/a disk)", output)
        self.assertNotIn("Build (preset", output)
        self.assertFalse((self.checkout.fake / "calls").exists())

    def test_df_without_a_number_is_no_arithmetic(self):
        self.checkout.packages_are_there()
        self.checkout.program("df", "#!/bin/sh\necho Avail Mounted on\necho - /mnt/a disk\n")
        self.assertIn("df does not say", self.ends(0, "scripts/setup", "--target", "demo_programs"))

    def test_absurd_room_is_refused(self):
        for space in ("99999999999999999999:/tmp", "010:/tmp", "1e3:/tmp", "-1:/tmp", "5:", ":"):
            with self.subTest(space):
                self.assertIn("usage:", self.ends(2, "scripts/setup", "--packages", "--space", space))

    def test_os_release_may_have_quotes_or_not(self):
        for text in ("ID=debian\nVERSION_ID=12\n", "ID='debian'\nVERSION_ID='12'\n", 'VERSION_ID="12"\nID="debian"\n'):
            with self.subTest(text):
                self.checkout.write("system/etc/os-release", text)
                self.assertNotIn("warning", self.install(0))
        self.checkout.write("system/etc/os-release", "ID=debian\nVERSION_ID=13\nPRETTY_NAME='Debian 13'\n")
        self.assertIn("warning: this is Debian 13;", self.install(0))

    def test_times_that_are_no_numbers_are_refused_by_name(self):
        for name in ("FOVEA_PROGRESS_S", "FOVEA_APT_WAIT_S"):
            for value in ("soon", "-1", "08", "1.5", "99999999999"):
                with self.subTest(name=name, value=value):
                    output = self.ends(2, "scripts/setup", "--packages", "coverage", **{name: value})
                    self.assertIn(f'{name} must be a number of seconds, not "{value}"', output)

    def be_a_user(self):
        self.checkout.program("id", "#!/bin/sh\ncase $1 in -u) echo 1000 ;; *) echo someone ;; esac\n")

    def test_sudo_asks_before_any_progress_and_before_installing(self):
        self.be_a_user()
        self.install(0)
        calls = (self.checkout.fake / "sudo.calls").read_text().splitlines()
        self.assertEqual([call.split()[-1] for call in calls], ["-v", "update", "-v", "python3"])

    def test_a_refusal_of_sudo_gives_the_command_for_root(self):
        self.be_a_user()
        command = "fix: as root: apt-get update && apt-get install -y --no-install-recommends gcovr python3"
        for text in (
            "someone is not in the sudoers file.  This incident will be reported.",
            "Sorry, user someone is not allowed to execute '/usr/bin/env apt-get' as root on here.",
            "Sorry, user someone may not run sudo on here.",
        ):
            with self.subTest(text):
                output = self.install(1, install_out=text + "\n", install_rc="1")
                self.assertIn("sudo refused: " + text.split(".  ")[0], output)
                self.assertIn(command, output)
        (self.checkout.fake / "sudo.refusal").write_text("someone is not in the sudoers file.\n")
        (self.checkout.fake / "calls").unlink()
        self.assertIn(command, self.install(1))
        self.assertFalse((self.checkout.fake / "calls").exists())


class Building(InCheckout):
    def setUp(self):
        super().setUp()
        self.checkout.packages_are_there()

    def test_cdpath_changes_nothing(self):
        for command in (["scripts/setup", "--packages"], ["scripts/test", "--rooms"], ["scripts/bench"]):
            with self.subTest(command):
                self.assertNotIn(str(self.checkout.root), self.ends(0, *command, CDPATH=f".:{self.checkout.root}:/"))

    def test_somebody_elses_build_folder_is_named_with_the_command_that_mends_it(self):
        root = self.checkout.root
        as_user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        root.chmod(0o755)
        for name in ("build/release", "build/lock"):
            with self.subTest(name):
                subprocess.run(["rm", "-rf", root / "build"], check=True)
                (root / "build").mkdir()
                path = root / name
                path.touch() if name.endswith("lock") else path.mkdir()
                path.chmod(0o444 if name.endswith("lock") else 0o555)
                if as_user:
                    os.chown(root / "build", 65534, 65534)
                output = self.ends(1, *as_user, "scripts/setup", "--build-only", "--target", "demo_programs")
                self.assertRegex(output, rf"{name} cannot be written to; as root: chown -R \w+ \S.*build")
        path.parent.joinpath("lock").chmod(0o644)

    def test_signals_end_the_build_too(self):
        for name, code in (("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)):
            with self.subTest(name):
                pid_file = self.checkout.root / "build/release/slow.pid"
                pid_file.unlink(missing_ok=True)
                setup = self.checkout.start("scripts/setup", "--target", "slow", FOVEA_PROGRESS_S="0")
                lines = iter(setup.stdout.readline, "")
                next(line for line in lines if "compiling" in line and pid_file.exists() and pid_file.read_text())
                compiler = int(pid_file.read_text())
                setup.send_signal(getattr(signal, name))
                output = "".join(lines)
                setup.stdout.close()
                self.assertEqual(setup.wait(timeout=20), code, output)
                self.assertTrue(has_ended(compiler))

    def test_needs_are_said_first_and_progress_is_quiet_without_a_terminal(self):
        output = self.ends(0, "scripts/setup", "--target", "demo_programs")
        self.assertRegex(output.splitlines()[0], "What this needs")
        self.assertRegex(output, r"compiling +about \d+ minutes on \d+ cores")
        self.assertIn("crypto/shamir.cpp:7: warning: planted", output)
        self.assertNotRegex(output, r"compiling \d+ of")
        self.assertNotIn("@fovea@", output)
        self.assertNotIn("\r", output)

    def test_a_line_each_interval_without_a_terminal(self):
        output = self.ends(0, "scripts/setup", "--target", "demo_programs", FOVEA_PROGRESS_S="0")
        self.assertRegex(output, r"(?m)^    compiling \d+ of \d+, \d+ s$")

    def test_one_line_rewritten_on_a_terminal(self):
        terminal = Terminal(self.checkout, "scripts/setup", "--target", "demo_programs")
        self.assertEqual(terminal.exit_code(), 0, terminal.text)
        self.assertRegex(terminal.text, "\r\x1b\\[K    compiling 7 of 7, [0-9]+ s")
        self.assertNotRegex(terminal.text, r"compiling \d+ of \d+, [^\r]*\n")
        self.assertRegex(terminal.text, "\r\x1b\\[Kcrypto/shamir.cpp:7: warning: planted\r\n")

    def test_a_failed_step_is_shown_with_its_output(self):
        output = self.ends(1, "scripts/setup", "--target", "broken")
        self.assertIn("FAILED: broken.done", output)
        self.assertIn("planted error", output)
        log = re.search(r"whole output: (.*)", output).group(1)
        self.assertIn("exit 1", pathlib.Path(log).read_text())

    def test_interrupt_key_stops_the_build(self):
        terminal = Terminal(self.checkout, "scripts/setup", "--target", "slow")
        terminal.read_until("compiling, 1 s")
        compiler = int((self.checkout.root / "build/release/slow.pid").read_text())
        terminal.press(b"\x03")
        self.assertNotEqual(terminal.exit_code(), 0)
        self.assertTrue(has_ended(compiler))

    def test_second_build_waits_for_the_first(self):
        (self.checkout.root / "build").mkdir()
        with open(self.checkout.root / "build/lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            print(4711, file=lock, flush=True)
            setup = self.checkout.start("scripts/setup", "--target", "demo_programs")
            lines = iter(setup.stdout.readline, "")
            self.assertIn("(process 4711)", next(line for line in lines if "another build" in line))
        output = "".join(lines)
        setup.stdout.close()
        self.assertEqual(setup.wait(), 0, output)
        self.assertIn("the other build ended", output)

    def test_moved_checkout_is_configured_again(self):
        self.ends(0, "scripts/setup", "--target", "demo_programs")
        cache = self.checkout.root / "build/release/CMakeCache.txt"
        cache.write_text(
            cache.read_text().replace(
                f"CMAKE_HOME_DIRECTORY:INTERNAL={self.checkout.root}", "CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere"
            )
        )
        self.assertIn("Configure", self.ends(0, "scripts/setup", "--target", "demo_programs"))
        self.assertNotIn("Configure", self.ends(0, "scripts/setup", "--target", "demo_programs"))


class RoomsAndCases(InCheckout):
    def setUp(self):
        super().setUp()
        self.checkout.packages_are_there()

    def test_room_builds_and_runs_only_that_room(self):
        output = self.ends(0, "scripts/test", "--room", "crypto")
        self.assertIn("crypto.all", output)
        self.assertIn("100% tests passed, 0 tests failed out of 1", output)
        self.assertTrue((self.checkout.root / "build/dev/tests/crypto_test").exists())
        self.assertFalse((self.checkout.root / "build/dev/tests/round_test").exists())

    def test_unknown_room_lists_the_rooms(self):
        for room in ("cellar", "nosuch/crypto", "tests/unit", "cellar/"):
            with self.subTest(room):
                self.assertIn("there are: crypto round", self.ends(2, "scripts/test", "--room", room))

    def test_a_room_has_other_spellings(self):
        by_path = ["-j", "2", "--room", "./tests/unit/crypto"]
        for words in (["--room=crypto"], ["--room", "crypto/"], ["--room", "tests/unit/crypto/"], by_path):
            with self.subTest(words):
                self.assertIn("failed out of 1\n", self.ends(0, "scripts/test", *words))

    def test_what_is_not_understood_is_refused_before_anything_is_built(self):
        for words, reason in (
            (["crypto"], 'knows no "crypto"'),
            (["--cases", "x"], 'knows no "--cases"'),
            (["--label", "unit"], 'knows no "--label"'),
            (["-X"], 'knows no "-X"'),
            (["-L"], "-L needs a value"),
            (["--room", "crypto", "-R", "x"], "leave out -R"),
            (["--room", "crypto", "--label-regex=x"], "leave out --label-regex"),
            (["--room", "crypto", "round"], 'knows no "round"'),
            (["--room", "crypto", "--case", "Sum*"], "one --room or one --case"),
            (["--case", "Shamir*", "Sum*"], 'knows no "Sum*"'),
            (["--case", "Shamir*", "-V"], "one pattern and nothing else"),
            (["--case="], 'knows no "--case="'),
            (["--rooms", "crypto"], "takes nothing after it"),
        ):
            with self.subTest(words):
                self.assertIn(reason, self.ends(2, "scripts/test", *words))
        self.assertFalse((self.checkout.root / "build").exists())

    def test_arguments_of_ctest_reach_it(self):
        self.ends(0, "scripts/setup", "--target", "tests_crypto", "--target", "tests_round")
        output = self.ends(0, "scripts/test", "--tests-regex=^round", "--show-only", "-j2")
        self.assertIn("round.all", output)
        self.assertNotIn("crypto.all", output)

    def test_a_case_may_be_named_as_it_is_printed(self):
        for pattern in ("All/Field.Inverts/3", "Field/0.Inverts", "*/Field.Inverts/*"):
            with self.subTest(pattern):
                output = self.ends(0, "scripts/test", "--case", pattern)
                self.assertRegex(output, r"(?m)^ran crypto_test")
                self.assertIn(f"--gtest_filter={pattern}:", output)

    def test_no_case_run_is_a_failure(self):
        (self.checkout.fake / "no_cases").write_text("")
        self.assertIn("no case that is run matches", self.ends(1, "scripts/test", "--case", "Field.Inverts"))

    def test_a_case_in_other_letters_is_hinted_at(self):
        self.assertIn("there is: Shamir.SharesJoin", self.ends(2, "scripts/test", "--case", "shamir"))

    def test_case_finds_its_program(self):
        cases = {
            "Shamir*": "crypto_test",
            "Field.Inverts": "crypto_test",
            "*AddsUp": "round_test",
            "sum": None,
            "SumTest": "round_test",
        }
        for pattern, program in cases.items():
            with self.subTest(pattern):
                output = self.ends(0 if program else 2, "scripts/test", "--case", pattern)
                self.assertEqual(re.findall(r"(?m)^ran (\w+)", output), [program] if program else [])

    def test_case_filter_reaches_parameterised_tests(self):
        output = self.ends(0, "scripts/test", "--case", "Field.Inverts")
        self.assertIn("--gtest_filter=Field.Inverts:*/Field.Inverts:Field.Inverts/*:*/Field.Inverts/*", output)

    def test_everything_ends_with_the_closing_line_of_ctest(self):
        self.ends(0, "scripts/setup", "--target", "tests_crypto", "--target", "tests_round")
        output = self.ends(0, "scripts/test")
        self.assertRegex(output, r"100% tests passed, 0 tests failed out of 2(.|\n)*Total Test time \(real\) = .*\n$")


class Demonstration(unittest.TestCase):
    def setUp(self):
        self.checkout = Checkout()
        self.addCleanup(self.checkout.close)

    def test_copies_write_to_folders_of_their_own(self):
        default = self.checkout.root / "demo-run"
        first, first_lock = run_folder.choose(None, default)
        second, second_lock = run_folder.choose(None, default)
        self.assertEqual([first, second], [default, self.checkout.root / "demo-run-2"])
        with self.assertRaises(SystemExit):
            run_folder.choose(default, default)
        os.close(first_lock)
        again, again_lock = run_folder.choose(None, default)
        self.assertEqual(again, default)
        os.close(again_lock)
        os.close(second_lock)

    def test_intake_is_kept_and_the_rest_made_new(self):
        run = self.checkout.root / "demo-run"
        for name in ("scans-1/a", "hospitals/h/data/b", "hospitals/h/ledger/c", "logs/d", "coordinator/e"):
            self.checkout.write(f"demo-run/{name}", "")
        run_folder.prepare(run, fresh=False)
        kept = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
        self.assertEqual(kept, {"scans-1/a", "hospitals/h/data/b"})
        run_folder.prepare(run, fresh=True)
        self.assertEqual([path for path in run.rglob("*") if path.is_file()], [])

    def test_a_held_port_is_given_to_nobody_else_but_a_listener_can_have_it(self):
        ports = [HeldPort() for _ in range(20)]
        self.assertEqual(len({port.number for port in ports}), 20)
        with socket.socket() as stranger:
            with self.assertRaises(OSError):
                stranger.bind(("127.0.0.1", ports[0].number))
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", ports[0].number))
            listener.listen()
            with socket.create_connection(("127.0.0.1", ports[0].number)):
                pass
        for port in ports:
            port.release()

    def test_says_first_what_it_listens_on(self):
        self.checkout.packages_are_there()
        self.checkout.program("python3", '#!/bin/sh\necho "demonstration $*"\n')
        code, output = self.checkout.run("scripts/demo", "--seed", "7")
        self.assertEqual(code, 0, output)
        self.assertLess(
            output.index("listens on 127.0.0.1 only"), output.index("Build (preset release: demo_programs)")
        )
        self.assertIn("--seed 7", output)


BODY = [
    "int total = 0;",
    "for (int i = 0; i < limit; ++i) {",
    "if (values[i] > bound) {",
    "total += values[i] * weight(i);",
    "} else if (values[i] < 0) {",
    "total -= penalty(values[i], i);",
    "}",
    "record(total, i);",
    "}",
    "return finish(total, limit);",
]
RENAMED = [re.sub(r"\b(total|i|values|limit|bound)\b", r"other_\1", line).replace("0", "17") for line in BODY]


def installed_jscpd():
    found = sorted((SOURCE / "build" / "lint").glob("jscpd-*/node_modules/.bin/jscpd"))
    return found[-1] if found else None


class Lint(InCheckout):
    def plant(self, name, lines):
        self.checkout.write(
            name, f"// {name}\nvoid {pathlib.Path(name).stem}(long a) {{\n" + "\n".join(lines) + "\n}\n"
        )

    def duplicates(self, code, jscpd=None):
        return self.ends(
            code,
            sys.executable,
            "scripts/lint-tools/duplicates.py",
            "--jscpd",
            jscpd or installed_jscpd(),
            "--work",
            self.checkout.root / "work",
        )

    @unittest.skipUnless(installed_jscpd(), "jscpd is not installed (scripts/lint duplicates installs it)")
    def test_equal_and_renamed_runs_are_found_and_nine_lines_are_not(self):
        self.checkout.write("scripts/duplicates-allowed.txt", "")  # the project's own files are not here
        self.plant("crypto/first.cpp", BODY[:8])
        self.checkout.write(
            "node/other.h", "struct Other {\n  double x;\n};\nint third(float y) {\n" + "\n".join(BODY[:8]) + "\n}\n"
        )
        self.assertIn(" 0 runs of 10", self.duplicates(0))
        self.plant("crypto/first.cpp", BODY)
        self.checkout.write(
            "node/other.h", "struct Other {\n  double x;\n};\nint third(float y) {\n" + "\n".join(BODY) + "\n}\n"
        )
        self.assertRegex(self.duplicates(1), r"crypto/first.cpp:3-1\d and node/other.h:5-1\d: 1\d lines, equal")
        self.checkout.write(
            "node/other.h", "struct Other {\n  double x;\n};\nint third(float y) {\n" + "\n".join(RENAMED) + "\n}\n"
        )
        self.assertRegex(
            self.duplicates(1), r"crypto/first.cpp:3-1\d and node/other.h:5-1\d: 1\d lines, alike in shape"
        )
        line = "crypto/first.cpp ~ node/other.h  # planted by a test\n"
        self.checkout.write("scripts/duplicates-allowed.txt", line)
        self.assertIn("(listed: planted by a test)", self.duplicates(0))
        self.checkout.write("scripts/duplicates-allowed.txt", line + line)
        self.assertIn("more often than they have runs", self.duplicates(1))
        self.checkout.write("scripts/duplicates-allowed.txt", line)
        self.plant("crypto/first.cpp", [])
        self.assertIn("more often than they have runs", self.duplicates(1))
        self.plant("crypto/first.cpp", RENAMED)
        self.assertRegex(self.duplicates(1), "1[0-9] lines, equal\n(.|\n)*1 runs of 10")  # no line excuses it

    @unittest.skipUnless(installed_jscpd(), "jscpd is not installed (scripts/lint duplicates installs it)")
    def test_equal_tables_and_short_lines_count_and_tables_alike_are_counted(self):
        self.checkout.write("scripts/duplicates-allowed.txt", "")
        table = [f'case Kind::{name}: return "{name}";' for name in "abcdefghijklmn"]
        short = [f"{name}();" for name in ("go", "on", "up", "at", "to", "by", "in", "of", "as", "it", "is")]
        for lines in (table, short):
            self.plant("crypto/first.cpp", lines)
            self.plant("node/other.cpp", lines)
            self.assertRegex(self.duplicates(1), r"crypto/first.cpp:3-1\d and node/other.cpp:3-1\d: 1\d lines, equal")
        self.plant("crypto/first.cpp", table)
        self.plant("node/other.cpp", [line.replace("Kind", "Sort").replace(' "', ' "z') for line in table])
        self.assertRegex(self.duplicates(0), "[1-9][0-9]* pairs of tables left out")

    def test_files_that_git_does_not_know_yet_are_checked(self):
        self.start_history()
        self.checkout.write("crypto/new.cpp", "// " + "x" * 118 + "\n")
        self.checkout.write("new.md", "[a](gone.md)\n")
        self.checkout.write("scripts/new.sh", "#!/usr/bin/env bash\nls $1\n")
        self.assertIn("crypto/new.cpp:1: 121 columns", self.ends(1, "scripts/lint", "lines"))
        self.assertIn("new.md:1: no such file: gone.md", self.ends(1, "scripts/lint", "docs"))
        if shutil.which("shellcheck"):
            self.assertIn("scripts/new.sh line 2", self.ends(1, "scripts/lint", "shell"))
        if shutil.which("clang-format"):
            self.checkout.write("crypto/new.cpp", "int   a  ;\n")
            self.assertIn("crypto/new.cpp:1", self.ends(1, "scripts/lint", "format"))
        self.checkout.write("crypto/new.cpp", "int a;\n")
        sources = [path.relative_to(self.checkout.root) for path in duplicates.product_sources(self.checkout.root)]
        self.assertIn(pathlib.Path("crypto/new.cpp"), sources)

    def test_a_file_that_is_not_utf_8_is_named(self):
        for name in ("crypto/a.cpp", "a.md"):
            self.checkout.write(name, "").write_bytes(b"// \xff\n")
        self.start_history()
        for output in (
            self.ends(1, "scripts/lint", "lines"),
            self.ends(1, "scripts/lint", "docs"),
            self.duplicates(1, jscpd="/bin/false"),
        ):
            self.assertRegex(output, r"a\.(cpp|md): not UTF-8")
            self.assertNotIn("Traceback", output)

    def test_blanks_tabs_and_ends_of_lines(self):
        self.checkout.write("crypto/a.cpp", "").write_bytes(b"int a; \r\n\tint b;\nint c; \nint d;")
        self.start_history()
        output = self.ends(1, "scripts/lint", "lines")
        for fault in ("1: carriage return", "2: tab", "3: blank at the end", "4: no newline"):
            self.assertIn("crypto/a.cpp:" + fault, output)

    def test_json_is_refused_where_it_cannot_be_written(self):
        for file in ("nosuch/a.json", "crypto", "", "--strict"):
            with self.subTest(file):
                output = self.ends(2, "scripts/lint", "--json", file, "lines")
                self.assertRegex(output, "cannot be written to|needs a file")
                self.assertNotIn("==>", output)

    def test_tables_count_once(self):
        self.assertEqual(duplicates.without_repeats(['case A: return "a";', 'case B: return "b c";'] * 5), 1)
        self.assertGreater(duplicates.without_repeats(BODY), 7)

    def test_comments_and_includes_are_not_counted(self):
        file = self.checkout.write(
            "crypto/a.cpp", '#include <a>\n/* x\n y */ int a; // b\n\nauto s = R"(// no comment)";\n'
        )
        self.assertEqual(duplicates.counted_lines(file), [(3, "int a;"), (5, 'auto s = R"(// no comment)";')])

    def test_an_allowed_run_needs_a_reason(self):
        file = self.checkout.write("allowed.txt", "a.cpp ~ b.cpp\n")
        with self.assertRaises(SystemExit):
            duplicates.allowed_pairs(file)

    def test_long_lines_are_found_in_characters(self):
        self.checkout.write("crypto/a.cpp", "// " + "é" * 117 + "\n// " + "x" * 118 + "\n")
        self.start_history()
        output = self.ends(1, "scripts/lint", "lines")
        self.assertIn("crypto/a.cpp:2: 121 columns", output)
        self.assertNotIn("crypto/a.cpp:1:", output)

    def test_subjects_of_commits(self):
        self.start_history()
        self.ends(0, "scripts/lint", "commits")
        self.commit("Fix things")
        self.assertIn('not "area: what changes": Fix things', self.ends(1, "scripts/lint", "commits"))
        self.commit("crypto: " + "x" * 65)
        self.assertIn("a subject of 73 characters", self.ends(1, "scripts/lint", "commits"))

    def test_subjects_are_counted_in_characters_and_their_area_exists(self):
        self.start_history()
        self.commit("shamir_test: " + "é" * 59)
        self.commit("tests/unit, docs: words")
        self.ends(0, "scripts/lint", "commits", LC_ALL="C")
        self.commit("cellar: words")
        self.assertIn('"cellar" is no folder or file', self.ends(1, "scripts/lint", "commits"))

    def test_documents(self):
        self.checkout.write("there.md", "# A heading, `here`\n")
        page = self.checkout.write(
            "page.md",
            "[a](there.md#a-heading-here) [b](gone.md) [c](there.md#nowhere)\n"
            "```\n" + "x " * 100 + "\n```\n| " + "x " * 100 + "|\n" + "word " * 30 + "\n"
            "[d](https://example.org/" + "x" * 130 + ")\n",
        )
        self.assertEqual(
            list(documents.faults(page)),
            [(1, "no such file: gone.md"), (1, "no such heading: there.md#nowhere"), (6, "prose of 150 columns")],
        )

    def test_a_second_rule_of_one_id_is_a_fault(self):
        page = self.checkout.write(
            "page.md", "* **D1** One. **D1** is cited.\n* **D10** Ten.\n* **R4.2** x\n**D1** is cited\n"
        )
        self.assertEqual(list(documents.faults(page)), [(4, "rule D1 stands in line 1 already")])
        self.checkout.write("page.md", "* **D1** One.\n* **D10** Ten.\n* **R4.2** x\n* **R4.20** x\n")
        self.assertEqual(list(documents.faults(page)), [])

    def test_a_rule_without_its_reason_is_a_fault(self):
        rules = "* **D1** One,\n  two. *Why:* three.\n* **D2** Four.\n  Five.\n\n*Why:* of no rule.\n"
        page = self.checkout.write("page.md", rules + "## Why it holds\n\n* **D3** A reason.\n## Else\n* **D4** x\n")
        self.assertEqual(
            list(documents.faults(page)),
            [(3, "rule D2 gives no reason (*Why:*)"), (11, "rule D4 gives no reason (*Why:*)")],
        )
        self.checkout.write("page.md", "* **D1** One, two.\n")
        self.assertEqual(list(documents.faults(page)), [])

    def test_clang_tidy_gets_what_it_can_read(self):
        commands = self.checkout.write(
            "commands.json",
            json.dumps(
                [
                    {"file": str(self.checkout.root / name), "command": f"g++ {flags} -c {name}"}
                    for name, flags in (("a.cpp", "-Ix"), ("b.cpp", "-isystem /usr/include/ITK-5.3 -Ix"))
                ]
            ),
        )
        tool = "scripts/lint-tools/tidy_sources.py"
        output = self.ends(0, sys.executable, tool, commands, self.checkout.root, "a.cpp", "b.cpp", "c.cpp")
        self.assertIn("a.cpp\n", output)
        self.assertIn("left out: b.cpp includes", output)
        self.assertIn("left out: c.cpp is not compiled", output)

    def test_help_of_every_script(self):
        for name in ("lint", "test", "setup", "sanitize", "coverage", "fuzz", "bench"):
            with self.subTest(name):
                self.assertIn(f"usage: scripts/{name}", self.ends(0, f"scripts/{name}", "--help"))
        for name in ("sanitize", "coverage"):
            self.assertIn('knows no "--what"', self.ends(2, f"scripts/{name}", "--what"))
        self.assertIn("FOVEA_PRESET=fuzz scripts/setup --configure", self.ends(1, "scripts/fuzz", "--list"))

    def test_missing_tool_is_an_error_only_when_strict(self):
        self.start_history()
        empty = self.checkout.root / "fake" / "only"
        empty.mkdir()
        for name in ("bash", "git", "dirname", "mkdir", "date", "id"):
            (empty / name).symlink_to(
                subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
            )
        self.assertIn("left out: shellcheck is not installed", self.ends(0, "scripts/lint", "shell", PATH=str(empty)))
        self.assertIn("shellcheck is not installed", self.ends(1, "scripts/lint", "--strict", "shell", PATH=str(empty)))


class BenchBuild(InCheckout):
    KEYS = [
        "demo_build_s",
        "full_build_s",
        "one_file_to_test_s",
        "objects_demo",
        "files_in_largest_folder",
        "lines_over_120",
        "duplicate_runs_10",
    ]

    def measure(self, *words):
        self.checkout.packages_are_there()
        self.checkout.write("federation/a.h", "")
        self.checkout.write("federation/b.h", "")
        for name in ("node", "npm"):
            self.checkout.program(name, "#!/bin/sh\nexit 1\n")
        self.start_history()
        lock = SOURCE / "scripts/lint-tools/package-lock.json"
        key = subprocess.run(["sha256sum", lock], capture_output=True, text=True, check=True).stdout[:12]
        jscpd = self.checkout.write(
            f"build/lint/jscpd-{key}/node_modules/.bin/jscpd",
            "#!/bin/sh\n"
            'while [ $# -gt 0 ]; do [ "$1" != --output ] || out=$2; shift; done\n'
            'mkdir -p "$out"; echo \'{"duplicates": []}\' > "$out/jscpd-report.json"\n',
        )
        jscpd.chmod(0o755)
        self.ends(0, "scripts/bench", "build", *words, "--json", "facts.json")
        return json.loads((self.checkout.root / "facts.json").read_text())

    def test_all_keys(self):
        facts = self.measure()
        self.assertEqual([key for key in self.KEYS if facts.get(key) is None], [])
        self.assertGreaterEqual(facts["full_build_s"], facts["demo_build_s"])
        self.assertEqual((facts["files_in_largest_folder"], facts["duplicate_runs_10"]), (2, 0))
        self.assertFalse((self.checkout.root / "build/release").exists(), "the checkout itself must not be built")
        self.assertEqual(list((self.checkout.root / "build").glob("bench-build-*")), [])

    def test_json_is_the_callers_path_or_standard_output(self):
        self.checkout.packages_are_there()
        self.checkout.write(
            "bench/planted.sh",
            "#!/usr/bin/env bash\n# Planted\n# needs: nothing\necho measuring\n"
            "while [ $# -gt 1 ]; do shift; done\necho '{}' > \"$1\"\n",
        )
        elsewhere = self.checkout.root / "crypto"
        bench = self.checkout.root / "scripts/bench"
        environment = self.checkout.environment()
        command = [bench, "planted", "--json=a.json"]
        subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True)
        self.assertEqual((elsewhere / "a.json").read_text(), "{}\n")
        command = [bench, "planted", "--json", "-"]
        done = subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("{}\n", "measuring\n"))
        output = self.ends(2, bench, "planted", "--json", "nosuch/a.json")
        self.assertIn("cannot be written to", output)
        self.assertNotIn("measuring", output)

    def test_quick_leaves_the_builds_out(self):
        facts = self.measure("--quick")
        self.assertEqual([key for key in self.KEYS if facts[key] is None], ["demo_build_s", "full_build_s"])


if __name__ == "__main__":
    unittest.main()
