"""Tests of what the scenarios of the field are counted by. The scenarios themselves are run by scripts/bench field."""

import json
import pathlib
import socket
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "scenarios"), str(HERE.parents[1] / "bench")]
import federation  # noqa: E402
import field  # noqa: E402
import run_scenarios  # noqa: E402
from proxy import Link  # noqa: E402

KEYS = {"scenarios", "scenarios_failed", "coordinator_kills", "lost_runs", "recovery_p99_s", "flood_aborts"}
KEYS |= {"final_model_missing", "bytes_over_ideal_1mbit"}


def result(failed=None, not_measured=None, **figures):
    return {"name": "x", "failed": failed, "not_measured": not_measured, "figures": {"recoveries": [], **figures}}


class Figures(unittest.TestCase):
    def test_what_was_not_measured_is_null_and_never_0(self):
        figures = run_scenarios.summed([result(not_measured="no such program", lost_runs=1)])
        self.assertEqual(set(figures), KEYS)
        self.assertEqual((figures.pop("scenarios"), figures.pop("scenarios_failed")), (0, 0))
        self.assertEqual(set(figures.values()), {None})

    def test_counts_are_summed_over_scenarios(self):
        results = [result(lost_runs=1, coordinator_kills=3), result("it ended", lost_runs=0, flood_aborts=2)]
        figures = run_scenarios.summed(results)
        self.assertEqual((figures["lost_runs"], figures["coordinator_kills"], figures["flood_aborts"]), (1, 3, 2))
        self.assertEqual((figures["scenarios"], figures["scenarios_failed"]), (2, 1))
        self.assertIsNone(figures["final_model_missing"])

    def test_the_99th_percentile_is_a_measured_value(self):
        self.assertIsNone(run_scenarios.p99([]))
        self.assertEqual(run_scenarios.p99([3.0]), 3.0)
        self.assertEqual(run_scenarios.p99(range(1, 201)), 198)

    def test_every_bar_is_for_a_figure(self):
        cases = {"cases", "right", "wrong", "misleading", "safe_refusals", "crashes"}
        self.assertLessEqual(set(field.BARS), KEYS | cases)
        self.assertIn("MISSED", field.line_of("wrong", 1))
        self.assertIn(" met", field.line_of("wrong", 0))
        self.assertIn("not measured", field.line_of("wrong", None))

    def test_scenarios_have_names_and_the_quick_form_has_every_figure(self):
        names = [run_scenarios.name_of(scenario) for scenario, _, _ in run_scenarios.SCENARIOS]
        self.assertEqual(len(set(names)), len(names))
        quick = {run_scenarios.name_of(scenario) for scenario, _, is_quick in run_scenarios.SCENARIOS if is_quick}
        self.assertLessEqual({"coordinator_killed", "junk_flood", "away_at_the_end", "one_megabit"}, quick)


class OneScenario(unittest.TestCase):
    class Nothing:
        root = pathlib.Path("/nonexistent")

    def test_a_fault_of_the_machine_fails_its_scenario_alone(self):
        found = run_scenarios.run_scenario(self.Nothing, HERE, run_scenarios.kills.nodes_killed, "kills", True)
        self.assertIn("FileNotFoundError", found["failed"])
        self.assertEqual(run_scenarios.summed([found])["scenarios_failed"], 1)


class EventsOfAProgram(unittest.TestCase):
    def test_lines_are_read_once_and_half_lines_later(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "events.jsonl"
            events = federation.Events(path)
            self.assertEqual(events.all(), [])
            first, second = (json.dumps({"at_ms": 1000 * n, "event": "e"}) + "\n" for n in (1, 2))
            path.write_text(first + second[:5])
            self.assertEqual(len(events.all()), 1)
            path.write_text(first + second)
            self.assertEqual([event["at_ms"] for event in events.all("e")], [1000, 2000])
            self.assertEqual(events.wait("e", 0, after=1.5)["at_ms"], 2000)
            self.assertIsNone(events.wait("e", 0, after=2.5))


class SlowLink(unittest.TestCase):
    def pass_through(self, bits_per_second, content):
        """Seconds that the content takes, and the bytes that the link counted."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = Link(server.getsockname()[1], bits_per_second)
            self.addCleanup(link.close)
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", link.port)) as near:
                far, _ = server.accept()
                with far:
                    near.sendall(content)
                    near.shutdown(socket.SHUT_WR)
                    got = b""
                    while block := far.recv(65536):
                        got += block
            seconds = time.monotonic() - began
            self.assertEqual(got, content)
            while link.up < len(content) and time.monotonic() - began < 10:  # it counts what it has passed on
                time.sleep(0.01)
            return seconds, link.up

    def test_bytes_are_counted_and_take_their_time(self):
        seconds, passed = self.pass_through(1_000_000, bytes(25_000))
        self.assertEqual(passed, 25_000)
        self.assertGreaterEqual(seconds, 0.19)


if __name__ == "__main__":
    unittest.main()
