"""A site of the roster that floods the coordinator; the coordinator must live, and rounds go on."""

import json
import pathlib
import subprocess
import sys
import time

from federation import NEWCOMER, Failed

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
