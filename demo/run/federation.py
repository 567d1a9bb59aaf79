"""The demonstration's federation: one coordinator and several hospitals, processes that share nothing but sockets."""

import json
import os
import re
import secrets
import socket

from processes import Events, Process
from show import StepFailed, run, say


class HeldPort:
    """A free port of this machine, kept from other programs until the coordinator listens on it, and after.

    The socket is bound but never listens. Linux lets the coordinator bind beside it, as both allow the address to be
    reused, while whoever asks for any free port gets another one."""

    def __init__(self):
        self.held = socket.socket()
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("127.0.0.1", 0))
        self.number = self.held.getsockname()[1]

    def release(self):
        self.held.close()


def set_option(path, section, key, value):
    """Edits one value of a TOML file of ours, as a person would with an editor."""
    head, start, body = path.read_text(encoding="utf-8").partition(f"[{section}]")
    body, count = re.subn(rf"(?m)^{key}\s*=.*$", f"{key} = {value}", body, count=1)
    if not start or count == 0:
        raise StepFailed(f"{path}: no {key} in [{section}]")
    path.write_text(head + start + body, encoding="utf-8")


ADMINISTRATORS = ("ada", "bo")  # at two institutions; both must sign


def make_passphrase(file):
    """What people type at their terminals; here one for all of them, in a file that only this user can read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as out:
        out.write(secrets.token_urlsafe(18) + "\n")


def call_with_passphrase(command, words, passphrase, log):
    """The data that a program prints; it finds the passphrase on its standard input."""
    with open(passphrase, encoding="utf-8") as given:
        done = run([*command, "--json", "--passphrase-fd", "0", *words], log=log, stdin=given)
    return json.loads(done.stdout.splitlines()[-1])["data"]


class Hospital:
    """One hospital: its site folder, its scans' manifest, and its node when it runs."""

    def __init__(self, name, root, manifest, programs):
        self.name = name
        self.site = root / "hospitals" / name
        self.manifest = manifest
        self.programs = programs
        self.passphrase = root / "passphrase"
        self.log = root / "logs" / f"{name}.log"
        self.events = Events(self.site / "events.jsonl")
        self.process = None

    def command(self, *words):
        return [self.programs / "fovea-node", "--site", self.site, *words]

    def call(self, *words):
        return call_with_passphrase(self.command(), words, self.passphrase, self.log)

    def start(self, *words):
        self.process = Process(self.name, self.command("start", "--until-complete", *words), self.log)


class Federation:
    """The coordinator and its hospitals in one folder."""

    def __init__(self, root, programs, manifests, port):
        self.root = root
        self.port = port
        self.programs = programs
        self.folder = root / "coordinator"
        self.log = root / "logs" / "coordinator.log"
        self.hospitals = [Hospital(name, root, manifest, programs) for name, manifest in manifests.items()]
        self.process = None
        self.peak_kb = 0
        self.passphrase = root / "passphrase"
        self.administrators = {}  # name: public key

    def command(self, *words):
        return [self.programs / "fovea-coordinator", "--home", self.folder, *words]

    def call(self, *words):
        return call_with_passphrase(self.command(), words, self.passphrase, self.log)

    def key_of(self, administrator):
        return self.root / "administrators" / f"{administrator}.pem"

    def found(self):
        """Each administrator makes a key, elsewhere if this were no demonstration, and signs the founding document."""
        (self.root / "administrators").mkdir()
        for name in ADMINISTRATORS:
            self.administrators[name] = self.call("administrator", self.key_of(name))["public_key"]
        keys = [word for key in self.administrators.values() for word in ("--administrator", key)]
        where = ("--host", "127.0.0.1", "--port", str(self.port.number))
        founding = self.call("init", "demonstration", *where, *keys)["founding"]
        for name in ADMINISTRATORS:
            self.call("sign-founding", founding, "--key", self.key_of(name))
        self.call("take", founding)

    def sign(self, requests):
        """The first administrator signs the roster, the others sign it too."""
        first, *others = ADMINISTRATORS
        signed = self.call("sign", *requests, "--key", self.key_of(first))
        for name in others:
            signed = self.call("cosign", "--key", self.key_of(name))
        return signed

    def join(self):
        """Keys are made in each hospital's own folder; only public keys travel, in a file each way."""
        make_passphrase(self.passphrase)
        self.found()
        set_option(self.folder / "coordinator.toml", "listen", "host", '"127.0.0.1"')
        set_option(self.folder / "coordinator.toml", "rounds", "joining_s", "120")
        set_option(self.folder / "coordinator.toml", "rounds", "last_sum_s", "30")
        invite = self.root / "invite.json"
        fingerprint = self.call("invite", "--output", invite)["fingerprint"]
        say(f"administrators {' and '.join(ADMINISTRATORS)} founded the federation, fingerprint {fingerprint}")
        requests = []
        for hospital in self.hospitals:
            own = hospital.call("init", hospital.name)["fingerprint"]
            requests.append(hospital.call("join", invite)["request"])
            say(f"{hospital.name} made its keys, fingerprint {own}")
        signed = self.sign(requests)
        say(f"both administrators signed roster epoch {signed['epoch']} with {len(self.hospitals)} hospitals")

    def start(self, plan):
        self.process = Process("the coordinator", self.command("run", "start", plan), self.log)

    def finish(self):
        """The run is over: the coordinator and the nodes end by themselves."""
        for process in self.running():
            if process.wait(60) != 0:
                raise StepFailed(f"{process.name} ended with an error; the end of {process.log}:\n{process.tail()}")

    def running(self):
        return [self.process] + [h.process for h in self.hospitals if h.process]

    def note_memory(self):
        self.peak_kb = max(self.peak_kb, sum(p.resident_kb() for p in self.running() if p and p.running()))

    def stop(self):
        for process in self.running():
            if process and process.running():
                process.child.terminate()
        for process in self.running():
            if process:
                process.wait(20)
        self.port.release()
