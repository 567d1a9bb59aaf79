"""Finds runs of 10 or more lines that product code holds twice, equal or alike in shape, with jscpd.

jscpd finds equal runs of tokens; alike in shape means equal but for names, strings and numbers, which it can ignore. It
is given copies of the sources without comments, includes, using lines and blank lines, so that only lines of code
count. A run that is alike in shape and mostly repeats one to three lines is a table (the cases of a switch, members,
enumerators) and not reported, only counted; --verbose prints such pairs. Equal runs are always reported.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

import tree

LINES_MIN = 10
# Ten lines of this code have about 110 tokens, ten short ones 50. jscpd names one partner for a run, and not the same
# one with every bound, so that the longest common run can be missed with one bound: what any of them finds counts.
TOKENS_MIN = (50, 70, 100)
TOKENS_MIN_EQUAL = (20, *TOKENS_MIN)  # ten equal lines count however short they are
ROOMS = ("common", "crypto", "federation", "node", "coordinator", "audit")
COMMENT_OR_TEXT = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | R"(?P<mark>[^(\s]{0,16})\(.*?\)(?P=mark)"
  | "(?:\\.|[^"\\\n])*"
  | '(?:\\.|[^'\\\n])+'
""",
    re.VERBOSE | re.DOTALL,
)
NOT_COUNTED = re.compile(r"#\s*(include|pragma|if|endif)\b|using\b|(inline )?namespace\b")


def without_comments(text):
    """The text without comments; line breaks stay where they are."""
    return COMMENT_OR_TEXT.sub(lambda m: " " + "\n" * m.group().count("\n") if m.group("comment") else m.group(), text)


def counted_lines(source):
    """The lines of a source that count, each with its number."""
    text = tree.text_of(source)
    if text is None:
        sys.exit(f"{source}: not UTF-8")
    lines = enumerate(without_comments(text).split("\n"), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip() and not NOT_COUNTED.match(line.strip())]


def write_copies(sources, folder, root):
    shutil.rmtree(folder, ignore_errors=True)
    copies = {}
    for source in sources:
        name = str(source.relative_to(root))
        copies[name] = counted_lines(source)
        # jscpd compares only files of one format with each other, so a header is given a source's ending.
        copy = folder / (name + ".cpp")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("\n".join(text for _, text in copies[name]) + "\n", encoding="utf-8")
    return copies


