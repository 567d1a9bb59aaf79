"""Programs that stand still for seconds, as on a stalled disk or a suspended machine."""

import signal
import time

from federation import FOUNDERS, Failed

STALL_S = 7


def coordinator_stalled_as_a_site_leaves(federation, figures, quick):
    federation.serve()
    federation.start_all()
    federation.begun()
    for number in range(2 if quick else 8):
        federation.server.send(signal.SIGSTOP)
        time.sleep(0.7)
        federation.nodes["s1"].kill()
        time.sleep(STALL_S)
        began = time.time()
        federation.server.send(signal.SIGCONT)
        federation.start("s1")
        if not federation.finished_round(30, sites=len(FOUNDERS), after=began):
            state = "goes on" if federation.server.alive() else f"ended by {federation.server.process.returncode}"
            raise Failed(f"stall {number}: no round with all in 30 s; the coordinator {state}: "
                         f"{federation.server.last_words()}")
        lost = [site for site in FOUNDERS if not federation.nodes[site].alive()]
        if lost:
            raise Failed(f"stall {number}: {lost[0]} ended: {federation.nodes[lost[0]].last_words()}")


def federation_suspended(federation, figures, quick):
    """All processes stand still, as of a machine that was suspended."""
    federation.serve()
    federation.start_all()
    federation.begun()
    everybody = [federation.server, *federation.nodes.values()]
    for program in everybody:
        program.send(signal.SIGSTOP)
    time.sleep(STALL_S if quick else 20)
    began = time.time()
    for program in everybody:
        program.send(signal.SIGCONT)
    if not federation.finished_round(30, sites=len(FOUNDERS), after=began):
        raise Failed(f"no round with all in 30 s: {federation.server.last_words()}")
