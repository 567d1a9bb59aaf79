"""The run: approvals, rounds, and one hospital that is killed in the middle of a round and comes back."""

import json
import time

from show import StepFailed, say

VICTIM = 1  # which hospital is killed
KILL_ROUND = 4
RUN_SECONDS_MAX = 3600


def plan_of(template, data_set, out, sites):
    """The given plan, with the finding, modality and cohort of this data set."""
    plan = json.loads(template.read_text(encoding="utf-8"))
    plan["name"] = f"demonstration, {data_set.title}"
    plan["finding"] = {"kind": data_set.finding, "modality": data_set.modality}
    plan["intake"]["normalisation"] = data_set.normalisation
    if sites == 3:
        plan["secure_aggregation"] = {"colluders_max": 0, "threshold": 2, "honest_min": 2}
        plan["cohort"]["smallest"] = 2
    path = out / "plan.json"
    path.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    return path


def rounds_of(plan):
    return sum(stage["rounds"] for stage in json.loads(plan.read_text(encoding="utf-8"))["stages"])


def approve(federation):
    """What each hospital's administrator does by hand after reading the plan."""
    for hospital in federation.hospitals:
        hospital.events.wait_for(lambda e: e["event"] == "plan_offered", hospital.process, 60)
        hospital.call("roster", "accept", "--all", "--by", "demonstration script")
        offered = hospital.call("plan", "list")[-1]["plan"]
        hospital.call("plan", "approve", offered, "--by", "demonstration script")
    say(
        f"the other hospitals accepted, and plan {offered[:16]} approved, at {len(federation.hospitals)} hospitals "
        "(this script acts for their administrators)"
    )


def watch(federation, events, victim, rounds):
    """Prints each round as it closes; kills the victim where it holds, and brings it back. Returns what happened."""
    dropouts, closed, killed_in, returned_in, stage = [], 0, None, None, ""
    last = time.monotonic()
    end = last + RUN_SECONDS_MAX
    while closed < rounds:
        if time.monotonic() > end:
            raise StepFailed(
                f"round {closed + 1} did not close; the coordinator's log: {federation.process.log}\n"
                f"{federation.process.tail()}"
            )
        federation.process.sleep_until_exit(0.1)
        federation.note_memory()
        if killed_in is None and any(e["event"] == "held" for e in victim.events.read()):
            killed_in = closed + 1
            victim.process.kill()
            say(
                f"round {killed_in}: {victim.name} was killed (SIGKILL) after sharing its keys, "
                "before sending its masked input"
            )
        for event in events.read():
            if event["event"] == "round_started":
                stage = event["stage"]
            if event["event"] != "round_finished":
                continue
            closed = event["round"]
            took = time.monotonic() - last
            last = time.monotonic()
            names = event["contributors"]
            missing = [h.name for h in federation.hospitals if h.name not in names]
            dropouts += [{"round": closed, "site": name} for name in missing]
            if killed_in and returned_in is None and victim.name in names and closed > killed_in:
                returned_in = closed
            say(
                f"round {closed:2d} of {rounds} · {stage:8s} · sum of {len(names)} hospitals"
                + (f" without {', '.join(missing)}" if missing else "")
                + f" · {took:.1f} s"
            )
            if closed == killed_in:
                victim.start()
                say(f"          {victim.name} starts again; it fetches the sums it missed and checks them")
        if not federation.process.running() and closed < rounds:
            raise StepFailed(
                f"the coordinator ended early; its log: {federation.process.log}\n" f"{federation.process.tail()}"
            )
    return dropouts, killed_in, returned_in


def train(federation, plan):
    from processes import Events

    rounds = rounds_of(plan)
    victim = federation.hospitals[VICTIM]
    start = time.monotonic()
    events = Events(federation.folder / "events.jsonl")
    federation.start(plan)
    for hospital in federation.hospitals:
        hospital.start(*(["--hold-after", f"shares:{KILL_ROUND}"] if hospital is victim else []))
    approve(federation)
    dropouts, killed_in, returned_in = watch(federation, events, victim, rounds)
    if killed_in is None or returned_in is None:
        raise StepFailed(
            f"{victim.name} should have been killed in round {KILL_ROUND} and have returned: "
            f"killed in {killed_in}, back in {returned_in}"
        )
    say(f"{victim.name} took part again from round {returned_in}")
    federation.finish()
    return {
        "rounds": rounds,
        "dropouts": dropouts,
        "killed": {"site": victim.name, "round": killed_in, "back_in_round": returned_in},
        "training_seconds": round(time.monotonic() - start, 1),
        "resident_peak_mb": federation.peak_kb // 1024,
    }
