"""A stretch of network between a client and a server."""

import socket
import threading


class Relay:
    """Passes connections on to an address. `sent`: bytes that went there; `connections`: how many there have been."""

    def __init__(self, address):
        self.sent = self.connections = 0
        self._deaf = 0  # of the first so many connections nothing arrives any more
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        host, port = address.rsplit(":", 1)
        self._to = (host, int(port))
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self):
        """Swallows what is said from now on over the connections there are, either way, and closes none of them."""
        self._deaf = self.connections

    def _accept(self):
        while True:
            here, _ = self._listener.accept()
            there = socket.create_connection(self._to)
            number = self.connections
            self.connections += 1
            for source, target, counted in ((here, there, True), (there, here, False)):
                threading.Thread(target=self._copy, args=(source, target, counted, number), daemon=True).start()

    def _copy(self, source, target, counted, number):
        try:
            while data := source.recv(1 << 16):
                if number < self._deaf:
                    continue
                self.sent += len(data) if counted else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one end is gone
