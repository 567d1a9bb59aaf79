"""The scenarios of the field: real programs on loopback, killed, flooded, stalled, slowed down.

usage: run_scenarios.py [--bin DIR] [--quick] [--json FILE] [NAME…]
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import attacks  # noqa: E402
import kills  # noqa: E402
import last_sum  # noqa: E402
import links  # noqa: E402
import returns  # noqa: E402
import sites  # noqa: E402
import stalls  # noqa: E402
from federation import Failed, Federation, Founding, NotMeasured  # noqa: E402

# (scenario, plan, whether --quick has it)
SCENARIOS = [
    (kills.coordinator_killed, "kills", True),
    (kills.nodes_killed, "kills", True),
    (attacks.junk_flood, "long", True),
    (attacks.idle_connections, "long", True),
    (last_sum.away_at_the_end, "short", True),
    (last_sum.cut_off_at_the_end, "short", False),
    (links.one_megabit, "link", True),
    (stalls.coordinator_stalled_as_a_site_leaves, "long", True),
    (stalls.federation_suspended, "long", False),
    (returns.half_open_restart, "long", True),
    (returns.copied_identity, "long", True),
    (returns.missed_rosters, "long", True),
    (returns.newcomer_in_a_run, "long", False),
    (returns.revoked_then_signed, "long", False),
    (returns.rejected_then_approved, "long", False),
    (returns.clock_behind, "long", False),
    (returns.clock_ahead, "long", False),
    (returns.black_hole, "long", False),
    (returns.stopped_node, "long", False),
    (sites.two_ingests_at_once, "short", True),
    (sites.archive_pauses_within_a_series, "short", True),
    (sites.archive_sends_labels_late, "short", False),
]
# Sums over the scenarios; null where none measured it.
COUNTS = ("coordinator_kills", "lost_runs", "flood_aborts", "final_model_missing")
FAST = {"progress_s": 5, "phase_s": 3}


def found(programs, root, names, quick):
    """A founding with the plans that these scenarios need."""
    parameters, rounds = (200_000, 2) if quick else (400_000, 3)
    plans = {
        "short": ("probe-1000", 4, FAST),
        "long": ("probe-1000", 1000, FAST),
        "kills": ("probe-1000", 60 if quick else 300, FAST),
        "link": (f"probe-{parameters}", rounds, None),
    }
    needed = {plan for scenario, plan, _ in SCENARIOS if name_of(scenario) in names}
    founding = Founding(programs, root, {name: plan for name, plan in plans.items() if name in needed})
    founding.rounds = {name: plan[1] for name, plan in plans.items()}
    founding.link_parameters = parameters
    return founding


def name_of(scenario):
    if scenario.__name__ != "scenario":
        return scenario.__name__
    return next(name for name, value in vars(returns).items() if value is scenario)


def run_scenario(founding, work, scenario, plan, quick):
    """What was measured, and why it failed: null if it did not, and why it was not measured."""
    figures, began = {"recoveries": []}, time.monotonic()
    result = {"name": name_of(scenario), "failed": None, "not_measured": None, "figures": figures}
    try:
        with Federation(founding, work / result["name"], plan) as federation:
            scenario(federation, figures, quick)
    except NotMeasured as reason:
        result["not_measured"] = str(reason)
    except Failed as reason:
        result["failed"] = str(reason)
    except Exception as fault:  # the other scenarios are run all the same
        result["failed"] = f"{type(fault).__name__}: {fault}"
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def p99(numbers):
    ordered = sorted(numbers)
    return round(ordered[math.ceil(0.99 * len(ordered)) - 1], 2) if ordered else None


def summed(results):
    measured = [result for result in results if not result["not_measured"]]
    figures = {"scenarios": len(measured), "scenarios_failed": sum(bool(result["failed"]) for result in measured)}
    for key in COUNTS:
        values = [result["figures"][key] for result in measured if key in result["figures"]]
        figures[key] = sum(values) if values else None
    figures["recovery_p99_s"] = p99([seconds for result in measured for seconds in result["figures"]["recoveries"]])
    ratios = [result["figures"].get("bytes_over_ideal_1mbit") for result in measured]
    figures["bytes_over_ideal_1mbit"] = next((ratio for ratio in ratios if ratio is not None), None)
    return figures


def run_all(programs, quick, tell, names=None):
    chosen = [row for row in SCENARIOS if (name_of(row[0]) in names if names else row[2] or not quick)]
    with tempfile.TemporaryDirectory(prefix="fovea-field-") as folder:
        work = pathlib.Path(folder)
        (work / "founding").mkdir()
        founding = found(programs, work / "founding", {name_of(row[0]) for row in chosen}, quick)

        def one(row):
            result = run_scenario(founding, work, row[0], row[1], quick)
            tell(result)
            return result

        # Two at a time: most of a scenario is waiting.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, chosen))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*")
    options.add_argument("--bin", type=pathlib.Path, default=os.environ.get("FOVEA_BIN"))
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", type=pathlib.Path)
    chosen = options.parse_args()
    known = [name_of(scenario) for scenario, _, _ in SCENARIOS]
    if not chosen.bin or set(chosen.names) - set(known):
        options.error(f"--bin says where the programs are; the scenarios are {', '.join(known)}")
    results = run_all(chosen.bin, chosen.quick, lambda result: print(json.dumps(result), flush=True), chosen.names)
    print(json.dumps(summed(results)))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
