"""Sites that were away for small reasons: each is back by itself, and the reason was told."""

import os
import pathlib
import shutil
import signal
import time

from federation import FOUNDERS, NEWCOMER, UNLOCK, Failed, NotMeasured
from proxy import Link

SITE = "s3"
LIMIT_S = 30
FAKETIME = pathlib.Path(  # of Debian's package libfaketime
    os.environ.get("FOVEA_FAKETIME", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
)


def expect_back(federation, site, figures, began, node=None):
    found = federation.finished_round(LIMIT_S, with_site=site, after=began)
    if not found:
        node = node or federation.nodes[site]
        state = "runs" if node.alive() else f"ended by {node.process.returncode}"
        raise Failed(f"{site} was in no sum within {LIMIT_S} s; its node {state}: {node.last_words()}")
    figures["recoveries"].append(found["at_ms"] / 1000 - began)


def running(federation, at_least=1):
    federation.serve()
    federation.start_all()
    federation.begun(at_least=at_least)


def half_open_restart(federation, figures, quick):
    """The old connection of a site is half open as its node starts again."""
    link = Link(federation.port)
    try:
        federation.set_node(SITE, "port", link.port)
        running(federation)
        link.black = True
        federation.nodes[SITE].kill()
        time.sleep(2)
        fresh = Link(federation.port)
        federation.set_node(SITE, "port", fresh.port)
        began = time.time()
        federation.start(SITE)
        expect_back(federation, SITE, figures, began)
        fresh.close()
    finally:
        link.close()


def copied_identity(federation, figures, quick):
    """A copy of a site's folder runs beside the site. When the first one has ended, the copy takes part, or says that
    its folder is an older one; then the first takes part again."""
    copy = SITE + "-copy"
    shutil.copytree(federation.root / SITE, federation.root / copy)
    running(federation)
    second = federation.start(SITE, folder=copy)
    time.sleep(6)
    if federation.finished_round(1, after=time.time() - 3) is None:
        raise Failed("rounds stand still while two processes use one identity")
    told = federation.events.all("second_process_refused")
    began = time.time()
    federation.nodes[SITE].kill()
    if not told and second.alive():
        raise Failed("the coordinator did not say that two processes use one identity")
    if not second.alive():
        second = federation.start(SITE, folder=copy)
    if federation.finished_round(LIMIT_S / 2, with_site=SITE, after=began) is None:
        words = second.log.read_text(errors="replace").lower()
        if "older" not in words and "copy" not in words:
            raise Failed(f"the copy takes no part, and does not say why: {second.last_words()}")
        second.end()
        began = time.time()
        second = federation.start(SITE)
    expect_back(federation, SITE, figures, began, second)


def missed_rosters(federation, figures, quick):
    """The roster is renewed twice, with rounds between, while a site is away."""
    running(federation)
    federation.nodes[SITE].kill()
    for _ in range(2):
        began = time.time()
        federation.renew_roster()
        if not federation.finished_round(LIMIT_S, after=began + 1):
            raise Failed(f"no round after a renewal of the roster: {federation.server.last_words()}")
    began = time.time()
    federation.start(SITE)
    expect_back(federation, SITE, figures, began)


def newcomer_in_a_run(federation, figures, quick):
    """A site is put on the roster and accepted after the run has begun."""
    running(federation, at_least=3)
    federation.sign_newcomer()
    roster = federation.home / "roster.json"
    for site in (*FOUNDERS, NEWCOMER):
        accept = ("roster", "accept", "--all", "--by", "field", "--roster", roster)
        federation.node(site, *UNLOCK, *accept)
    plan = federation.founding.plans[federation.plan]
    shutil.copy(federation.root / f"{federation.plan}.json", federation.root / NEWCOMER / "plans" / f"{plan}.json")
    federation.node(NEWCOMER, *UNLOCK, "plan", "approve", plan, "--by", "field")
    began = time.time()
    federation.start(NEWCOMER)
    expect_back(federation, NEWCOMER, figures, began)


def revoked_then_signed(federation, figures, quick):
    """A site is taken off the roster, and put on it again by the same request; its node runs all the time."""
    running(federation)
    key = federation.root / "administrator.pem"
    federation.coordinator(*UNLOCK, "revoke", SITE, "--key", key)
    if not federation.finished_round(LIMIT_S, sites=len(FOUNDERS) - 1, after=time.time()):
        raise Failed(f"no round without the revoked site: {federation.server.last_words()}")
    federation.coordinator(*UNLOCK, "sign", federation.root / SITE / "join-request.json", "--key", key)
    roster = federation.home / "roster.json"
    for site in FOUNDERS:
        accept = ("roster", "accept", "--all", "--by", "field", "--roster", roster)
        federation.node(site, *UNLOCK, *accept, check=False)  # those that still accept it have nothing to do
    began = time.time()
    if not federation.nodes[SITE].alive():
        raise Failed(f"{SITE}'s node ended when it was revoked: {federation.nodes[SITE].last_words()}")
    expect_back(federation, SITE, figures, began)


def rejected_then_approved(federation, figures, quick):
    plan = federation.founding.plans[federation.plan]
    federation.node(SITE, *UNLOCK, "plan", "reject", plan, "--by", "field")
    federation.serve()
    federation.start_all()
    first = federation.finished_round(60)
    if not first:
        raise Failed(f"no round: {federation.server.last_words()}")
    if SITE in first["contributors"]:
        raise Failed(f"{SITE} took part in a plan that it had rejected")
    federation.node(SITE, *UNLOCK, "plan", "approve", plan, "--by", "field")
    expect_back(federation, SITE, figures, time.time())


def clock_moved(offset):
    """A site's clock is wrong when its node starts, and is set right while it runs."""

    def scenario(federation, figures, quick):
        if not FAKETIME.exists():
            raise NotMeasured("libfaketime is not installed")
        clock = federation.root / "clock"
        clock.write_text(offset + "\n")
        environment = dict(
            os.environ, LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_CACHE_DURATION="1",
            DONT_FAKE_MONOTONIC="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        federation.serve()
        federation.start_all(sites=FOUNDERS[:3])
        node = federation.start(SITE, environment=environment)
        if not federation.finished_round(60):
            raise Failed(f"no round: {federation.server.last_words()}")
        started = federation.site_events(SITE).wait("started", 10)
        if not started or abs(started["at_ms"] / 1000 - time.time()) < 300:
            raise NotMeasured("the node's clock could not be moved")
        time.sleep(3)
        clock.write_text("+0s\n")
        expect_back(federation, SITE, figures, time.time(), node)

    return scenario


clock_behind, clock_ahead = clock_moved("-11m"), clock_moved("+8d")


def black_hole(federation, figures, quick):
    """A link swallows everything for a while, and works again."""
    link = Link(federation.port)
    try:
        federation.set_node(SITE, "port", link.port)
        running(federation)
        link.black = True
        time.sleep(20 if quick else 120)
        link.black = False
        expect_back(federation, SITE, figures, time.time())
    finally:
        link.close()


def stopped_node(federation, figures, quick):
    running(federation)
    federation.nodes[SITE].send(signal.SIGSTOP)
    time.sleep(10)
    began = time.time()
    federation.nodes[SITE].send(signal.SIGCONT)
    expect_back(federation, SITE, figures, began)
