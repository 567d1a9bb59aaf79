"""A federation of real programs on loopback, for scenarios: small models, no learning. Every wait has an end."""

import concurrent.futures
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

PASSPHRASE = "only for the scenarios of the field\n"
UNLOCK = ("--passphrase-fd", "0")
COMMAND_LIMIT_S = 120
FOUNDERS = ("s0", "s1", "s2", "s3")
NEWCOMER = "s4"  # has asked to join, and is on no roster yet


class Failed(Exception):
    """What a scenario found wrong, in a sentence."""


class NotMeasured(Exception):
    """What a scenario needs is not on this machine."""


def call(*words, check=True):
    done = subprocess.run(
        [str(word) for word in words], input=PASSPHRASE, capture_output=True, text=True, errors="replace",
        timeout=COMMAND_LIMIT_S,
    )
    if check and done.returncode != 0:
        raise Failed(f"{pathlib.Path(words[0]).name} {words[3:]}: exit {done.returncode}: {done.stderr[-300:]}")
    return done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def set_value(file, key, value):
    """Sets a key of a settings file that has it, perhaps commented out."""
    text, count = re.subn(rf"(?m)^(# )?{key} = \S+", f"{key} = {value}", file.read_text(), count=1)
    if count != 1:
        raise ValueError(f"{file.name} has no {key}")
    file.write_text(text)