def detect(jscpd, folder, words):
    report = folder.parent / "report"
    shutil.rmtree(report, ignore_errors=True)
    command = [
        str(jscpd),
        str(folder),
        "--absolute",
        "--no-gitignore",
        "--min-lines",
        str(LINES_MIN - 1),
        "--max-lines",
        "1000000",
        "--max-size",
        "100mb",
        "--format",
        "cpp",
        "--reporters",
        "json",
        "--output",
        str(report),
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    file = report / "jscpd-report.json"
    if done.returncode != 0 or not file.exists():
        sys.exit(f"jscpd failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(file.read_text(encoding="utf-8"))["duplicates"]


def side(part, folder, copies):
    """(file, first line, last line, texts) of the whole lines of one side, in the original's line numbers."""
    name = str(pathlib.Path(part["name"]).resolve().relative_to(folder.resolve()))[: -len(".cpp")]
    start, end = part["startLoc"], part["endLoc"]
    lines = copies[name][start["line"] - 1 : end["line"]]
    if start["column"] > 1:
        lines = lines[1:]
    if lines and end["column"] < len(lines[-1][1]):
        lines = lines[:-1]
    return (name, lines[0][0], lines[-1][0], [text for _, text in lines]) if lines else (name, 0, 0, [])


def without_repeats(lines):
    """How many lines are left when each that looks like one of the three before it is taken away."""
    shapes = [re.sub(r'"[^"]*"|\w+', "x", line) for line in lines]
    return sum(shape not in shapes[max(0, index - 3) : index] for index, shape in enumerate(shapes))


def runs_in(jscpd, folder, copies, kind, words):
    """(runs, tables) of at least LINES_MIN lines."""
    found, tables = [], []
    for duplicate in detect(jscpd, folder, words):
        first, second = sorted(side(duplicate[key], folder, copies) for key in ("firstFile", "secondFile"))
        lines = min(len(first[3]), len(second[3]))
        overlap = first[0] == second[0] and first[2] >= second[1]
        if lines < LINES_MIN or overlap:
            continue
        is_table = kind != "equal" and 2 * without_repeats(first[3]) < lines
        (tables if is_table else found).append((first[:3], second[:3], lines, kind))
    return found, tables


def all_runs(jscpd, folder, copies):
    """(runs, tables), each once, without those that lie in a longer one."""
    equal, alike, tables = [], [], []
    for bound in TOKENS_MIN_EQUAL:
        equal += runs_in(jscpd, folder, copies, "equal", ["--min-tokens", str(bound)])[0]
    for bound in TOKENS_MIN:
        words = ["--min-tokens", str(bound), "--ignore-identifiers", "--ignore-literals"]
        found, hidden = runs_in(jscpd, folder, copies, "alike in shape", words)
        alike += found
        tables += hidden
    runs = outermost(equal + [run for run in alike if not any(covers(other, run) for other in equal)])
    return runs, outermost(run for run in tables if not any(covers(other, run) for other in runs))


def outermost(runs):
    runs = list(dict.fromkeys(runs))
    return [
        run
        for run in runs
        if not any(other is not run and covers(other, run) and not covers(run, other) for other in runs)
    ]


def shown(run):
    first, second, lines, kind = run
    return f"{first[0]}:{first[1]}-{first[2]} and {second[0]}:{second[1]}-{second[2]}: {lines} lines, {kind}"


def covers(outer, inner):
    return all(a[0] == b[0] and a[1] <= b[1] and b[2] <= a[2] for a, b in zip(outer[:2], inner[:2]))


def allowed_pairs(path):
    """The reasons of each pair, of lines "path_a ~ path_b  # reason": one line excuses one run."""
    pairs = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+) ~ (\S+)\s+# (\S.*)", line)
        if not match:
            sys.exit(f'{path}:{number}: expected "path_a ~ path_b  # reason"')
        pairs.setdefault(tuple(sorted(match.group(1, 2))), []).append(match.group(3))
    return pairs


def product_sources(root):
    listed = tree.names(root, *ROOMS)
    if listed:
        files = [root / name for name in listed]
    else:
        files = [file for room in ROOMS for file in (root / room).rglob("*")]
    return sorted(file for file in files if file.suffix in (".h", ".cpp") and file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--jscpd", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the copies")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true", help="print the tables too")
    options = parser.parse_args()
    root = options.root.resolve()
    sources = product_sources(root)
    folder = options.work / "copies"
    copies = write_copies(sources, folder, root)
    runs, tables = all_runs(options.jscpd, folder, copies)

    allowed = allowed_pairs(root / "scripts" / "duplicates-allowed.txt")
    unlisted = 0
    for run in sorted(runs):
        pair = tuple(sorted([run[0][0], run[1][0]]))
        reasons = allowed.get(pair, [])
        reason = reasons.pop() if reasons and run[3] != "equal" else None
        unlisted += reason is None
        print(shown(run) + (f" (listed: {reason})" if reason else ""))
    for run in sorted(tables) if options.verbose else []:
        print(f"{shown(run)} (a table, not counted as a run)")
    stale = sorted(pair for pair, reasons in allowed.items() if reasons)
    for first, second in stale:
        print(f"scripts/duplicates-allowed.txt lists {first} ~ {second} more often than they have runs alike in shape")
    print(
        f"{len(sources)} files of product code: {unlisted} runs of {LINES_MIN} or more lines not listed, "
        f"{len(runs) - unlisted} listed, {len(tables)} pairs of tables left out"
    )
    if options.json:
        facts = {"duplicate_runs_10": unlisted, "listed": len(runs) - unlisted}
        try:
            options.json.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        except OSError as error:
            sys.exit(f"{options.json}: {error.strerror}")
    return 1 if unlisted or stale else 0


if __name__ == "__main__":
    sys.exit(main())
