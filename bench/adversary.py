"""Counts the attacks in GoogleTest's reports, where a case that failed is an attack that succeeded, and the planted
bugs in the report of scripts/mutants.

usage: adversary.py FOLDER [JSON]
"""

import json
import pathlib
import sys


def main() -> int:
    attacks, succeeded = 0, []
    for report in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        for suite in json.loads(report.read_text())["testsuites"]:
            if suite["name"] in {"AttackTable", "StagedTest"}:  # not attacks
                continue
            for case in suite["testsuite"]:
                if case["status"] != "RUN":
                    continue
                attacks += 1
                if case.get("failures"):
                    succeeded.append(f'{suite["name"]}.{case["name"]}')
    for name in succeeded:
        print(f"succeeded: {name}")
    print(f"{attacks} attacks, {len(succeeded)} succeeded")
    drill = json.loads((pathlib.Path(sys.argv[1]) / "mutants").read_text())
    for mutant in drill["results"]:
        if mutant["verdict"] in ("survived", "error"):
            print(f'{mutant["verdict"]}: {mutant["name"]}: {mutant["by"]}')
    which = "the quick ones of tests/mutants" if drill["quick"] else "all of tests/mutants"
    print(f'{drill["mutants"]} mutants ({which}), {drill["mutants_survived"]} survived')
    result = {
        "attacks": attacks,
        "attacks_succeeded": len(succeeded),
        "mutants": drill["mutants"],
        "mutants_survived": drill["mutants_survived"],
        "mutants_quick": drill["quick"],
    }
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(result, indent=1) + "\n")
    return 1 if succeeded or attacks == 0 or drill["mutants_survived"] or drill["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
