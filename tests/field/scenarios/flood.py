"""A site of the roster that floods the coordinator with junk and resets its connection just before 5 s have passed.

usage: flood.py PORT SERVER-KEY SECRET-KEY LEAD-MS   (keys in hex). It talks to libzmq alone: no signature is needed.
"""

import ctypes
import os
import socket
import struct
import sys
import time

DEALER, PAIR, DONTWAIT = 5, 0, 1
LINGER, SNDHWM, RCVTIMEO, IMMEDIATE = 17, 23, 27, 39
CURVE_PUBLICKEY, CURVE_SECRETKEY, CURVE_SERVERKEY = 48, 49, 50
HANDSHAKE_SUCCEEDED, ANY_HANDSHAKE = 0x1000, 0x7800
HEARTBEAT_S = 5.0
QUIET_S = 4.5


def load():
    library = ctypes.CDLL("libzmq.so.5")
    for name in ("zmq_ctx_new", "zmq_socket"):
        getattr(library, name).restype = ctypes.c_void_p
    library.zmq_socket.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.zmq_setsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
    library.zmq_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.zmq_socket_monitor.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    for name in ("zmq_send", "zmq_recv"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    return library


def connect(zmq, port, server, secret):
    """A socket whose handshake is done."""
    context = zmq.zmq_ctx_new()
    dealer = zmq.zmq_socket(context, DEALER)
    text, public = ctypes.create_string_buffer(41), ctypes.create_string_buffer(41)
    zmq.zmq_z85_encode(text, secret, len(secret))
    zmq.zmq_curve_public(public, text)
    raw = ctypes.create_string_buffer(32)
    zmq.zmq_z85_decode(raw, public)
    for option, value in ((LINGER, 0), (IMMEDIATE, 1), (SNDHWM, 100_000)):
        zmq.zmq_setsockopt(dealer, option, struct.pack("i", value), 4)
    for option, key in ((CURVE_SERVERKEY, server), (CURVE_PUBLICKEY, raw.raw), (CURVE_SECRETKEY, secret)):
        zmq.zmq_setsockopt(dealer, option, key, 32)
    zmq.zmq_socket_monitor(dealer, b"inproc://handshake", ANY_HANDSHAKE)
    monitor = zmq.zmq_socket(context, PAIR)
    zmq.zmq_setsockopt(monitor, RCVTIMEO, struct.pack("i", 8000), 4)
    zmq.zmq_connect(monitor, b"inproc://handshake")
    zmq.zmq_connect(dealer, f"tcp://127.0.0.1:{port}".encode())
    event = ctypes.create_string_buffer(64)
    if zmq.zmq_recv(monitor, event, 64, 0) < 2 or struct.unpack_from("<H", event.raw)[0] != HANDSHAKE_SUCCEEDED:
        sys.exit("no handshake")
    return dealer


def reset_all():
    """Every TCP socket of this process ends by a reset when it is closed."""
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as copy:
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass


def main():
    port, server, secret, lead = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]), sys.argv[4]
    zmq = load()
    dealer = connect(zmq, port, server, secret)
    began, sent, junk, drop = time.monotonic(), 0, b"j" * 64, ctypes.create_string_buffer(4096)
    time.sleep(QUIET_S)
    while time.monotonic() - began < HEARTBEAT_S - float(lead) / 1000:
        for _ in range(50):
            sent += zmq.zmq_send(dealer, junk, len(junk), DONTWAIT) >= 0
        zmq.zmq_recv(dealer, drop, len(drop), DONTWAIT)
    reset_all()
    print(f"sent {sent}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
