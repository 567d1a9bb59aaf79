"""The demonstration: a coordinator and several hospitals train one model and prove afterwards what left each of them.

Called by scripts/demo, which has installed and built everything. See scripts/demo --help."""

import argparse
import concurrent.futures
import csv
import json
import os
import sys
import time
from pathlib import Path

import real_data
import run_folder
from audit_steps import audit
from compare import compare
from federation import Federation, HeldPort
from results import evaluate, picture, print_results
from show import StepFailed, run, say, step
from training import plan_of, train

ROOT = Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=(
            "Sets Fovea up and shows it at work: a coordinator and four hospitals, "
            "five processes that share only sockets, train one model on 3D scans "
            "and prove afterwards what left each hospital."
        ),
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="a folder of real scans instead of phantom patients: soft-tissue-sarcoma, head-neck-ct, "
        "or pairs of files NAME_image.nii.gz with NAME_mask.nii.gz",
    )
    parser.add_argument(
        "--modality", choices=["pet", "mr", "ct"], help="which scans of the folder (soft-tissue-sarcoma: pet or mr)"
    )
    parser.add_argument("--finding", default="", help="labels of the masks that count as findings, for example 3,4")
    parser.add_argument("--compare", action="store_true", help="also train each hospital alone and all data pooled")
    parser.add_argument("--json", type=Path, help="write the facts to this file")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for everything the demonstration writes (default: demo-run, or demo-run-2 "
        "and so on while other copies run)",
    )
    parser.add_argument("--seed", type=int, default=2026, help="seed of the phantom patients (default: 2026)")
    parser.add_argument(
        "--plan", type=Path, default=ROOT / "configs" / "plan.json", help="the plan to run (default: configs/plan.json)"
    )
    parser.add_argument(
        "--patients",
        default="20,6,16",
        metavar="TRAIN,VALIDATION,TEST",
        help="phantom patients per hospital (default: 20,6,16)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="generate and ingest the scans again even if they are there"
    )
    return parser.parse_args()


def programs():
    folder = Path(os.environ.get("FOVEA_BIN", ROOT / "build/release/bin"))
    if not (folder / "fovea-node").exists():
        sys.exit(f"{folder}/fovea-node is not there: run scripts/demo, which builds it")
    return folder


def phantom_scans(options, programs_folder):
    folder = options.out / f"scans-{options.seed}"
    counts = zip(("--training", "--validation", "--test"), options.patients.split(","))
    run(
        [
            programs_folder / "fovea-phantom",
            "--out",
            folder,
            "--seed",
            str(options.seed),
            *[word for pair in counts for word in pair],
        ]
    )
    manifests = {path.parent.name: path for path in sorted(folder.glob("*/studies.csv"))}
    say(
        "phantom patients from one real brain MR (Colin27), warped, "
        "scanned by four different scanners (docs/phantom.md)"
    )
    return (
        real_data.DataSet(
            "phantom brain MR", "MR", "mr-foreground", "lesion", "", 0, [], ["phantom patients, not real ones"]
        ),
        manifests,
    )


def real_scans(options):
    found = real_data.recognise(options.data, options.modality, options.finding)
    folder = options.out / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    manifests = {}
    for site in found.sites:
        manifests[site.name] = folder / f"{site.name}.csv"
        real_data.write_manifest(site, manifests[site.name])
    say(found.title)
    for remark in found.remarks:
        say(f"note: {remark}")
    return found, manifests


def show_manifests(manifests):
    for name, path in manifests.items():
        with open(path, newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        counts = {split: sum(row["split"] == split for row in rows) for split in ("train", "validation", "test")}
        positives = sum(row["mask"] != "" for row in rows)
        say(
            f"{name}: {counts['train']} training, {counts['validation']} validation, "
            f"{counts['test']} test patients; {positives} with findings"
        )


def ingest(federation, data_set):
    """Intake at each hospital, two at a time. Scans that were ingested before are skipped."""

    def one(hospital):
        words = ["data", "ingest", "--manifest", hospital.manifest]
        if data_set.labels:
            words += ["--finding", data_set.labels]
        if data_set.intensity_offset:
            words += [f"--intensity-offset={data_set.intensity_offset}"]
        return hospital, hospital.call(*words, "--workers", "1")

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for hospital, counts in pool.map(one, federation.hospitals):
            say(
                f"{hospital.name}: {counts['taken']} studies ingested, {counts['already_there']} already there, "
                f"{len(counts['refused'])} refused, "
                f"{counts['seconds']:.1f} s"
            )
            for refusal in counts["refused"]:
                say(f"  {refusal['code']}: {refusal['reason']}")


def main():
    options = arguments()
    start = time.monotonic()
    bin_folder = programs()
    options.out, lock = run_folder.choose(options.out and options.out.resolve(), ROOT / "demo-run")
    run_folder.prepare(options.out, options.fresh)
    port = HeldPort()
    say(
        f"The coordinator will listen on 127.0.0.1:{port.number}, reachable from this machine only; "
        "the hospitals dial out."
    )
    say(f"Everything is written to {options.out}.")
    facts = {"fovea_demo": 1}

    with step("Scans"):
        try:
            data_set, manifests = real_scans(options) if options.data else phantom_scans(options, bin_folder)
        except ValueError as error:
            raise StepFailed(str(error)) from error
        show_manifests(manifests)
    federation = Federation(options.out, bin_folder, manifests, port)
    try:
        with step("Join: every hospital generates its own keys"):
            federation.join()
        with step("Intake: each hospital converts its scans to canonical volumes"):
            ingest(federation, data_set)
        with step("Train: find the regions that matter, then aggregate securely, round by round"):
            plan = plan_of(options.plan, data_set, options.out, len(manifests))
            facts.update(train(federation, plan))
        with step("Results on held-out patients"):
            facts["federated"], model = evaluate(federation, options.out / "results", bin_folder)
            picture_file = picture(federation, data_set, model, manifests, options.out / "results")
            print_results(facts["federated"], facts)
        if options.compare:
            with step("Compare: each hospital alone, and all data pooled"):
                facts.update(compare(federation, plan, options.out / "compare", bin_folder, facts["federated"]))
        with step("Audit: what left each hospital"):
            facts.update(audit(federation, options.out, bin_folder, manifests, facts["rounds"]))
    finally:
        federation.stop()
        os.close(lock)
    facts["seconds"] = round(time.monotonic() - start, 1)
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    with step("Where everything is, and what to try next"):
        say(f"model            {model}")
        say(f"picture          {picture_file}")
        say(f"audit report     {options.out / 'results' / 'audit.html'}")
        say(f"one hospital     {federation.hospitals[0].site}")
        say(f"coordinator      {federation.folder}")
        say(f"passphrase       {federation.passphrase} (of every key that a person would hold)")
        say(f"logs             {options.out / 'logs'}")
        if options.json:
            say(f"facts            {options.json}")
        say(
            f"the demonstration took {facts['seconds']:.0f} s; "
            f"all processes together used at most {facts['resident_peak_mb']} MB of memory"
        )
        say()
        say("try: scripts/demo --compare                                 each hospital alone, and all data pooled")
        say("     scripts/demo --data DIR                                real scans instead")
        say(f"     {bin_folder}/fovea-audit --help")
        say(f"     {bin_folder}/fovea-node --site {federation.hospitals[0].site} data list")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
