"""SIGKILL at random moments: of the coordinator, and of nodes. The run must end with every sum once."""

import random
import signal
import time

from federation import FOUNDERS, Failed, call, completed

LIMIT_S = 30  # for a sum after a restart


def check_end(federation, rounds, figures):
    """The run goes on to its end; what is wrong with it is a lost run."""
    code = federation.server.wait(120)
    if code != 0:
        raise Failed(f"the coordinator ended by {code}: {federation.server.last_words()}")
    for site in FOUNDERS:
        if federation.nodes[site].wait(30) != 0:
            raise Failed(f"{site} did not end by itself: {federation.nodes[site].last_words()}")
    fault = completed(federation, rounds) or audited(federation)
    if fault:
        raise Failed(fault)
    figures["lost_runs"] = 0


def audited(federation):
    ledgers = [federation.root / site / "ledger" for site in FOUNDERS] + [federation.home / "ledger"]
    administrator = (federation.root / "administrator.public").read_text().strip()
    trust = ("--roster", federation.home / "roster.json", "--admin", administrator)
    done = call(federation.programs / "fovea-audit", "verify", *ledgers, *trust, check=False)
    return "" if done.returncode == 0 else f"fovea-audit verify: exit {done.returncode}: {done.stdout[-300:]}"


def coordinator_killed(federation, figures, quick):
    figures.update(coordinator_kills=0, lost_runs=1)
    chance, rounds = random.Random(1), federation.founding.rounds["kills"]
    federation.serve()
    federation.start_all("--until-complete")
    federation.begun()
    for _ in range(8 if quick else 60):
        time.sleep(chance.uniform(0, chance.choice([0.3, 1.5, 3])))
        if not federation.server.alive():
            break
        federation.server.kill()
        figures["coordinator_kills"] += 1
        began = time.time()
        federation.serve()
        if chance.random() < 0.7:
            found = federation.finished_round(LIMIT_S, after=began)
            if found:
                figures["recoveries"].append(found["at_ms"] / 1000 - began)
            elif federation.server.wait(1) != 0:
                raise Failed(f"no sum within {LIMIT_S} s of a restart: {federation.server.last_words()}")
    check_end(federation, rounds, figures)


def nodes_killed(federation, figures, quick):
    figures["lost_runs"] = 1
    chance, rounds = random.Random(2), federation.founding.rounds["kills"]
    federation.serve()
    federation.start_all("--until-complete")
    federation.begun()
    for _ in range(5 if quick else 40):
        time.sleep(chance.uniform(0, 1))
        site = chance.choice(FOUNDERS)
        if not federation.server.alive():
            break
        if chance.random() < 0.6:
            federation.nodes[site].kill()
            time.sleep(chance.choice([0, 1]))
            federation.start(site, "--until-complete")
        else:
            federation.nodes[site].send(signal.SIGSTOP)
            time.sleep(chance.uniform(1, 4))
            federation.nodes[site].send(signal.SIGCONT)
        began = time.time()
        found = federation.finished_round(LIMIT_S, with_site=site, after=began)
        if found:
            figures["recoveries"].append(found["at_ms"] / 1000 - began)
        elif federation.server.wait(1) != 0:
            words = federation.nodes[site].last_words()
            raise Failed(f"{site} was in no sum within {LIMIT_S} s of its return: {words}")
    check_end(federation, rounds, figures)
