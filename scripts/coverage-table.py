"""Prints the coverage of each room from gcovr's summary; --json FILE writes it as percentages by room."""

import argparse
import json
import pathlib
import sys


def percent(covered, total):
    return round(100.0 * covered / total, 1) if total else None


def room_coverage(files, room):
    chosen = [file for file in files if file["filename"].startswith(room + "/")]
    totals = {
        key: sum(file[key] for file in chosen)
        for key in ("line_covered", "line_total", "branch_covered", "branch_total")
    }
    return {
        "lines_percent": percent(totals["line_covered"], totals["line_total"]),
        "branches_percent": percent(totals["branch_covered"], totals["branch_total"]),
        **totals,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("summary", type=pathlib.Path)
    parser.add_argument("rooms", nargs="+")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    files = json.loads(options.summary.read_text(encoding="utf-8"))["files"]
    rooms = {room: room_coverage(files, room) for room in options.rooms}
    print(f"{'room':24} {'lines':>14} {'%':>6} {'branches':>14} {'%':>6}")
    for room, facts in rooms.items():
        lines = f"{facts['line_covered']}/{facts['line_total']}"
        branches = f"{facts['branch_covered']}/{facts['branch_total']}"
        print(
            f"{room:24} {lines:>14} {facts['lines_percent'] or 0:6.1f} "
            f"{branches:>14} {facts['branches_percent'] or 0:6.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rooms, indent=1) + "\n", encoding="utf-8")
    empty = [room for room, facts in rooms.items() if not facts["line_total"]]
    if empty:
        print(f"no lines counted in {', '.join(empty)}: was it moved or renamed?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
