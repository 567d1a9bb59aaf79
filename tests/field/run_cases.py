"""The cases of the field: files as hospitals export them, taken in by fovea-node and compared with what is right.

Without names: every case. --hold: fails unless each case is right or, if not_yet.json has it, still is not. --quick:
a third of the cases of each group, always the same; also where FOVEA_FIELD is "quick".
"""

import argparse
import collections
import concurrent.futures
import importlib
import json
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import judge  # noqa: E402

GROUPS = ("numbers", "suv_units", "suv_times", "hounsfield", "stacks", "identity", "cut_off", "exports", "nifti")
GROUPS += ("nrrd", "masks", "contours", "tables", "reruns")


def rules_of(groups, quick=False):
    out = []
    for name in groups:
        group = importlib.import_module(f"cases.{name}").case
        names = [rule.id for rule in group.rules]
        if group.name != name or len(set(names)) != len(names):
            raise ValueError(f"cases/{name}.py: another name, or two cases of one name")
        out += group.rules[:: 3 if quick else 1]
    return out


def run_cases(program, rules, jobs=2, tell=None):
    """The verdict of each case, in order; jobs of them at a time."""
    with tempfile.TemporaryDirectory(prefix="fovea-field-") as work:
        blank = pathlib.Path(work) / "blank"
        judge.Node(program, blank).init()

        def one(numbered):
            number, rule = numbered
            began = time.monotonic()
            verdict = judge.judge(rule, program, blank, pathlib.Path(work) / str(number))
            verdict.seconds = round(time.monotonic() - began, 2)
            if tell:
                tell(verdict)
            return verdict

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, enumerate(rules)))


def figures(verdicts):
    """The keys that scripts/bench field prints."""
    counts = collections.Counter(verdict.verdict for verdict in verdicts)
    return {
        "cases": len(verdicts),
        "right": counts[judge.RIGHT],
        "wrong": counts[judge.WRONG],
        "misleading": counts[judge.MISLEADING],
        "safe_refusals": counts[judge.SAFE_REFUSAL],
        "crashes": counts[judge.CRASH],
    }


def not_yet():
    return json.loads((HERE / "not_yet.json").read_text(encoding="utf-8"))


def complaints(verdicts, listed):
    """What a test fails for. A case that became right leaves the list: it can only become shorter."""
    for verdict in verdicts:
        if verdict.verdict == judge.RIGHT and verdict.id in listed:
            yield f"{verdict.id} is right now: take it off tests/field/not_yet.json"
        if verdict.verdict != judge.RIGHT and verdict.id not in listed:
            yield f"{verdict.id} (item {verdict.item}): {verdict.verdict}: {verdict.why}"


def unknown_of(listed, groups):
    """Names of the list that no case has; only of these groups."""
    known = {rule.id for rule in rules_of(groups)}
    return [f"not_yet.json: no case {name}" for name in listed if name.split("/")[0] in groups and name not in known]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", help="groups, or cases as group/case")
    options.add_argument("--bin", type=pathlib.Path, default=os.environ.get("FOVEA_BIN"))
    options.add_argument("--quick", action="store_true", default=os.environ.get("FOVEA_FIELD") == "quick")
    options.add_argument("--hold", action="store_true")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--json", type=pathlib.Path, help="writes the verdict of each case")
    chosen = options.parse_args()
    if not chosen.bin:
        options.error("--bin: where are the programs?")
    groups = [name for name in GROUPS if not chosen.names or any(word.split("/")[0] == name for word in chosen.names)]
    rules = [
        rule
        for rule in rules_of(groups, chosen.quick)
        if not chosen.names or rule.id in chosen.names or rule.group in chosen.names
    ]
    if not rules:
        options.error(f"no such case; the groups are {', '.join(GROUPS)}")

    def tell(verdict):
        print(f"{verdict.verdict:12} {verdict.id}: {verdict.why}"[:400], flush=True)

    verdicts = run_cases(chosen.bin / "fovea-node", rules, chosen.jobs, tell)
    print(json.dumps(figures(verdicts)))
    if chosen.json:
        chosen.json.write_text(json.dumps([vars(verdict) for verdict in verdicts], indent=1, ensure_ascii=False))
    if not chosen.hold:
        return 0
    listed = not_yet()
    faults = [*complaints(verdicts, listed), *unknown_of(listed, groups)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
