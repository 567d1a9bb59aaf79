"""Checks the lines of the code, tracked or new: C++, Python, CMake and scripts. Prints FILE:LINE: FAULT.

No line over 120 columns, no tab, no blank or carriage return at its end, a newline at the end of the file. The last
line that is printed counts the lines over 120 columns."""

import pathlib
import sys

import tree

COLUMNS_MAX = 120
ENDINGS = (".cpp", ".h", ".in", ".py", ".sh", ".cmake")


def is_code(name):
    path = pathlib.PurePath(name)
    in_scripts = path.parts[0] in ("scripts", ".ci") and path.suffix == ""
    return path.suffix in ENDINGS or path.name in ("CMakeLists.txt", "CMakePresets.json") or in_scripts


def faults(text):
    """(line, fault) of everything in a text but its long lines."""
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if line.endswith("\r"):
            yield number, "carriage return at the end"
        elif line != line.rstrip():
            yield number, "blank at the end"
        if "\t" in line:
            yield number, "tab"
    if lines[-1]:
        yield len(lines), "no newline at the end of the file"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    names = tree.names(root)
    if names is None:
        sys.exit(f"{root} is no git repository")
    long_lines = others = 0
    for name in filter(is_code, names):
        text = tree.text_of(root / name)
        if text is None:
            print(f"{name}: not UTF-8")
            others += 1
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            columns = len(line.rstrip("\r"))
            if columns > COLUMNS_MAX:
                print(f"{name}:{number}: {columns} columns")
                long_lines += 1
        for number, fault in faults(text):
            print(f"{name}:{number}: {fault}")
            others += 1
    if others:
        print(f"{others} other faults")
    print(f"{long_lines} lines of code over {COLUMNS_MAX} columns")
    return 1 if long_lines or others else 0


if __name__ == "__main__":
    sys.exit(main())
