"""One client of Flower's SecAgg+, timed: Flower's own stage functions, called in the order its workflow calls them.

usage: flower_client.py --sites N --parameters D [--runs R]
Prints one JSON line: median core-seconds (and wall seconds) of the client's own work in stages 0-3,
and the bytes of its
masked upload.
What the other clients send is made beforehand and not timed.
"""

import argparse
import importlib
import json
import os
import statistics
import time

import numpy as np
from flwr.common import ConfigRecord, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (
    bytes_to_private_key,
    bytes_to_public_key,
    encrypt,
    generate_key_pairs,
    generate_shared_key,
    private_key_to_bytes,
    public_key_to_bytes,
)
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import share_keys_plaintext_concat

# The package exports a function of the same name as the module.
mod = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")


class Timer:
    """Adds up what runs inside `with`: core-seconds of this process, and seconds by the wall."""

    def __init__(self):
        self.core = self.wall = 0.0

    def __enter__(self):
        self.start = time.process_time(), time.perf_counter()

    def __exit__(self, *_):
        self.core += time.process_time() - self.start[0]
        self.wall += time.perf_counter() - self.start[1]


def peer(threshold, sites):
    (sk1, pk1), (sk2, pk2) = generate_key_pairs(), generate_key_pairs()
    secret = private_key_to_bytes(sk1)
    return {
        "sk2": private_key_to_bytes(sk2),
        "pk1": public_key_to_bytes(pk1),
        "pk2": public_key_to_bytes(pk2),
        "seed_shares": create_shares(os.urandom(32), threshold, sites),
        "key_shares": create_shares(secret, threshold, sites),
    }


def one_run(sites, parameters, threshold, update):
    own = 1
    state = mod.SecAggPlusState()
    state.nid = own
    configs = ConfigRecord(
        {
            Key.SAMPLE_NUMBER: sites,
            Key.SHARE_NUMBER: sites,
            Key.THRESHOLD: threshold,
            Key.CLIPPING_RANGE: 8.0,
            Key.TARGET_RANGE: 1 << 22,
            Key.MOD_RANGE: 1 << 32,
            Key.MAX_WEIGHT: 1000.0,
        }
    )
    timer = Timer()
    with timer:
        keys = mod._setup(state, configs)

    others = {nid: peer(threshold, sites) for nid in range(own + 1, own + sites)}
    table = {str(own): [keys[Key.PUBLIC_KEY_1], keys[Key.PUBLIC_KEY_2]]}
    table.update({str(nid): [p["pk1"], p["pk2"]] for nid, p in others.items()})
    with timer:
        mod._share_keys(state, ConfigRecord(table))

    own_channel = bytes_to_public_key(keys[Key.PUBLIC_KEY_2])
    sources, sealed = [], []
    for nid, p in others.items():
        shared = generate_shared_key(bytes_to_private_key(p["sk2"]), own_channel)
        sources.append(nid)
        sealed.append(encrypt(shared, share_keys_plaintext_concat(nid, own, p["seed_shares"][0], p["key_shares"][0])))
    with timer:
        masked = mod._collect_masked_vectors(
            state, ConfigRecord({Key.CIPHERTEXT_LIST: sealed, Key.SOURCE_LIST: sources}), 500, update
        )
        mod._unmask(state, ConfigRecord({Key.ACTIVE_NODE_ID_LIST: [own] + list(others), Key.DEAD_NODE_ID_LIST: []}))
    return timer.core, timer.wall, sum(len(part) for part in masked[Key.MASKED_PARAMETERS])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sites", type=int, required=True)
    parser.add_argument("--parameters", type=int, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    threshold = (2 * options.sites) // 3 + 1
    values = np.random.default_rng(7).normal(0, 0.01, options.parameters).astype(np.float32)
    update = ndarrays_to_parameters([values])
    runs = [one_run(options.sites, options.parameters, threshold, update) for _ in range(options.runs)]
    print(
        json.dumps(
            {
                "client_s": statistics.median(r[0] for r in runs),
                "client_wall_s": statistics.median(r[1] for r in runs),
                "upload_bytes": runs[-1][2],
                "runs": options.runs,
                "sites": options.sites,
                "parameters": options.parameters,
            }
        )
    )


if __name__ == "__main__":
    main()
