"""Checks Markdown, tracked or new: prose wrapped at 120 columns, links within the repository that lead somewhere, no
second rule of one id, and no rule without its reason in a page whose rules give theirs.

Tables and code blocks are as wide as they need to be, and the target of a link does not count."""

import pathlib
import re
import sys

import tree

COLUMNS_MAX = 120
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)")
RULE = re.compile(r"(?:[*-] )?\*\*([A-Z]+\d+(?:\.\d+)?)\*\*")


def prose_lines(text):
    """(number, line) of everything that is not in a code block."""
    fence = None
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and fence is None:
            fence = mark.group(1)
        elif mark and line.strip().startswith(fence):
            fence = None
        elif fence is None:
            yield number, line


def anchor_of(heading):
    """The anchor that the usual renderers make of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path):
    found = set()
    for _, line in prose_lines(path.read_text(encoding="utf-8", errors="replace")):
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            name, number = anchor_of(heading.group(1)), 0
            while (name if number == 0 else f"{name}-{number}") in found:
                number += 1
            found.add(name if number == 0 else f"{name}-{number}")
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
    return found


def broken(path, target):
    """Why a link leads nowhere; None if it is fine or leads out of the repository."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, anchor = target.partition("#")
    place = path.parent / name if name else path
    if not place.exists():
        return f"no such file: {target}"
    if anchor and place.suffix == ".md" and anchor not in anchors(place):
        return f"no such heading: {target}"
    return None


def faults(path):
    text = tree.text_of(path)
    if text is None:
        yield None, "not UTF-8"
        return
    for number, line in prose_lines(text):
        shown = LINK.sub("]()", line)
        if (
            len(shown) > COLUMNS_MAX
            and not line.lstrip().startswith("|")
            and " " in shown.strip()
            and not REFERENCE.match(line)
        ):
            yield number, f"prose of {len(shown)} columns"
        code_free = re.sub(r"`[^`]*`", "", line)
        for target in LINK.findall(code_free) + REFERENCE.findall(code_free):
            reason = broken(path, target)
            if reason:
                yield number, reason
    yield from repeated_rules(text)
    yield from rules_without_reason(text)


def repeated_rules(text):
    """A rule, as `* **D10** …`, has its id to itself."""
    first = {}
    for number, line in prose_lines(text):
        found = RULE.match(line)
        if found and first.setdefault(found.group(1), number) != number:
            yield number, f"rule {found.group(1)} stands in line {first[found.group(1)]} already"


def rules_without_reason(text):
    """In a page with a rule that gives its reason (`*Why:*`), every rule does; under a heading "Why …" it is one."""
    rules, heading, rule = [], "", None
    for number, line in prose_lines(text):
        found = re.match(r"\* \*\*([A-Z]+\d+(?:\.\d+)?)\*\*", line)
        if line.startswith("#"):
            heading, rule = line.lstrip("# "), None
        elif found:
            rule = [number, found.group(1), heading.startswith("Why")]
            rules.append(rule)
        elif line and not line.startswith(" "):
            rule = None
        if rule and "*Why" in line:
            rule[2] = True
    if any("*Why:*" in line for _, line in prose_lines(text)):
        yield from ((number, f"rule {name} gives no reason (*Why:*)") for number, name, given in rules if not given)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    names = tree.names(root, "*.md")
    if names is None:
        sys.exit(f"{root} is no git repository")
    found = 0
    for name in names:
        for number, fault in faults(root / name):
            print(f"{name}: {fault}" if number is None else f"{name}:{number}: {fault}")
            found += 1
    print(f"{found} faults in Markdown")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
