"""A link between a site and the coordinator: slow, black, or cut."""

import socket
import struct
import threading
import time


class Link:
    """Passes TCP connections on to a port of this machine, at most so many bits a second in each direction."""

    BLOCK = 4096

    def __init__(self, target, bits_per_second=None):
        self.target, self.bytes_per_second = target, bits_per_second / 8 if bits_per_second else None
        self.up = self.down = 0  # bytes that passed, from the site and to it
        self.black = False  # swallows what is sent, in silence
        self.lock, self.pairs = threading.Lock(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            for side in (near, far):
                # A real link holds little: what waits stays with its sender, where its bytes can be counted.
                side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
                side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
            self.pairs.append((near, far))
            for source, sink, name in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._pass, args=(source, sink, name), daemon=True).start()

    def _pass(self, source, sink, name):
        due = time.monotonic()
        try:
            while block := source.recv(self.BLOCK):
                if self.black:
                    continue
                if self.bytes_per_second:
                    due = max(due, time.monotonic()) + len(block) / self.bytes_per_second
                    time.sleep(max(0, due - time.monotonic()))
                sink.sendall(block)
                with self.lock:
                    setattr(self, name, getattr(self, name) + len(block))
        except OSError:
            pass
        if self.black:  # nor does an end of one side reach the other
            return
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def reset(self):
        """Both sides of every connection are gone, by a reset."""
        for pair in self.pairs:
            for side in pair:
                try:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    side.close()
                except OSError:
                    pass
        self.pairs = []

    def close(self):
        self.listener.close()
        self.reset()
