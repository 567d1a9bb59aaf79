"""Puts Flower's client beside ours: reads both results, prints the comparison, adds its figures to our JSON.

usage: compare_flower.py OURS.json FLOWER.json
"""

import json
import sys


def main():
    ours_path, flower_path = sys.argv[1:]
    with open(ours_path, encoding="utf-8") as file:
        ours = json.load(file)
    with open(flower_path, encoding="utf-8") as file:
        flower = json.load(file)
    ours["flower_client_s"] = flower["client_s"]
    ours["flower_client_ratio"] = flower["client_s"] / ours["client_9x10M_s"]
    ours["flower_upload_ratio"] = flower["upload_bytes"] / ours["client_9x10M_upload_bytes"]
    print("\nFlower's SecAgg+ client on the same work (10 sites, 10 M parameters)")
    for key, unit in (
        ("flower_client_s", "core-seconds"),
        ("flower_client_ratio", "times ours"),
        ("flower_upload_ratio", "times our upload"),
    ):
        print(f"  {key:<44} {ours[key]:14.4g} {unit}")
    print(
        "  ours:   a malicious coordinator with up to m colluding sites learns only a sum over at least t "
        "sites; all signed; 256-bit seeds"
    )
    print("  theirs: an honest-but-curious server only; nothing signed; mask seeds of 32 bits")
    with open(ours_path, "w", encoding="utf-8") as file:
        json.dump(ours, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
