"""What the demonstration prints: steps with their time, tables, and nothing that hides a failure."""

import os
import subprocess
import sys
import time

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
_step_number = 0


class StepFailed(Exception):
    """A step of the demonstration failed; the text says which command and what it printed."""


class step:
    """`with step("Title"):` prints the title, then how long it took; a failure names the step."""

    def __init__(self, title):
        self.title = title

    def __enter__(self):
        global _step_number
        _step_number += 1
        print(f"\n{BOLD}{_step_number}. {self.title}{PLAIN}", flush=True)
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, error, trace):
        seconds = time.monotonic() - self.start
        if kind is None:
            print(f"   ({seconds:.1f} s)", flush=True)
        elif kind is StepFailed:
            print(f'\nfailed in step {_step_number}, "{self.title}", after {seconds:.1f} s:\n{error}', file=sys.stderr)
            sys.exit(1)
        return False


def say(text=""):
    for line in str(text).splitlines() or [""]:
        print(f"   {line}", flush=True)


SOME_REFUSED = 8  # of `fovea-node data ingest`: the others were taken, and the caller lists what was not


def run(command, log=None, check=True, **options):
    """Runs a command to its end and returns it with its output; StepFailed shows what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if log:
        with open(log, "a", encoding="utf-8") as out:
            out.write(f"$ {' '.join(str(part) for part in command)}\n{done.stderr}{done.stdout}")
    if check and done.returncode not in (0, SOME_REFUSED):
        raise StepFailed(
            f"{' '.join(str(part) for part in command)}\nended with exit code {done.returncode}\n"
            f"{done.stderr.strip()[-2000:]}"
        )
    return done


def table(header, rows):
    cells = [header] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for number, row in enumerate(cells):
        say(
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            )
        )
        if number == 0:
            say("  ".join("-" * width for width in widths))
