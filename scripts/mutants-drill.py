"""The mutation drill: one bug is planted at a time, and the test that is named for it must fail.

usage: mutants-drill.py check ROOT                  every text is there once, and every test
       mutants-drill.py programs ROOT [--quick] [NAME…]   the test programs that the drill needs
       mutants-drill.py run ROOT BUILD [--quick] [--jobs N] [--timeout S] [--json FILE] [NAME…]

ROOT/tests/mutants/*.txt list the bugs; CONTRIBUTING.md says how. No source file is touched, nor anything
in the build folder: a mutant is compiled from a copy of its one file, and its object is linked into a copy of the test
program before the library that has the sound one, whose object is then left out."""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

KEYS = ("attack", "file", "test")
TIMEOUT_MIN_S = 60
TIMEOUT_FACTOR = 20  # of what the sound program took
ENDING = threading.Event()  # nobody wants the verdicts any more: programs that run are stopped


class DrillError(Exception):
    """What shows that the drill itself is wrong; never a verdict about a test."""


@dataclasses.dataclass
class Mutant:
    name: str
    listed_in: str
    quick: bool = False
    attack: str = ""
    file: str = ""
    test: str = ""
    find: str = ""
    replace: str = ""

    @property
    def program(self):
        return self.test.split()[0]

    @property
    def case(self):
        return self.test.split()[1]

    def planted_in(self, text):
        """The text with the bug in it."""
        times = text.count(self.find)
        if times != 1:
            raise DrillError(f"{self.name}: its text is {times} times in {self.file}, expected once")
        return text.replace(self.find, self.replace)


def parse_block(block, listed_in):
    lines = block.split("\n")
    head = re.fullmatch(r"\[([a-z0-9-]+)\]( quick)?", lines[0])
    if not head:
        raise DrillError(f"{listed_in}: expected [name] or [name] quick, found {lines[0]!r}")
    out = Mutant(head.group(1), listed_in, bool(head.group(2)))
    fields, hunk = {}, {"-": [], "+": []}
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if line[:1] in hunk:
            hunk[line[0]].append(line[1:])
        elif key in KEYS and key not in fields and not hunk["-"]:
            fields[key] = " ".join(value.split())
        else:
            raise DrillError(f"{listed_in}: {out.name}: cannot read {line!r}")
    out.find, out.replace = "\n".join(hunk["-"]), "\n".join(hunk["+"])
    for key in KEYS:
        setattr(out, key, fields.get(key, ""))
    if not all(fields.get(key) for key in KEYS) or not out.find or len(out.test.split()) != 2:
        raise DrillError(f"{listed_in}: {out.name}: needs attack, file, test (PROGRAM SUITE.CASE) and lines with -")
    if out.find == out.replace:
        raise DrillError(f"{listed_in}: {out.name}: changes nothing")
    if not out.file.endswith(".cpp"):
        raise DrillError(f"{listed_in}: {out.name}: only .cpp files can be planted, not {out.file}")
    return out


def read_mutants(root):
    mutants = []
    for path in sorted((root / "tests" / "mutants").glob("*.txt")):
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("#")]
        for block in re.split(r"\n\n+", "\n".join(lines).strip("\n")):
            mutants.append(parse_block(block, path.name))
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            raise DrillError(f"two mutants are called {name}")
    return mutants


def chosen(root, options):
    mutants = read_mutants(root)
    unknown = set(options.names) - {mutant.name for mutant in mutants}
    if unknown:
        raise DrillError(f"no mutant is called {', '.join(sorted(unknown))}")
    if options.names:
        mutants = [mutant for mutant in mutants if mutant.name in options.names]
    elif options.quick:
        mutants = [mutant for mutant in mutants if mutant.quick]
    if not mutants:
        raise DrillError("there are no mutants")
    return mutants


def sources_of_programs(root):
    """Program: the texts of its sources, from every fovea_test(…) below tests/."""
    programs = {}
    for path in (root / "tests").rglob("CMakeLists.txt"):
        for name, rest in re.findall(r"fovea_test\(\s*(\S+)([^)]*)\)", path.read_text(encoding="utf-8")):
            files = [path.parent / word for word in rest.split() if word.endswith(".cpp")]
            programs[name] = [file.read_text(encoding="utf-8") for file in files if file.exists()]
    return programs


