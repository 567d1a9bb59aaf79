"""The build, measured in a fresh clone of the last commit without a compiler cache.

demo_build_s        configuring and compiling what the demonstration needs, preset release
full_build_s        the same and then everything else: tests and benchmarks
one_file_to_test_s  one changed source file of crypto/ to the result of `scripts/test --room crypto`, preset dev
objects_demo        compiler runs that the demonstration needs
files_in_largest_folder, lines_over_120, duplicate_runs_10   counts in the tracked files

With --quick the two builds are left out and null. Packages must be installed (scripts/setup build demo test lint).
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PRODUCT = ("common", "crypto", "federation", "node", "coordinator", "audit")
CHANGED = "crypto/shamir.cpp"


def run(*command, where, quiet=True, check=True, **environment):
    """Runs a command to its end; what it printed is shown when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=where,
        env={**os.environ, "CCACHE_DISABLE": "1", **environment},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        sys.exit(
            f"{' '.join(str(word) for word in command)} ended with exit code {done.returncode}\n"
            f"{(done.stdout or '')[-4000:]}"
        )
    return done


def timed(*command, where, **environment):
    start = time.monotonic()
    run(*command, where=where, **environment)
    return round(time.monotonic() - start, 1)


def setup(clone, preset, *words):
    return timed("scripts/setup", "--build-only", *words, where=clone, FOVEA_PRESET=preset)


def objects_of(clone, target):
    """Compiler runs among the commands that ninja has for a target."""
    commands = run("ninja", "-C", clone / "build" / "release", "-t", "commands", target, where=clone).stdout
    return sum(" -c " in line and " -o " in line for line in commands.splitlines())


def one_file_to_test(clone):
    """A comment at the end of the file: new text, so that no cache can know it."""
    setup(clone, "dev", "--target", "tests_crypto")
    with open(clone / CHANGED, "a", encoding="utf-8") as source:
        source.write(f"// changed at {time.time_ns()}\n")
    return timed("scripts/test", "--room", "crypto", where=clone, FOVEA_PRESET="dev")


def largest_folder(root):
    names = run("git", "ls-files", "-z", "--", *PRODUCT, where=root).stdout.split("\0")
    counts = collections.Counter(str(pathlib.PurePath(name).parent) for name in names if name)
    return max(counts.items(), key=lambda item: (item[1], item[0]))


def long_lines(root):
    done = run("python3", "scripts/lint-tools/lines.py", root, where=root, check=False)
    return int(done.stdout.strip().splitlines()[-1].split()[0])


def duplicate_runs(root, work):
    report = work / "duplicates.json"
    done = run("scripts/lint", "--strict", "duplicates", "--json", report, where=root, check=False)
    if not report.exists():
        sys.exit(f"scripts/lint duplicates did not count\n{done.stdout}")
    return json.loads(report.read_text(encoding="utf-8"))


def megabytes(folder):
    return int(run("du", "-sm", folder, where="/").stdout.split()[0])


def measure(root, work, quick):
    clone = work / "clone"
    run("git", "clone", "--quiet", "--no-hardlinks", root, clone, where=work)
    # The clone's checks use the duplicate finder that is installed here, if it is.
    (root / "build" / "lint").mkdir(parents=True, exist_ok=True)
    (clone / "build").mkdir()
    (clone / "build" / "lint").symlink_to(root / "build" / "lint")
    folder, files = largest_folder(clone)
    duplicates = duplicate_runs(clone, work)
    facts = {
        "demo_build_s": None,
        "full_build_s": None,
        "files_in_largest_folder": files,
        "lines_over_120": long_lines(clone),
        "duplicate_runs_10": duplicates["duplicate_runs_10"],
    }
    print(f"{files} files in the largest folder of product code, {folder}")
    print(f"{facts['lines_over_120']} lines of code over 120 columns")
    print(
        f"{facts['duplicate_runs_10']} runs of 10 or more lines twice in product code and not listed; "
        f"{duplicates['listed']} listed with a reason",
        flush=True,
    )

    configure_s = setup(clone, "release", "--configure")
    facts["objects_demo"] = objects_of(clone, "demo_programs")
    print(
        f"{facts['objects_demo']} objects for the demonstration, {objects_of(clone, 'all')} for everything", flush=True
    )
    if not quick:
        facts["demo_build_s"] = round(configure_s + setup(clone, "release", "--target", "demo_programs"), 1)
        print(f"demonstration: {facts['demo_build_s']:.0f} s, {megabytes(clone / 'build' / 'release')} MB", flush=True)
        facts["full_build_s"] = round(facts["demo_build_s"] + setup(clone, "release"), 1)
        print(f"everything: {facts['full_build_s']:.0f} s, {megabytes(clone / 'build' / 'release')} MB", flush=True)
    facts["one_file_to_test_s"] = one_file_to_test(clone)
    print(f"{CHANGED} changed to its room's tests run: {facts['one_file_to_test_s']:.1f} s")
    return facts


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", type=pathlib.Path)
    chosen = options.parse_args()
    root = pathlib.Path(os.environ["FOVEA_ROOT"])
    (root / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-build-", dir=root / "build") as work:
        facts = measure(root, pathlib.Path(work), chosen.quick)
    facts |= {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    if chosen.json:
        try:
            chosen.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            sys.exit(f"{chosen.json}: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
