"""A site of the roster that floods the coordinator, and strangers that only connect: rounds must go on."""

import json
import pathlib
import resource
import socket
import subprocess
import sys
import time

from federation import NEWCOMER, Failed, NotMeasured

FLOOD = pathlib.Path(__file__).with_name("flood.py")


def junk_flood(federation, figures, quick):
    figures["flood_aborts"] = 0
    federation.sign_newcomer()
    federation.serve()
    federation.start_all()
    federation.begun()
    invite = json.loads(json.loads((federation.home / "invite.json").read_text())["document"])
    server = invite["coordinator_transport_key"]
    secret = (federation.root / NEWCOMER / "keys" / "transport.key").read_text().strip()
    tries, no_contact = 3 if quick else 12, []
    for number in range(tries):
        lead_ms = (2, 5, 10, 20)[number % 4]
        words = [sys.executable, str(FLOOD), str(federation.port), server, secret, str(lead_ms)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            no_contact.append(done.stderr.strip()[-100:])
        time.sleep(0.6)
        began = time.time()
        if not federation.server.alive():
            figures["flood_aborts"] += 1
            words = federation.server.last_words()
            federation.serve()
        if not federation.finished_round(30, after=began):
            raise Failed(f"no round within 30 s of flood {number}: {federation.server.last_words()}")
    if figures["flood_aborts"]:
        raise Failed(f"the coordinator ended in {figures['flood_aborts']} of {tries} floods: {words}")
    if len(no_contact) == tries:
        raise Failed(f"no flood came through: {no_contact[0]}")


def idle_connections(federation, figures, quick):
    """More connections without a handshake than the coordinator may have descriptors."""
    figures["flood_aborts"] = 0
    idle, seconds = 1500, 10 if quick else 60
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < idle + 500:
        raise NotMeasured(f"this process may have {most} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    federation.serve(wrap=("prlimit", "--nofile=1024:1024"))
    federation.start_all()
    federation.begun()
    strangers = []
    try:
        for _ in range(idle):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex(("127.0.0.1", federation.port))
            strangers.append(stranger)
        end = time.time() + seconds
        while time.time() < end and federation.server.alive():
            if not federation.finished_round(30, after=time.time()):
                break
    finally:
        for stranger in strangers:
            stranger.close()
    if not federation.server.alive():
        figures["flood_aborts"] = 1
        raise Failed(f"the coordinator ended: {federation.server.last_words()}")
    began = time.time()
    federation.nodes["s1"].kill()
    federation.start("s1")
    if not federation.finished_round(30, with_site="s1", after=began):
        raise Failed(f"s1 was in no sum after the strangers had gone: {federation.server.last_words()}")
