"""Prints which of these sources clang-tidy can check. usage: tidy_sources.py COMPILE_COMMANDS ROOT SOURCE…

It needs a command, and headers that clang 14 compiles: those of ITK and libtorch it does not. What is left out is said
on standard error."""

import json
import pathlib
import re
import sys

UNREADABLE = re.compile(r"-isystem \S*/(ITK-|torch\b)")


def main():
    commands, root, sources = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    known = {entry["file"]: entry["command"] for entry in json.loads(pathlib.Path(commands).read_text("utf-8"))}
    for source in sources:
        command = known.get(str(root / source))
        if command is None:
            print(f"    left out: {source} is not compiled by the preset tidy", file=sys.stderr)
        elif UNREADABLE.search(command):
            print(f"    left out: {source} includes headers of ITK or libtorch", file=sys.stderr)
        else:
            print(source)


if __name__ == "__main__":
    main()
