"""A running process as /proc shows it: threads, descriptors, memory, connections to the database."""

import re
from pathlib import Path


class Process:
    """A process, and the port of its database."""

    def __init__(self, pid, port=None):
        self.directory = Path(f"/proc/{pid}")
        self.port = port

    def threads(self):
        return len(list((self.directory / "task").iterdir()))

    def descriptors(self):
        return len(list((self.directory / "fd").iterdir()))

    def memory(self):
        """KiB of resident memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", (self.directory / "status").read_text())[1])

    def links(self):
        """The targets of its descriptors."""
        for entry in (self.directory / "fd").iterdir():
            try:
                yield str(entry.readlink())
            except OSError:
                continue  # Closed meanwhile.

    def open_files(self, path):
        """The number of descriptors on this file."""
        return list(self.links()).count(path)

    def sockets(self):
        """The number of its connections to the database's port."""
        names = set(self.links())
        found = 0
        for line in (self.directory / "net" / "tcp").read_text().splitlines()[1:]:
            fields = line.split()
            remote = int(fields[2].rpartition(":")[2], 16)
            found += remote == self.port and f"socket:[{fields[9]}]" in names
        return found
