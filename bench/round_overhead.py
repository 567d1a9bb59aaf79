"""Round overhead: one coordinator and N node processes run a plan "probe-P" on loopback.

The overhead of a round is the time between two published sums, less the longest "training" of a site in it
(a probe makes P numbers; nothing is learnt). It includes every durable write of the round.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile

PASSPHRASE = "only for a benchmark"
PASSPHRASE_OPTION = ("--passphrase-fd", 0)


def run(*arguments):
    words = [str(a) for a in arguments]
    return subprocess.run(words, check=True, capture_output=True, text=True, input=PASSPHRASE + "\n").stdout


def events(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_federation(programs, root, sites, parameters, rounds):
    coordinator = [programs / "fovea-coordinator", "--home", root / "coordinator"]
    key = root / "administrator.pem"
    run(*coordinator, *PASSPHRASE_OPTION, "init", "bench", "--port", free_port(), "--administrator-key-here", key)
    for site in sites:
        run(programs / "fovea-node", "--site", root / site, *PASSPHRASE_OPTION, "init", site)
        run(programs / "fovea-node", "--site", root / site, "join", root / "coordinator" / "invite.json")
    requests = [root / site / "join-request.json" for site in sites]
    run(*coordinator, *PASSPHRASE_OPTION, "sign", *requests, "--key", key)
    plan_file = root / "plan.json"
    run(*coordinator, "plan", "new", "--architecture", f"probe-{parameters}", "--output", plan_file)
    plan = json.loads(plan_file.read_text())
    plan["stages"][0]["rounds"] = rounds
    plan_file.write_text(json.dumps(plan, indent=1))
    plan_hash = json.loads(run(*coordinator, "--json", "plan", "validate", plan_file))["data"]["plan"]
    for site in sites:
        (root / site / "plans" / f"{plan_hash}.json").write_bytes(plan_file.read_bytes())
        node = (programs / "fovea-node", "--site", root / site, *PASSPHRASE_OPTION)
        run(*node, "roster", "accept", "--all", "--by", "bench", "--roster", root / "coordinator" / "roster.json")
        run(*node, "plan", "approve", plan_hash, "--by", "bench")
    return coordinator, plan_file


def training_ms(root, sites):
    longest = {}
    for site in sites:
        began = {}
        for event in events(root / site / "events.jsonl"):
            if event["event"] == "training_started":
                began[event["round"]] = event["at_ms"]
            if event["event"] == "training_finished" and event["round"] in began:
                lasted = event["at_ms"] - began[event["round"]]
                longest[event["round"]] = max(longest.get(event["round"], 0), lasted)
    return longest


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sites", type=int, default=4)
    options.add_argument("--parameters", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--quick", action="store_true", help="8 rounds")
    options.add_argument("--json", type=pathlib.Path)
    chosen = options.parse_args()
    rounds = 8 if chosen.quick else chosen.rounds
    programs = pathlib.Path(os.environ["FOVEA_BIN"])
    sites = [f"site-{chr(ord('a') + i)}" for i in range(chosen.sites)]
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        root = pathlib.Path(folder)
        coordinator, plan_file = make_federation(programs, root, sites, chosen.parameters, rounds)
        nodes = [
            subprocess.Popen(
                [programs / "fovea-node", "--site", root / site, "--quiet", "start", "--until-complete"],
                stderr=subprocess.DEVNULL,
            )
            for site in sites
        ]
        try:
            run(*coordinator, "--quiet", "run", "start", plan_file)
            for node in nodes:
                node.wait(30)
        finally:
            for node in nodes:
                node.kill()
        trained = training_ms(root, sites)
        finished = [e for e in events(root / "coordinator" / "events.jsonl") if e["event"] == "round_finished"]
    clean = [e for e in finished if len(e["contributors"]) == chosen.sites and e["attempt"] == 1]
    overheads = [
        after["at_ms"] - before["at_ms"] - trained.get(after["round"], 0)
        for before, after in zip(finished, finished[1:])
    ]
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {
        "sites": chosen.sites,
        "parameters": chosen.parameters,
        "rounds": len(finished),
        "rounds_with_all_sites": len(clean),
        "overhead_ms_median": statistics.median(overheads),
        "overhead_ms_min": min(overheads),
        "overhead_ms_max": max(overheads),
        "training_ms_median": statistics.median(trained.values()),
        "cpu_seconds_all_processes": round(usage.ru_utime + usage.ru_stime, 2),
        "load_average": os.getloadavg()[0],
    }
    print(
        f"{chosen.sites} sites, {chosen.parameters:,} parameters, {len(finished)} rounds "
        f"({len(clean)} with every site at the first try)"
    )
    print(
        f"round overhead: median {result['overhead_ms_median']:.0f} ms, "
        f"from {result['overhead_ms_min']:.0f} to {result['overhead_ms_max']:.0f} ms "
        "(target: 150 ms on two idle cores)"
    )
    print(
        f"probe training: median {result['training_ms_median']:.0f} ms, not counted; "
        f"load average {result['load_average']:.1f}"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
