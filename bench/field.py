"""The field: every case of tests/field, and its scenarios with real processes.

Every key is always there; what was not measured is null. --quick: a third of the cases of each group and the short
form of some scenarios.
"""

import argparse
import json
import os
import pathlib
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "field"), str(ROOT / "tests" / "field" / "scenarios")]
import run_cases  # noqa: E402
import run_scenarios  # noqa: E402

BARS = {
    "wrong": 0,
    "misleading": 0,
    "crashes": 0,
    "safe_refusals": 8,
    "scenarios_failed": 0,
    "lost_runs": 0,
    "flood_aborts": 0,
    "final_model_missing": 0,
    "recovery_p99_s": 5,
    "bytes_over_ideal_1mbit": 1.2,
}


def say(text):
    print(text[:600], file=sys.stderr, flush=True)


def tell_case(verdict):
    if verdict.verdict != "right":
        say(f"{verdict.verdict}: {verdict.id} (item {verdict.item}): {verdict.why}")


def tell_scenario(result):
    word = "failed" if result["failed"] else "not measured" if result["not_measured"] else "good"
    reason = result["failed"] or result["not_measured"] or ""
    say(f"{word}: {result['name']} ({result['seconds']:.0f} s) {reason}")


def line_of(key, value):
    if value is None:
        return f"{key:24} not measured"
    met = f"   bar <= {BARS[key]}   {'met' if value <= BARS[key] else 'MISSED'}" if key in BARS else ""
    return f"{key:24} {value:8}{met}"


def main():
    options = argparse.ArgumentParser(
        prog="scripts/bench field", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", type=pathlib.Path)
    chosen = options.parse_args()
    programs = pathlib.Path(os.environ["FOVEA_BIN"])
    rules = run_cases.rules_of(run_cases.GROUPS, chosen.quick)
    verdicts = run_cases.run_cases(programs / "fovea-node", rules, tell=tell_case)
    results = run_scenarios.run_all(programs, chosen.quick, tell_scenario)
    figures = {**run_cases.figures(verdicts), **run_scenarios.summed(results)}
    for key, value in figures.items():
        print(line_of(key, value))
    if chosen.json:
        details = {
            "not_right": {verdict.id: verdict.verdict for verdict in verdicts if verdict.verdict != "right"},
            "scenario_results": results,
            "load_average": round(os.getloadavg()[0], 1),
        }
        chosen.json.write_text(json.dumps({**figures, **details}, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
