"""What the model finds on held-out patients, and a picture of one of them."""

import json

from show import run, say, table


def pooled(files, programs):
    return json.loads(run([programs / "fovea-summary", "--json", *files]).stdout)


def evaluate(federation, folder, programs):
    """Each hospital evaluates its own test patients; the demonstration, which plays them all, pools the rows."""
    model = folder / "model.safetensors"
    federation.call("model", "export", "--output", model)
    files = []
    for hospital in federation.hospitals:
        file = folder / f"{hospital.name}.json"
        hospital.call("evaluate", "--model", model, "--split", "test", "--out", file)
        files.append(file)
    facts = pooled(files, programs)
    facts["by_hospital"] = {h.name: pooled([file], programs) for h, file in zip(federation.hospitals, files)}
    return facts, model


def picture(federation, data_set, model, manifests, folder):
    """One test patient with findings, and the regions that the model looked at."""
    import csv

    for hospital in federation.hospitals:
        with open(manifests[hospital.name], newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                if row["split"] == "test" and row["mask"]:
                    out = folder / "picture.png"
                    image = manifests[hospital.name].parent / row["image"]
                    hospital.call(
                        "predict",
                        image,
                        "--model",
                        model,
                        "--picture",
                        out,
                        f"--intensity-offset={data_set.intensity_offset}",
                    )
                    return out
    return None


def number(value):
    return "–" if value is None else f"{value:.3f}"


def with_interval(value, interval):
    if value is None or interval is None:
        return number(value)
    return f"{value:.3f} ({interval['low']:.2f}–{interval['high']:.2f})"


def row_of(name, facts):
    sizes = facts["recall_at_32_by_size"]
    recalls = [number(facts["recall_at"][k]) for k in ("8", "16", "32")]
    by_size = [number(sizes[group]["recall"]) for group in ("under_6_mm", "from_6_to_10_mm", "above_10_mm")]
    return [
        name,
        facts["studies"],
        with_interval(facts["auc"], facts["auc_interval"]),
        number(facts["region_auc"]),
        *recalls,
        *by_size,
        f"{100 * facts['voxels_read_fraction']:.1f} %",
    ]


HEADER = [
    "test patients of",
    "n",
    "study AUC (95 %)",
    "region AUC",
    "@8",
    "@16",
    "@32",
    "<6 mm",
    "6–10",
    ">10",
    "voxels read",
]


def print_results(facts, all_facts):
    say("lesion recall at 8, 16 and 32 regions, and at 32 by size; share of full-resolution voxels read:")
    table(HEADER, [row_of(name, part) for name, part in facts["by_hospital"].items()] + [row_of("all", facts)])
    for note in facts["notes"]:
        say(f"note: {note}")
    say(
        f"{all_facts['rounds']} rounds in {all_facts['training_seconds']:.0f} s; "
        f"prediction takes {facts['seconds_a_study']:.2f} s per study"
    )
