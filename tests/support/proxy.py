"""A TCP proxy in front of a database that can delay, swallow, cut, refuse or ignore connections.

A connection whose bytes were swallowed never works again, as after a router that forgot it. New connections do.
"""

import queue
import socket
import struct
import threading
import time

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.swallowed = False
        # The number of client messages after which it is cut off; `None`: never.
        self.left = None
        # How many bytes of the present answer have come from the server.
        self.answered = 0

    def close(self):
        for end in (self.client, self.server):
            end.close()

    def reset(self):
        for end in (self.client, self.server):
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                # A thread that reads from it keeps it open; it is woken by this.
                end.shutdown(socket.SHUT_RD)
            except OSError:
                continue
        self.close()


class Proxy:
    """Listens on an address of the loopback, by default with a free port, and forwards to `target`, a port of 127.0.0.1."""

    def __init__(self, target, host="127.0.0.1", port=None):
        self.target = target
        self.host = host
        self.swallows = False
        self.delay_seconds = 0
        self.tripwire = None
        self.longest_answer = None
        self.broken = 0
        self.links = set()
        self.crowd = []
        self.lock = threading.Lock()
        self.port = port
        self.accept()

    def accept(self, backlog=128):
        """Starts listening, on the same port as before."""
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.host, self.port or 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        if backlog:
            threading.Thread(target=self.serve, args=[self.listener], daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            with self.lock:
                self.links.add(link)
                link.left, self.tripwire = self.tripwire, None
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=[link, *ends], daemon=True).start()

    def pump(self, link, source, sink):
        """Reads one end. Another thread sends, so that each byte is delayed by the same time."""
        waiting = queue.SimpleQueue()
        threading.Thread(target=self.send, args=[link, waiting, sink], daemon=True).start()
        try:
            while data := source.recv(65536):
                if link.left is not None and source is link.client:
                    link.left -= 1
                    if not link.left:
                        link.reset()
                        break
                if self.breaks(link, source, len(data)):
                    link.reset()
                    break
                waiting.put((time.monotonic() + self.delay_seconds, data))
        except OSError:
            pass
        waiting.put((time.monotonic() + self.delay_seconds, None))

    def breaks(self, link, source, length):
        """Whether a link must break now, in the middle of an answer of the server."""
        link.answered = link.answered + length if source is link.server else 0
        is_due = self.longest_answer is not None and link.answered > self.longest_answer
        with self.lock:
            self.broken += is_due
        return is_due

    def send(self, link, waiting, sink):
        while True:
            due, data = waiting.get()
            time.sleep(max(0, due - time.monotonic()))
            link.swallowed |= self.swallows
            if data is None:
                break
            try:
                if not link.swallowed:
                    sink.sendall(data)
            except OSError:
                break
        if link.swallowed and sink is link.client:
            return  # The client learns nothing, not even that the server closed.
        with self.lock:
            self.links.discard(link)
        for end in (link.client, link.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        link.close()

    def swallow(self):
        """Accepts and reads, but forwards nothing in either direction."""
        self.swallows = True

    def strand(self):
        """Open connections go silent, without a reset; new connections work."""
        with self.lock:
            for link in self.links:
                link.swallowed = True

    def delay(self, seconds):
        self.delay_seconds = seconds

    def cut(self):
        """Resets every connection."""
        with self.lock:
            links, self.links = self.links, set()
        for link in links:
            link.reset()

    def trip(self, messages):
        """The next connection is reset when its client sends this many messages."""
        with self.lock:
            self.tripwire = messages

    def break_answers(self, longest):
        """Resets each connection on which the server answers with more bytes than these; `broken` counts them."""
        self.longest_answer = longest

    def refuse(self):
        """Resets every connection, and refuses new ones."""
        self.close_listener()
        self.cut()

    def vanish(self):
        """Leaves open connections open and silent; a new attempt to connect gets no answer."""
        self.close_listener()
        self.swallow()
        self.accept(backlog=0)
        # With a full queue the kernel drops the packets of new connections.
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((self.host, self.port))
            self.crowd.append(one)

    def heal(self):
        """Ends every fault. Connections that were swallowed stay dead."""
        if self.swallows:
            self.strand()
        self.swallows = False
        self.delay_seconds = 0
        self.longest_answer = None
        for one in self.crowd:
            one.close()
        if self.crowd or self.listener.fileno() == -1:
            self.crowd = []
            self.close_listener()
            self.accept()

    def close_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def close(self):
        self.close_listener()
        self.cut()
        for one in self.crowd:
            one.close()
