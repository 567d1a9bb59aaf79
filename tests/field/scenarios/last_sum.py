"""A site that is away when the run ends gets the final model when it comes back."""

from federation import FOUNDERS, Failed, NotMeasured
from proxy import Link

AWAY = "s3"
LIMIT_S = 20


def has_model(federation):
    """The site has the final model of the others."""
    models = {event["model"] for event in federation.site_events("s0").all("run_complete")}
    return len(models) == 1 and models == {
        event["model"] for event in federation.site_events(AWAY).all("run_complete")
    }


def serve_again(federation):
    """As a person would: the command that hands out finished runs, or, without one, the run's own."""
    known = federation.coordinator("--help").stdout + federation.coordinator("run", "--help").stdout
    if "\n  serve " not in known:
        return federation.serve()
    return federation.serve_by("serve")


def expect_model(federation, figures):
    if federation.site_events(AWAY).wait("run_complete", LIMIT_S):
        figures["final_model_missing"] = 0
    elif not federation.server.alive():
        serve_again(federation)
        if federation.site_events(AWAY).wait("run_complete", LIMIT_S):
            figures["final_model_missing"] = 0
    if figures["final_model_missing"]:
        raise Failed(f"{AWAY} has no final model: {federation.nodes[AWAY].last_words()}")
    if not has_model(federation):
        figures["final_model_missing"] = 1
        raise Failed(f"{AWAY} has another final model than the others")


def away_at_the_end(federation, figures, quick):
    figures["final_model_missing"] = 1
    federation.serve()
    federation.start_all("--until-complete")
    federation.begun()
    federation.nodes[AWAY].kill()
    if federation.site_events(AWAY).all("run_complete"):
        raise NotMeasured("the run was over before the site could leave")
    if not federation.events.wait("run_complete", 90):
        raise Failed(f"the run did not end without {AWAY}: {federation.server.last_words()}")
    for site in FOUNDERS[:3]:
        if federation.nodes[site].wait(30) is None:
            raise Failed(f"{site} did not end with the run")
    federation.start(AWAY, "--until-complete")
    expect_model(federation, figures)


def cut_off_at_the_end(federation, figures, quick):
    """Its link is black from the middle of the run to some seconds after its end."""
    figures["final_model_missing"] = 1
    link = Link(federation.port)
    try:
        federation.set_node(AWAY, "port", link.port)
        federation.serve()
        federation.start_all("--until-complete")
        federation.begun()
        link.black = True
        if not federation.events.wait("run_complete", 120):
            raise Failed(f"the run did not end without {AWAY}: {federation.server.last_words()}")
        link.black = False
        link.reset()
        expect_model(federation, figures)
    finally:
        link.close()
