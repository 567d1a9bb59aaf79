"""Measures intake: share of studies ingested, crashes, speed from disk to bricks beside plain ITK, peak memory, and
the sandbox's cost.

Throughput: plain ITK reads the files and we ingest them, with the sandbox and without it, in turn, each on one core,
then we on two; each time in a fresh process. Reported are the medians of the ratios within a round. ITK only reads;
our time includes hashing, parsing in the sandbox, statistics, the coarse level, sealing, and the catalogue. All find
their files in memory, and our bricks go to memory too (/dev/shm) where there is one: ITK writes nothing, so only we
would pay for a slow disk; "durable_s" is the same ingest onto the disk of --work. Without --data's folder of real
scans the files are generated.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(os.environ["FOVEA_ROOT"])
BIN = pathlib.Path(os.environ["FOVEA_BIN"])
BARS = [
    ("taken_fraction", ">=", 0.95),
    ("crashes", "<=", 0),
    ("wrong_geometries", "<=", 0),
    ("throughput_vs_itk_1core", ">=", 0.8),
    ("throughput_vs_itk_2core", ">=", 1.7),
    ("peak_over_largest", "<=", 3),
    ("sandbox_overhead", "<=", 0.10),
]
LARGEST_BYTES = 512 * 512 * 320 * 2  # of intake_bench large


def say(text):
    print(text, file=sys.stderr, flush=True)


def bench(*words, **options):
    return subprocess.run([str(BIN / "intake_bench"), *map(str, words)], check=True, **options)


def studies(data, work, quick):
    """The files of the comparison, and where they come from."""
    if not data.is_dir():
        generated = work / "generated"
        generated.mkdir()
        bench("generate", generated)
        return sorted(generated.glob("*.nii.gz")), "generated volumes (no real data found)"
    some = (lambda paths, count: sorted(paths)[:count]) if quick else (lambda paths, count: sorted(paths))
    out = some((data / "hippocampus/images").glob("*.nii.gz"), 60)
    out += some((data / "head-neck-ct").glob("*_ct.nii.gz"), 60)
    out += some((data / "soft-tissue-sarcoma").glob("*/*_image.nii.gz"), 20)
    series = (data / "dicom/mr-series-STS_001/dicom/image", data / "dicom/pet-series/STS_001/dicom/image")
    out += [folder for folder in series if folder.is_dir()]
    return out, f"real scans in {data}"


# Ways of reading the files: the argument of intake_bench, and the number of cores.
WAYS = {
    "itk": ("itk", 1),
    "ours_1core": ("sandboxed", 1),
    "ours_without_sandbox": ("bare", 1),
    "ours_2core": ("sandboxed", 2),
}


def timed(way, listed, site):
    """Seconds by the wall clock and of processor time, and the bytes of all voxels."""
    what, cores = WAYS[way]
    chosen = set(sorted(os.sched_getaffinity(0))[:cores])
    words = [what, listed] if what == "itk" else [what, cores, site, listed]
    done = bench(*words, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, chosen))
    return json.loads(done.stdout)


def compare(listed, site, rounds):
    """Medians over rounds of the ratios within each: a load that lasts a while slows all of one round alike."""
    timed("itk", listed, site)  # once before, so that every way finds the files in memory
    seen = {way: [] for way in WAYS}
    for number in range(rounds):
        # With and without the sandbox next to each other, in alternating order.
        pair = ["ours_1core", "ours_without_sandbox"]
        for way in ["itk", *(pair if number % 2 == 0 else reversed(pair)), "ours_2core"]:
            seen[way].append(timed(way, listed, site))
        last = {way: runs[-1] for way, runs in seen.items()}
        times = (f"{way} {run['wall']:.2f} s ({run['core']:.2f} of the processor)" for way, run in last.items())
        say(f"  round {number + 1} of {rounds}: " + ", ".join(times))

    def ratios(clock, cores):
        def median_ratio(of, to):
            return statistics.median(a[clock] / b[clock] for a, b in zip(seen[of], seen[to]))

        return {
            "throughput_vs_itk_1core": median_ratio("itk", "ours_1core"),
            "throughput_vs_itk_2core": median_ratio("itk", "ours_2core") * cores,
            "sandbox_overhead": median_ratio("ours_1core", "ours_without_sandbox") - 1,
        }

    report = ratios("wall", 1)
    report["studies"] = len(listed.read_text().splitlines())
    report["voxel_bytes"] = seen["itk"][0]["bytes"]
    report["rounds"] = rounds
    report["seconds"] = {way: statistics.median(run["wall"] for run in runs) for way, runs in seen.items()}
    report["processor_time"] = ratios("core", 2)  # of two cores: each gave half of it
    return report


def processes_below(root):
    """The process and its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    out, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in out} - out
        out |= more
        grown = bool(more)
    return out


