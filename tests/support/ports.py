"""Ports for servers that must be told their port before they listen."""

import random
import socket

FIRST, LAST = 10_000, 32_000
reserved = []


def free_port():
    """A free loopback port, which no other test on this machine gets until this process ends. It lies below the ports that
    the kernel gives to connections and to listeners on port 0."""
    while True:
        port = random.SystemRandom().randint(FIRST, LAST)
        # The kernel forgets the name when the process ends.
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0watchtower-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        reserved.append(mark)
        return port
