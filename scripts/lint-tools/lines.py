"""Finds lines over 120 columns in the tracked code: C++, Python, CMake and scripts. Prints FILE:LINE: LENGTH."""

import pathlib
import subprocess
import sys

COLUMNS_MAX = 120
ENDINGS = (".cpp", ".h", ".in", ".py", ".sh", ".cmake")


def is_code(name):
    path = pathlib.PurePath(name)
    in_scripts = path.parts[0] in ("scripts", ".ci") and path.suffix == ""
    return path.suffix in ENDINGS or path.name in ("CMakeLists.txt", "CMakePresets.json") or in_scripts


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    names = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout
    found = 0
    for name in filter(is_code, filter(None, names.split("\0"))):
        if not (root / name).is_file():
            continue
        for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), start=1):
            if len(line) > COLUMNS_MAX:
                print(f"{name}:{number}: {len(line)} columns")
                found += 1
    print(f"{found} lines of code over {COLUMNS_MAX} columns")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
