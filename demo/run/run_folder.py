"""The folder that a demonstration writes to: its own while it runs, even when several copies run at once."""

import fcntl
import itertools
import os
import shutil

from show import say

NEW_EACH_TIME = ("administrators", "coordinator", "logs", "results", "compare", "tampered")


def hold(folder):
    """Makes the folder and locks it. Returns the lock, which ends with this process; None if another copy has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def choose(wanted, default):
    """(folder, lock). A copy that runs beside another one gets demo-run-2 and so on, unless the user chose a folder."""
    if wanted is not None:
        lock = hold(wanted)
        if lock is None:
            raise SystemExit(
                f"{wanted} is in use by another demonstration; choose another --out, or wait until it has ended"
            )
        return wanted, lock
    for number in itertools.count(1):
        folder = default if number == 1 else default.with_name(f"{default.name}-{number}")
        lock = hold(folder)
        if lock is not None:
            if number > 1:
                say(f"another demonstration is running in {default}; this one writes to {folder}")
            return folder, lock


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def prepare(folder, fresh):
    """A new federation each time; scans are kept, and so is each hospital's intake while its scans are the same."""
    if fresh:  # the folder itself stays: it carries the lock
        for entry in folder.iterdir():
            remove(entry)
    for name in NEW_EACH_TIME:
        remove(folder / name)
    for hospital in (folder / "hospitals").glob("*"):
        for entry in hospital.iterdir():
            if entry.name != "data":
                remove(entry)
    (folder / "logs").mkdir()
    (folder / "results").mkdir()
