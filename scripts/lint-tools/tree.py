"""The files that the checks of scripts/lint read: tracked or new, not ignored, and there."""

import subprocess


def names(root, *patterns):
    """The names of the files under root that match git's patterns; None where there is no repository."""
    done = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        return None
    # A name that is not UTF-8 keeps its bytes.
    listed = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return sorted({name for name in listed if name and (root / name).is_file()})


def text_of(path):
    """The text with its line ends as they are; None if it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
