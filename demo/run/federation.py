"""The demonstration's federation: one coordinator and several hospitals, as processes that share nothing but sockets."""

import json
import re
import socket
from pathlib import Path

from processes import Events, Process
from show import StepFailed, run, say


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
        self.process = Process(self.name, self.command("start", *words), self.log)

    def set_option(self, section, key, value):
        """Edits one value of the site's node.toml, as a person would with an editor."""
        path = self.site / "node.toml"
        text = path.read_text(encoding="utf-8")
        head, start, body = text.partition(f"[{section}]")
        body, count = re.subn(rf"(?m)^#?\s*{key}\s*=.*$", f"{key} = {value}", body, count=1)
        if not start or count == 0:
            raise StepFailed(f"{path}: no {key} in [{section}]")
        path.write_text(head + start + body, encoding="utf-8")


class Federation:
    """The coordinator and its hospitals in one folder."""

    def __init__(self, root, programs, manifests):
        self.root = root
        self.programs = programs
        self.folder = root / "coordinator"
        self.log = root / "logs" / "coordinator.log"
        self.hospitals = [Hospital(name, root, manifest, programs) for name, manifest in manifests.items()]
        self.process = None
        self.peak_kb = 0

    def command(self, *words):
        return [self.programs / "fovea-coordinator", "--folder", self.folder, *words]

    def call(self, *words):
        done = run(self.command("--json", *words), log=self.log)
        return json.loads(done.stdout.splitlines()[-1])["data"]

    def join(self):
        """Keys are made in each hospital's own folder; only public keys travel, in a file each way."""
        port = free_port()
        self.call("init", "--name", "demonstration", "--public-host", "127.0.0.1", "--port", str(port))
        invite = self.root / "invite.json"
        self.call("invite", "--out", invite)
        requests = []
        for hospital in self.hospitals:
            hospital.call("init", "--id", hospital.name)
            request = hospital.site / "join-request.json"
            hospital.call("join", invite, "--yes")
            requests.append(request)
            fingerprint = hospital.call("status").get("fingerprint", "")
            say(f"{hospital.name} made its keys{' · fingerprint ' + fingerprint if fingerprint else ''}")
        signed = self.call("sign", *requests, "--yes")
        say(f"the administrator signed roster epoch {signed['epoch']} with {len(self.hospitals)} hospitals")

    def start(self, plan):
        self.process = Process("the coordinator", self.command("run", "start", plan), self.log)

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


def folder_bytes(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
