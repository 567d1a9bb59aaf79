"""The demonstration's processes: started, watched through their event streams, killed, ended."""

import json
import os
import select
import signal
import subprocess
import time

from show import StepFailed


class Process:
    """A program of ours running in the background, its output in a log file."""

    def __init__(self, name, command, log):
        self.name = name
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        self.wait_descriptor = os.pidfd_open(self.child.pid)
        self.peak_kb = 0

    def running(self):
        return self.child.poll() is None

    def kill(self):
        """SIGKILL: as if the machine had lost its power."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self, seconds=15):
        if self.running():
            self.child.terminate()
        self.wait(seconds)

    def wait(self, seconds):
        try:
            return self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise StepFailed(
                f"{self.name} did not end within {seconds} s; its log is {self.log}\n{self.tail()}"
            ) from error

    def sleep_until_exit(self, seconds):
        """Returns after `seconds`, or at once when the process ends."""
        select.select([self.wait_descriptor], [], [], seconds)

    def resident_kb(self):
        try:
            with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("VmRSS:"):
                        return int(line.split()[1])
        except OSError:
            pass
        return 0

    def tail(self, lines=15):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return "".join(text.readlines()[-lines:])


class Events:
    """A JSON-lines file that a process appends to; read once through, from where one stopped."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.seen = []

    def read(self):
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self.offset)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        fresh = [json.loads(line) for line in whole.splitlines() if line.strip()]
        self.seen += fresh
        return fresh

    def wait_for(self, wanted, process, seconds):
        """The first event for which wanted(event) holds; StepFailed when the process ends or time is up."""
        for event in self.seen:
            if wanted(event):
                return event
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = not process.running()
            for event in self.read():
                if wanted(event):
                    return event
            if ended:
                raise StepFailed(f"{process.name} ended early; the end of {process.log}:\n{process.tail()}")
            process.sleep_until_exit(0.1)
        raise StepFailed(
            f"{process.name} did not get there within {seconds} s; the end of {process.log}:\n{process.tail()}"
        )