def problems(root):
    """What would keep the drill from saying anything about a mutant."""
    programs = sources_of_programs(root)
    for mutant in read_mutants(root):
        path = root / mutant.file
        if not path.is_file():
            yield f"{mutant.name}: there is no {mutant.file}"
            continue
        try:
            mutant.planted_in(path.read_text(encoding="utf-8"))
        except DrillError as error:
            yield str(error)
        suite, _, case = mutant.case.partition(".")
        pattern = re.compile(rf"^TEST(_F|_P)?\(\s*{re.escape(suite)},\s*{re.escape(case)}\s*\)", re.MULTILINE)
        if mutant.program not in programs:
            yield f"{mutant.name}: no fovea_test is called {mutant.program}"
        elif not any(pattern.search(text) for text in programs[mutant.program]):
            yield f"{mutant.name}: {mutant.program} has no test {mutant.case}"


def filter_of(cases):
    """A GoogleTest filter for these cases, which may be parameterised: Prefix/Suite.Case/parameter."""
    return ":".join(f"{form}" for case in sorted(cases) for form in (case, f"*/{case}", f"{case}/*", f"*/{case}/*"))


def exit_status(process, timeout_s):
    """None when its time is up."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not ENDING.is_set():
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    return None


def run_program(program, cases, folder, timeout_s):
    """(exit status or None for a time-out, {case: it failed}); cases that were skipped or filtered out are left out."""
    report = folder / "report.json"
    command = [str(program), f"--gtest_filter={filter_of(cases)}", f"--gtest_output=json:{report}"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            status = exit_status(process, timeout_s)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its children too
                process.wait()
    found = {}
    if report.exists():
        for suite in json.loads(report.read_text(encoding="utf-8"))["testsuites"]:
            for case in suite["testsuite"]:
                if case["status"] != "RUN" or case["result"] == "SKIPPED":
                    continue
                parts = suite["name"].split("/")
                suite_name = next((part for part in parts if f"{part}.{case['name'].split('/')[0]}" in cases), parts[0])
                name = f"{suite_name}.{case['name'].split('/')[0]}"
                found[name] = found.get(name, False) or bool(case.get("failures"))
    return status, found


class Drill:
    def __init__(self, root, build, mutants, work, timeout_min_s):
        self.root, self.build, self.mutants, self.work = root, build, mutants, work
        self.timeout_min_s = timeout_min_s
        self.compile_commands = {
            str(pathlib.Path(entry["file"]).resolve()): entry
            for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        }
        self.timeouts_s = {}

    def check_sound(self, program):
        """The tests must pass before anything is planted, or their failing afterwards would show nothing."""
        cases = {mutant.case for mutant in self.mutants if mutant.program == program}
        folder = self.work / f"sound-{program}"
        folder.mkdir()
        start = time.monotonic()
        status, found = run_program(self.build / "tests" / program, cases, folder, 900)
        self.timeouts_s[program] = max(self.timeout_min_s, TIMEOUT_FACTOR * (time.monotonic() - start))
        missing = sorted(cases - set(found))
        if status == 0 and not missing:
            return
        failed = ", ".join(sorted(name for name, bad in found.items() if bad))
        if failed or status != 0:
            raise DrillError(f"{program}: fails with nothing planted (status {status}): {failed or 'without a report'}")
        raise DrillError(f"{program}: no test is run that is called {', '.join(missing)}")

    def compile_mutant(self, mutant, folder):
        source = (self.root / mutant.file).resolve()
        entry = self.compile_commands.get(str(source))
        if entry is None:
            raise DrillError(f"{mutant.name}: {mutant.file} is not compiled in {self.build}")
        planted = folder / source.name
        planted.write_text(mutant.planted_in(source.read_text(encoding="utf-8")), encoding="utf-8")
        words = shlex.split(entry["command"])
        words[words.index("-o") + 1] = str(folder / "mutant.o")
        words[words.index("-c") + 1] = str(planted)
        done = subprocess.run(
            [*words, "-w"], cwd=entry["directory"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            first = next((line for line in done.stdout.split("\n") if "error" in line), done.stdout[:200])
            raise DrillError(f"{mutant.name}: does not compile: {first}")
        return folder / "mutant.o"

    def link_mutant(self, mutant, planted, folder):
        target = f"tests/{mutant.program}"
        listed = subprocess.run(
            ["ninja", "-C", str(self.build), "-t", "commands", "-s", target],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        command = next((line for line in listed.stdout.split("\n") if f" -o {target} " in line), None)
        if command is None:
            raise DrillError(f"{mutant.name}: how {target} is linked is not known: {listed.stdout[:200]}")
        program = folder / mutant.program
        command = command.replace(f" -o {target} ", f" {shlex.quote(str(planted))} -o {shlex.quote(str(program))} ", 1)
        done = subprocess.run(
            command, shell=True, cwd=self.build, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise DrillError(f"{mutant.name}: cannot be linked: {done.stdout[-300:]}")
        return program

    def judge(self, mutant):
        """(verdict, what caught it or why not, seconds)"""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mutant-", dir=self.work))
        start = time.monotonic()
        try:
            program = self.link_mutant(mutant, self.compile_mutant(mutant, folder), folder)
            status, found = run_program(program, {mutant.case}, folder, self.timeouts_s[mutant.program])
            seconds = time.monotonic() - start
            if status is None:
                return "timeout", f"{mutant.case} did not end", seconds
            if status < 0:
                return "killed", f"{mutant.case}, which ended by {signal.Signals(-status).name}", seconds
            if found.get(mutant.case):
                return "killed", mutant.case, seconds
            if status == 0 and mutant.case in found:
                return "survived", f"{mutant.case} passes", seconds
            return "error", f"exit status {status} without a failure of {mutant.case}", seconds
        except DrillError as error:
            return "error", str(error), time.monotonic() - start
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, jobs):
        for program in sorted({mutant.program for mutant in self.mutants}):
            self.check_sound(program)
        results = []
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            judged = {pool.submit(self.judge, mutant): mutant for mutant in self.mutants}
            try:
                for future in concurrent.futures.as_completed(judged):
                    mutant, (verdict, by, seconds) = judged[future], future.result()
                    print(f"{verdict:9} {mutant.name:44} {seconds:5.1f} s  {by}", flush=True)
                    if verdict == "survived":
                        print(f"          {mutant.attack}", flush=True)
                    results.append({"name": mutant.name, "verdict": verdict, "by": by, "seconds": round(seconds, 1)})
            except BaseException:
                ENDING.set()
                pool.shutdown(cancel_futures=True)
                raise
        return results


def run(options):
    root, build = options.root.resolve(), options.build.resolve()
    mutants = chosen(root, options)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fovea-mutants-") as work:
        results = Drill(root, build, mutants, pathlib.Path(work), options.timeout).run(options.jobs)
    survived = [result["name"] for result in results if result["verdict"] == "survived"]
    errors = [result["name"] for result in results if result["verdict"] == "error"]
    seconds = round(time.monotonic() - start)
    print(f"{len(results)} mutants, {len(survived)} survived, {len(errors)} errors of the drill, {seconds} s")
    if options.json:
        summary = {
            "mutants": len(results),
            "mutants_survived": len(survived),
            "errors": len(errors),
            "quick": options.quick,
            "seconds": seconds,
            "results": sorted(results, key=lambda result: result["name"]),
        }
        pathlib.Path(options.json).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return 1 if survived or errors else 0


def end_by_signal(number, _):
    """Ends through what stops the programs and removes the work folder. A second signal would cut that short."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("action", choices=("check", "programs", "run"))
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--timeout", type=float, default=TIMEOUT_MIN_S, help="seconds, at least, of one test")
    parser.add_argument("--json")
    options = parser.parse_intermixed_args()
    if options.action == "run":
        if not options.rest:
            parser.error("run needs the build folder")
        options.build = pathlib.Path(options.rest.pop(0))
    options.names = options.rest
    signal.signal(signal.SIGTERM, end_by_signal)
    try:
        if options.action == "check":
            found = list(problems(options.root))
            print("\n".join(found) if found else f"{len(read_mutants(options.root))} mutants, all in place")
            return 1 if found else 0
        if options.action == "programs":
            print("\n".join(sorted({mutant.program for mutant in chosen(options.root, options)})))
            return 0
        return run(options)
    except DrillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
