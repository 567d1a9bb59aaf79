"""The same training without a federation, to compare with.

Each hospital alone trains with the same steps; all data pooled with the same total of steps."""

import concurrent.futures
import json

from results import HEADER, row_of
from show import run, say, table


def compare(federation, plan, folder, programs, federated):
    folder.mkdir(parents=True, exist_ok=True)
    sites = {h.name: h.site for h in federation.hospitals}

    def baseline(mode, name, chosen):
        out = folder / f"{name}.json"
        test = [word for site in sites.values() for word in ("--test-site", site)]
        train = [word for site in chosen for word in ("--train-site", site)]
        run(
            [programs / "fovea-baselines", "--mode", mode, "--plan", plan, *train, *test, "--out", out],
            log=federation.root / "logs" / "compare.log",
        )
        return json.loads(out.read_text(encoding="utf-8"))

    # The pooled training is as long as all the others together, so it runs beside them.
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        pooled = pool.submit(baseline, "pooled", "pooled", list(sites.values()))
        single = {name: pool.submit(baseline, "single", name, [site]) for name, site in sites.items()}
        facts = {"pooled": pooled.result(), "single": {name: task.result() for name, task in single.items()}}
    say("every model on all hospitals' test patients:")
    table(
        ["trained on"] + HEADER[1:],
        [row_of(f"{name} alone", part) for name, part in facts["single"].items()]
        + [row_of("federation", federated), row_of("all data pooled", facts["pooled"])],
    )
    best = max(part["recall_at"]["32"] or 0 for part in facts["single"].values())
    ours = federated["recall_at"]["32"] or 0
    say(
        f"recall at 32: federation {ours:.3f}, best single hospital {best:.3f}, "
        f"pooled {facts['pooled']['recall_at']['32']:.3f}"
    )
    return facts
