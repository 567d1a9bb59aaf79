"""Counts the attacks in GoogleTest's reports: a case that failed is an attack that succeeded.

usage: adversary.py FOLDER [JSON]
"""

import json
import pathlib
import sys


def main() -> int:
    attacks, succeeded = 0, []
    for report in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        for suite in json.loads(report.read_text())["testsuites"]:
            if suite["name"] == "AttackTable":
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
    # Mutants, programs with one rule taken out, are made by scripts/mutants where there is such a script.
    result = {"attacks": attacks, "attacks_succeeded": len(succeeded), "mutants": None, "mutants_survived": None}
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(result, indent=1) + "\n")
    return 1 if succeeded or attacks == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