def proportional_bytes(pid):
    """Resident memory with shared pages divided among those who share them."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def list_of(files, work, name):
    out = work / name
    out.write_text("".join(f"{path}\n" for path in files))
    return out


def peak_memory(large, small, work):
    """Peak of the whole process tree while the largest volume is ingested among small ones, two at a time."""
    site = work / "memory-site"
    listed = list_of([large, *small], work, "peak.txt")
    command = [str(BIN / "intake_bench"), "sandboxed", "2", str(site), str(listed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak, samples, ended = 0, 0, threading.Event()
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(0.01):
        peak = max(peak, sum(proportional_bytes(pid) for pid in processes_below(process.pid)))
        samples += 1
    if process.returncode != 0:
        raise SystemExit("the ingest of the largest volume failed")
    shutil.rmtree(site)
    return peak, samples


# Words in the refusal of a file whose parser child was killed; each costs that file only.
CONTAINED = {
    "signal": "died of signal",
    "forbidden call": "sandbox stopped",
    "time": "took longer than the time limit",
    "processor time": "more processor time",
}
UNNAMED = ("without an answer", "gave no answer", "does not answer")


def ingest_folder(folder, site):
    """Ingests a folder of any files: (a line per crash, contained deaths by kind, how many were ingested and refused).

    A crash is a node that dies, hangs or ends with an unknown status, or a file whose fate is not reported. A parser
    child that dies in its sandbox and is reported as its file's refusal is counted apart: that is the sandbox at work.
    """
    node = [str(BIN / "fovea-node"), "--site", str(site), "--json", "--quiet"]
    command = [*node, "data", "ingest", str(folder)]
    if not (site / "site.json").exists():
        subprocess.run(
            [*node, "--passphrase-fd", "0", "init", "bench"],
            input="only for this benchmark\n",
            capture_output=True,
            text=True,
            check=True,
        )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    except subprocess.TimeoutExpired:
        return ["the node did not end"], {}, {}
    if done.returncode not in (0, 1, 8):
        return [f"the node ended with {done.returncode}"], {}, {}
    data = {}
    for line in done.stdout.splitlines():
        data = json.loads(line).get("data", data)
    if "refused" not in data:
        return ["the node gave no report"], {}, {}
    reasons = [entry["reason"] for entry in data["refused"] + data.get("left_alone", [])]
    unexplained = [reason for reason in reasons if not reason or any(text in reason for text in UNNAMED)]
    crashed = [reason or "a refusal without a reason" for reason in unexplained]
    deaths = {kind: sum(text in reason for reason in reasons) for kind, text in CONTAINED.items()}
    counts = {
        "taken": data.get("taken", 0),
        "refused": len(data["refused"]),
        "left_alone": sum(entry["files"] for entry in data.get("left_alone", [])),
    }
    return crashed, {kind: count for kind, count in deaths.items() if count}, counts


def crashes(data, work, quick):
    """(crashes, contained deaths, counts per corpus)"""
    hostile = work / "hostile"
    command = [str(BIN / "hostile_scans"), "--out", str(hostile), "--count", "300" if quick else "3000"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    crashed, contained, seen = 0, 0, {}
    for name, folder in [("hostile", hostile), ("dicom", data / "dicom")]:
        if not folder.is_dir():
            continue
        began = time.monotonic()
        lines, deaths, counts = ingest_folder(folder, work / f"site-{name}")
        seen[name] = {**counts, "contained_deaths": deaths, "seconds": round(time.monotonic() - began, 1)}
        say(f"  {name}: {seen[name]}")
        crashed += len(lines)
        contained += sum(deaths.values())
        for line in lines:
            say(f"  {name}: {line}")
    return crashed, contained, seen


def reference(data, work):
    """taken_fraction and wrong_geometries against independent readers, which Debian's own Python has."""
    script, result = ROOT / "bench/peers/intake_reference.py", work / "reference.json"
    if not script.exists() or not data.is_dir():
        return {}
    command = ["/usr/bin/python3", str(script), "--node", str(BIN / "fovea-node"), "--data", str(data)]
    done = subprocess.run([*command, "--json", str(result)], stdout=sys.stderr)
    return json.loads(result.read_text()) if done.returncode == 0 and result.exists() else {}


def measure(options, work):
    files, source = studies(options.data, work, options.quick)
    say(f"throughput: {len(files)} studies, {source}")
    listed = list_of(files, work, "list.txt")
    memory = pathlib.Path("/dev/shm")
    site = pathlib.Path(tempfile.mkdtemp(prefix="fovea-intake-", dir=memory if os.access(memory, os.W_OK) else work))
    try:
        report = compare(listed, site / "site", 15 if options.quick else 25)
    finally:
        shutil.rmtree(site)
    report["source"] = source
    single_files = [path for path in files if path.is_file()]
    report["durable_s"] = timed("ours_2core", list_of(single_files, work, "files.txt"), work / "durable")["wall"]
    say("peak memory: 512 x 512 x 320 voxels of 16 bits among smaller volumes, two workers")
    large = work / "large.nii.gz"
    bench("large", large)
    peak, samples = peak_memory(large, single_files[-20:], work)
    report["peak_over_largest"], report["peak_bytes"], report["peak_samples"] = peak / LARGEST_BYTES, peak, samples
    say("corpora: hostile files, and every DICOM file of the real data")
    report["crashes"], report["contained_deaths"], report["corpora"] = crashes(options.data, work, options.quick)
    compared = reference(options.data, work)
    report.update({key: compared[key] for key in ("taken_fraction", "wrong_geometries") if key in compared})
    return report


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench intake", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds: within five minutes on two cores")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there")
    parser.add_argument(
        "--data", type=pathlib.Path, default=ROOT.parent / "shared/data", help="the folder of real scans"
    )
    parser.add_argument("--work", type=pathlib.Path, help="where to work (a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fovea-intake-", dir=options.work) as folder:
        report = measure(options, pathlib.Path(folder))
    for key, relation, bar in BARS:
        if key not in report:
            print(f"{key:26} not measured")
            continue
        met = report[key] >= bar if relation == ">=" else report[key] <= bar
        print(f"{key:26} {report[key]:8.3f}   bar {relation} {bar}   {'met' if met else 'MISSED'}")
    deaths = report["contained_deaths"]
    print(f"{'contained_deaths':26} {deaths:8d}   of parser children, each reported as its file's refusal")
    print(f"by processor time instead of the wall clock: {report['processor_time']}")
    print(f"onto the disk, durably, two workers: {report['durable_s']:.2f} s; files: {report['source']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
