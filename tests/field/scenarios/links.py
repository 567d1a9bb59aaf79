"""A site behind 1 Mbit/s: it takes part, and each vector passes once."""

import json

from federation import Failed, set_value
from proxy import Link

SLOW = "s3"
BYTES_OF_AN_ELEMENT = 4
BITS_PER_SECOND = 1_000_000


def ledger_bytes(federation):
    """What the site's ledger says has left it."""
    answer = federation.node(SLOW, "--json", "egress", "list", check=False).stdout
    try:
        return json.loads(answer)["data"]["bytes"]
    except (ValueError, KeyError):
        return None


def one_megabit(federation, figures, quick):
    """Bytes on the wire, or in the ledger if these are more, over those of one masked vector up and one sum down."""
    parameters, rounds = federation.founding.link_parameters, federation.founding.rounds["link"]
    link = Link(federation.port, BITS_PER_SECOND)
    try:
        federation.set_node(SLOW, "port", link.port)
        for key in ("straggler_s", "joining_s"):  # as shipped
            set_value(federation.home / "coordinator.toml", key, 30)
        federation.serve()
        federation.start_all("--until-complete")
        vector = parameters * BYTES_OF_AN_ELEMENT
        limit_s = 60 + 3 * rounds * 2 * vector * 8 / BITS_PER_SECOND
        done = federation.events.wait("run_complete", limit_s, alive=federation.server)
        if not done:
            raise Failed(f"the run did not end within {limit_s:.0f} s: {federation.server.last_words()}")
        applied = federation.site_events(SLOW).wait(
            "sum_applied", 60 + 2 * vector * 8 / BITS_PER_SECOND, lambda event: event["round"] == rounds
        )
        federation.nodes[SLOW].wait(10)
        ledger = ledger_bytes(federation)
        wire = link.up + link.down
        queued = max(link.up, ledger or 0) + link.down
        figures["bytes_over_ideal_1mbit"] = round(max(wire, queued) / (2 * vector * rounds), 3)
    finally:
        link.close()
    rounds_with = [e["round"] for e in federation.events.all("round_finished") if SLOW in e["contributors"]]
    if len(rounds_with) != rounds:
        raise Failed(f"{SLOW} was in {len(rounds_with)} of {rounds} sums")
    if not applied:
        raise Failed(f"{SLOW} did not get the last sum")
    if figures["bytes_over_ideal_1mbit"] > 1.2:
        raise Failed(f"{figures['bytes_over_ideal_1mbit']} times the bytes that must pass")
