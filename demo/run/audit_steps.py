"""The audit: offline verification, reconciliation with the receipts, a planted change, and a search for names."""

import csv
import json
import random
import shutil

from show import StepFailed, run, say


def tamper(hospital, folder):
    """Changes one byte in the middle of the entries of a copy of the ledger. Returns the copy."""
    copy = folder / "tampered"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(hospital.site / "ledger", copy)
    tile = max((copy / "tile" / "entries").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(tile.read_bytes())
    position = random.Random(7).randrange(len(content) // 4, len(content) // 2)
    content[position] ^= 1
    tile.write_bytes(content)
    return copy, tile.relative_to(copy), position


def forbidden_words(manifests):
    """File names and patient identifiers of every scan: none of them may be in what left."""
    words = set()
    for path in manifests.values():
        with open(path, newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                files = [row["image"]] + ([row["mask"]] if row["mask"] else [])
                words.update([row["patient"], *(file.rsplit("/", 1)[-1] for file in files)])
    return sorted(words)


def audit(federation, out, programs, manifests, rounds):
    auditor = programs / "fovea-audit"
    trust = ["--roster", federation.folder / "roster.json"]
    trust += [word for key in federation.administrators.values() for word in ("--admin", key)]
    log = out / "logs" / "audit.log"
    ledgers = {h.name: h.site / "ledger" for h in federation.hospitals}

    verified = json.loads(run([auditor, "--json", "verify", *ledgers.values(), *trust], log=log).stdout)["data"]
    entries = {name: part["entries"] for name, part in zip(ledgers, verified["ledgers"])}
    sent = {name: part["facts"]["bytes"] for name, part in zip(ledgers, verified["ledgers"])}
    for name, count in entries.items():
        say(
            f"{name}: {count} entries verified offline against the key in the roster; {sent[name] / 1e6:.1f} MB left, "
            f"{sent[name] / 1e6 / rounds:.2f} MB per round"
        )

    site_words = [word for ledger in ledgers.values() for word in ("--site", ledger)]
    reconciled = json.loads(
        run(
            [auditor, "--json", "reconcile", *site_words, "--coordinator", federation.folder / "ledger", *trust],
            log=log,
        ).stdout
    )["data"]
    matched = sum(site["matched"]["bytes"] for site in reconciled["sites"].values())
    unconfirmed = sum(site["unconfirmed"]["bytes"] for site in reconciled["sites"].values())
    say(
        f"bytes in the hospitals' ledgers against the coordinator's receipts: {matched} match, "
        f"{unconfirmed} recorded but never received, {reconciled['unlogged_bytes']} received but not recorded"
    )

    words = forbidden_words(manifests)
    canaries = out / "results" / "identifiers.txt"
    canaries.write_text("\n".join(words) + "\n", encoding="utf-8")
    run([auditor, "verify", *ledgers.values(), *trust, "--canary-file", canaries], log=log)
    say(f"none of the {len(words)} file names and patient identifiers appears in a ledger")

    copy, tile, position = tamper(federation.hospitals[0], out)
    changed = run([auditor, "verify", copy, *trust], log=log, check=False)
    if changed.returncode != 7:
        raise StepFailed(
            f"a ledger with a changed byte was not refused (exit code {changed.returncode})\n"
            f"{changed.stdout}{changed.stderr}"
        )
    say(f"one bit flipped in a copy ({tile}, byte {position}): refused with exit code 7:")
    for line in (changed.stdout + changed.stderr).strip().splitlines()[:4]:
        say(f"  {line}")

    run(
        [
            auditor,
            "report",
            *ledgers.values(),
            federation.folder / "ledger",
            *trust,
            "--out",
            out / "results" / "audit.html",
        ],
        log=log,
    )
    return {
        "ledger_entries": entries,
        "egress_bytes": sent,
        "unlogged_bytes": reconciled["unlogged_bytes"],
        "audit": {
            "verified": verified["verdict"] == "pass",
            "reconciled": reconciled["verdict"] == "pass",
            "tampered_copy_refused": True,
            "matched_bytes": matched,
            "unconfirmed_bytes": unconfirmed,
        },
    }
