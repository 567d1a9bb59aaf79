"""A checkout in miniature for the tests of scripts/: the real scripts, a project without compiler, fake programs."""

import os
import pathlib
import pty
import select
import shutil
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]

PRESETS = """{"version": 4, "configurePresets": [
  {"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}"},
  {"name": "dev", "inherits": "release"}]}"""

# Stands in for the project: the targets that the scripts ask for, made by the shell.
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(miniature NONE)
enable_testing()
function(step name)
  add_custom_command(OUTPUT ${name}.done COMMAND sh -c "${ARGN}" COMMAND cmake -E touch ${name}.done
    DEPENDS ${CMAKE_SOURCE_DIR}/crypto/shamir.cpp VERBATIM)
  list(APPEND steps ${CMAKE_BINARY_DIR}/${name}.done)
  set(steps ${steps} PARENT_SCOPE)
endfunction()
foreach(number RANGE 1 6)
  step(quiet${number} "true")
endforeach()
step(warning "echo crypto/shamir.cpp:7: warning: planted")
add_custom_target(demo_programs DEPENDS ${steps})
add_custom_target(everything ALL DEPENDS ${steps})
add_custom_command(OUTPUT broken.done COMMAND sh -c "echo planted error; exit 1" VERBATIM)
add_custom_target(broken DEPENDS broken.done)
add_custom_command(OUTPUT slow.done COMMAND sh -c "echo $$ > slow.pid; exec sleep 60" VERBATIM)
add_custom_target(slow DEPENDS slow.done)
foreach(room crypto round)
  set(program ${CMAKE_BINARY_DIR}/tests/${room}_test)
  add_custom_command(OUTPUT ${program}
    COMMAND cmake -E make_directory tests
    COMMAND cmake -E copy ${CMAKE_SOURCE_DIR}/tests/test_program ${program}
    DEPENDS ${CMAKE_SOURCE_DIR}/crypto/shamir.cpp ${CMAKE_SOURCE_DIR}/tests/test_program VERBATIM)
  add_custom_target(${room}_test ALL DEPENDS ${program})
  add_custom_target(tests_${room} DEPENDS ${room}_test)
  add_test(NAME ${room}.all COMMAND ${program})
  set_tests_properties(${room}.all PROPERTIES LABELS unit)
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/test_sources.txt
  "crypto_test\\tcrypto\\ttests/unit/crypto/shamir_test.cpp\\nround_test\\tround\\ttests/unit/round/sum_test.cpp\\n")
"""

# Answers as in fake/answers: NAME.out is printed, NAME.rc is the exit code, NAME.once holds for the first call only.
FAKE_APT = """#!/bin/bash
for word in "$@"; do case $word in update | install) name=$word ;; --simulate) exit 0 ;; esac; done
echo "$*" >> "$FAKE/calls"  # a simulation is none
if [ -f "$FAKE/$name.once" ]; then cat "$FAKE/$name.once"; rm "$FAKE/$name.once"; exit 100; fi
[ ! -f "$FAKE/$name.out" ] || cat "$FAKE/$name.out"
exit "$(cat "$FAKE/$name.rc" 2>/dev/null || echo 0)"
"""

# What is free on the disk of the machine that runs the tests decides nothing.
FAKE_DF = "#!/bin/sh\necho Avail Mounted on\necho 104857600 /mnt/fake\n"

# Lists one case, or none where fake/no_cases is there.
TEST_PROGRAM = """#!/bin/sh
case $1 in
  --gtest_list_tests) echo Suite.; [ -e "$FAKE/no_cases" ] || echo "  Case" ;;
  *) echo "ran $(basename "$0") $*" ;;
esac
"""

# Notes what it is asked; refuses with fake/sudo.refusal where that is there.
FAKE_SUDO = """#!/bin/sh
echo "sudo $*" >> "$FAKE/sudo.calls"
if [ "$1" = -v ]; then
  if [ -f "$FAKE/sudo.refusal" ]; then cat "$FAKE/sudo.refusal" >&2; exit 1; fi
  exit 0
fi
exec "$@"
"""


class Checkout:
    """A folder with scripts/, a CMake project and a folder of fake programs that comes first in PATH."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="fovea scripts ")
        self.root = pathlib.Path(self.place.name)
        self.fake = self.root / "fake"
        self.system = self.root / "system"
        for folder in ("scripts", "bench"):
            shutil.copytree(
                SOURCE / folder, self.root / folder, ignore=shutil.ignore_patterns("__pycache__", "peers", "*.cpp")
            )
        for folder in ("fake", "crypto", "tests/unit/crypto", "tests/unit/round", "system/var/lib/dpkg", "system/etc"):
            (self.root / folder).mkdir(parents=True)
        self.write("CMakeLists.txt", PROJECT)
        self.write("CMakePresets.json", PRESETS)
        self.write("crypto/shamir.cpp", "int shamir();\n")
        self.write("tests/unit/crypto/CMakeLists.txt", "")
        self.write("tests/unit/round/CMakeLists.txt", "")
        self.write(
            "tests/unit/crypto/shamir_test.cpp", "TEST(Shamir, SharesJoin) {}\nTEST_P(Field,\n       Inverts) {}\n"
        )
        self.write("tests/unit/round/sum_test.cpp", "TEST_F(SumTest, AddsUp) {}\n")
        self.write("system/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
        self.write("system/var/lib/dpkg/lock-frontend", "")
        self.program("dpkg-query", "#!/bin/sh\nexit 1\n")
        self.program("apt-get", FAKE_APT)
        self.write("tests/test_program", TEST_PROGRAM).chmod(0o755)
        self.program("sudo", FAKE_SUDO)
        self.program("df", FAKE_DF)

    def close(self):
        self.place.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def program(self, name, text):
        (self.fake / name).write_text(text, encoding="utf-8")
        (self.fake / name).chmod(0o755)

    def packages_are_there(self):
        self.program("dpkg-query", '#!/bin/sh\nfor name in "$@"; do echo "installed $name"; done\n')

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FOVEA_")}
        fixed = {
            "PATH": f"{self.fake}:{os.environ['PATH']}",
            "FAKE": str(self.fake),
            "FOVEA_SYSTEM_ROOT": str(self.system),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        return {**kept, **fixed, **more}

    def start(self, *command, **more):
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=self.root,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command, **more):
        """(exit code, everything that was printed)."""
        process = self.start(*command, **more)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output


class Terminal:
    """A program that runs on a terminal of its own."""

    def __init__(self, checkout, *command):
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.chdir(checkout.root)
            os.execvpe(str(command[0]), [str(word) for word in command], checkout.environment())
        self.text = ""

    def read_until(self, wanted, seconds=20):
        """Reads until `wanted` appears, or to the end if it is None."""
        end = time.monotonic() + seconds
        while wanted is None or wanted not in self.text:
            if not select.select([self.descriptor], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"no {wanted!r} within {seconds} s in {self.text!r}")
            try:
                part = os.read(self.descriptor, 4096)
            except OSError:  # the other side was closed
                part = b""
            if not part:
                break
            self.text += part.decode(errors="replace")
        return self.text

    def press(self, keys):
        os.write(self.descriptor, keys)

    def exit_code(self):
        self.read_until(None)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
