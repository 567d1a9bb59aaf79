"""The demonstration's federation: one coordinator and several hospitals, processes that share nothing but sockets."""

import json
import re
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


class Hospital:
    """One hospital: its site folder, its scans' manifest, and its node when it runs."""

    def __init__(self, name, root, manifest, programs):
        self.name = name
        self.site = root / "hospitals" / name
        self.manifest = manifest
        self.programs = programs
        self.log = root / "logs" / f"{name}.log"
        self.events = Events(self.site / "events.jsonl")
        self.process = None

    def command(self, *words):
        return [self.programs / "fovea-node", "--site", self.site, *words]

    def call(self, *words):
        done = run(self.command("--json", *words), log=self.log)
        return json.loads(done.stdout.splitlines()[-1])["data"]

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
        self.administrator = None

    def command(self, *words):
        return [self.programs / "fovea-coordinator", "--home", self.folder, *words]

    def call(self, *words):
        done = run(self.command("--json", *words), log=self.log)
        return json.loads(done.stdout.splitlines()[-1])["data"]

    def join(self):
        """Keys are made in each hospital's own folder; only public keys travel, in a file each way."""
        self.call("init", "demonstration", "--host", "127.0.0.1", "--port", str(self.port.number))
        set_option(self.folder / "coordinator.toml", "listen", "host", '"127.0.0.1"')
        set_option(self.folder / "coordinator.toml", "rounds", "joining_s", "120")
        invite = self.root / "invite.json"
        fingerprint = self.call("invite", "--output", invite)["fingerprint"]
        self.administrator = json.loads(json.loads(invite.read_text(encoding="utf-8"))["document"])["administrators"][0]
        say(f"the coordinator made the federation, fingerprint {fingerprint}")
        requests = []
        for hospital in self.hospitals:
            own = hospital.call("init", hospital.name)["fingerprint"]
            requests.append(hospital.call("join", invite)["request"])
            say(f"{hospital.name} made its keys, fingerprint {own}")
        signed = self.call("sign", *requests)
        say(f"the administrator signed roster epoch {signed['epoch']} with {len(self.hospitals)} hospitals")

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