class Program:
    """A process whose words go to a log. It is ended by its own pid only."""

    def __init__(self, words, log, environment=None):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
            )

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def send(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def wait(self, seconds):
        """The exit code, or None if it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self):
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self.wait(8) is None:
            self.kill()

    def last_words(self):
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])[-400:]


class Events:
    """The lines of an events.jsonl, read as they are written."""

    def __init__(self, path):
        self.path, self.seen, self.offset = path, [], 0

    def all(self, name=None):
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.offset)
                lines = file.read().split(b"\n")[:-1]
            for line in lines:
                self.offset += len(line) + 1
                try:
                    self.seen.append(json.loads(line))
                except ValueError:  # a line that was being written as its process was killed
                    pass
        return [event for event in self.seen if name is None or event["event"] == name]

    def wait(self, name, seconds, where=None, after=0.0, alive=None):
        """The first such event since `after` (seconds of the clock), or None."""
        end = time.monotonic() + seconds
        while True:
            for event in self.all(name):
                if event["at_ms"] >= after * 1000 and (where is None or where(event)):
                    return event
            if time.monotonic() > end or (alive and not alive.alive()):
                return None
            time.sleep(0.03)


class Founding:
    """A federation that was founded once; each scenario runs on a copy of its folders."""

    def __init__(self, programs, root, plans):
        """plans: {name: (architecture, rounds, deadlines or None for those of a new plan)}."""
        self.programs, self.root = pathlib.Path(programs), pathlib.Path(root)
        self.coordinator = (self.programs / "fovea-coordinator", "--home", self.root / "coordinator")
        self.plans = {}
        key = self.root / "administrator.pem"
        call(*self.coordinator, *UNLOCK, "init", "field", "--port", free_port(), "--administrator-key-here", key)
        document = json.loads(json.loads((self.root / "coordinator" / "invite.json").read_text())["document"])
        (self.root / "administrator.public").write_text(document["administrators"][0])
        self.each_site(self.join, (*FOUNDERS, NEWCOMER))
        requests = [self.root / site / "join-request.json" for site in FOUNDERS]
        call(*self.coordinator, *UNLOCK, "sign", *requests, "--key", key)
        for name, settings in plans.items():
            self.plans[name] = self.make_plan(name, *settings)
        self.each_site(self.approve, FOUNDERS)
        set_value(self.root / "coordinator" / "coordinator.toml", "host", '"127.0.0.1"')
        set_value(self.root / "coordinator" / "coordinator.toml", "joining_s", 5)
        set_value(self.root / "coordinator" / "coordinator.toml", "straggler_s", 5)

    @staticmethod
    def each_site(do, sites):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(do, sites))

    def node(self, site, *words):
        return call(self.programs / "fovea-node", "--site", self.root / site, *UNLOCK, *words)

    def join(self, site):
        self.node(site, "init", site)
        self.node(site, "join", self.root / "coordinator" / "invite.json")
        set_value(self.root / site / "node.toml", "probe_delay_ms", 100)

    def make_plan(self, name, architecture, rounds, deadlines):
        file = self.root / f"{name}.json"
        call(*self.coordinator, "plan", "new", "--architecture", architecture, "--output", file)
        plan = json.loads(file.read_text())
        plan["name"], plan["stages"][0]["rounds"] = name, rounds
        plan["deadlines"] = deadlines or plan["deadlines"]
        file.write_text(json.dumps(plan, indent=1))
        answer = call(*self.coordinator, "--json", "plan", "validate", file)
        return json.loads(answer.stdout)["data"]["plan"]

    def approve(self, site):
        roster = self.root / "coordinator" / "roster.json"
        self.node(site, "roster", "accept", "--all", "--by", "field", "--roster", roster)
        for name, plan in self.plans.items():
            shutil.copy(self.root / f"{name}.json", self.root / site / "plans" / f"{plan}.json")
            self.node(site, "plan", "approve", plan, "--by", "field")


class Federation:
    """A copy of a founding, on a port of its own, with its processes.

    It is a context manager that ends them and removes the copy."""

    def __init__(self, founding, root, plan):
        shutil.copytree(founding.root, root)
        self.founding, self.root, self.plan = founding, pathlib.Path(root), plan
        self.programs, self.port = founding.programs, free_port()
        self.home = self.root / "coordinator"
        set_value(self.home / "coordinator.toml", "port", self.port)
        for site in (*FOUNDERS, NEWCOMER):
            self.set_node(site, "port", self.port)
        self.events = Events(self.home / "events.jsonl")
        self.started, self.nodes, self.server = [], {}, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self.started):
            program.send(signal.SIGCONT)
            program.send(signal.SIGTERM)
        for program in self.started:
            program.end()
        shutil.rmtree(self.root, ignore_errors=True)

    def coordinator(self, *words, check=True):
        return call(self.programs / "fovea-coordinator", "--home", self.home, *words, check=check)

    def node(self, site, *words, check=True):
        return call(self.programs / "fovea-node", "--site", self.root / site, *words, check=check)

    def set_node(self, site, key, value):
        set_value(self.root / site / "node.toml", key, value)

    def _start(self, words, log, environment=None):
        program = Program(words, self.root / log, environment)
        self.started.append(program)
        return program

    def serve(self, wrap=()):
        """wrap: a command that becomes the program, as prlimit does."""
        plan = self.root / f"{self.plan}.json"
        return self.serve_by("run", "start", plan, wrap=wrap)

    def serve_by(self, *words, wrap=()):
        words = (*wrap, self.programs / "fovea-coordinator", "--home", self.home, *words)
        self.server = self._start(words, "coordinator.log")
        return self.server

    def start(self, site, *words, folder=None, environment=None):
        words = (self.programs / "fovea-node", "--site", self.root / (folder or site), "start", *words)
        self.nodes[folder or site] = self._start(words, f"{folder or site}.log", environment)
        return self.nodes[folder or site]

    def start_all(self, *words, sites=FOUNDERS):
        for site in sites:
            self.start(site, *words)

    def site_events(self, site):
        return Events(self.root / site / "events.jsonl")

    def finished_round(self, seconds, with_site=None, sites=None, after=0.0, at_least=0):
        """A round that ended in time, with this site, or with so many sites; None if there was none."""

        def fits(event):
            there = event["contributors"]
            return (
                (with_site is None or with_site in there)
                and (sites is None or len(there) == sites)
                and event["round"] >= at_least
            )

        return self.events.wait("round_finished", seconds, fits, after, self.server)

    def begun(self, seconds=60, at_least=1):
        if not self.finished_round(seconds, sites=len(FOUNDERS), at_least=at_least):
            raise Failed(f"no round with every site: {self.server.last_words()}")

    def sign_newcomer(self):
        request = self.root / NEWCOMER / "join-request.json"
        key = self.root / "administrator.pem"
        self.coordinator(*UNLOCK, "sign", request, "--key", key)

    def renew_roster(self):
        self.coordinator(*UNLOCK, "sign", "--renew", "--key", self.root / "administrator.pem")


def completed(federation, rounds, sites=FOUNDERS):
    """What is wrong with a run that has ended: each sum once, one order, one final model everywhere."""
    summaries = list(federation.home.glob("runs/*/summary.json"))
    if len(summaries) != 1:
        return f"{len(summaries)} summaries of one run"
    good = [entry for entry in json.loads(summaries[0].read_text())["rounds"] if not entry["aborted"]]
    numbers = [entry["round"] for entry in good]
    if len(good) != rounds or numbers != sorted(set(numbers)):
        return f"{len(good)} sums in the summary, not {rounds}"
    if any(entry["weight_sum"] != len(entry["contributors"]) for entry in good):
        return "a sum whose weight is not its contributors'"
    models = {entry["round"]: entry["model"] for entry in good}
    for site in sites:
        events = federation.site_events(site)
        if any(models.get(event["round"]) != event["model"] for event in events.all("sum_applied")):
            return f"{site} applied another sum than the summary has"
        if {event["model"] for event in events.all("run_complete")} != {good[-1]["model"]}:
            return f"{site} has no final model, or another"
    return ""
