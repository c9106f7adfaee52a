"""A name server on a loopback address that says nothing until it is told to answer."""

import socket
import struct
import threading

PORT = 53
A_RECORD = 1


class NameServer:
    """Answers every question for an address with 127.0.0.1: `with NameServer("127.0.0.99") as server`."""

    def __init__(self, address):
        self.address = address
        self.answers = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, PORT))
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def serve(self):
        while True:
            try:
                question, client = self.socket.recvfrom(512)
                if self.answers:
                    self.socket.sendto(reply(question), client)
            except OSError:
                return


def reply(question):
    end = question.index(b"\0", 12) + 5
    kind = struct.unpack("!H", question[end - 4:end - 2])[0]
    # A name with one address of version 4, and none of version 6.
    records = [struct.pack("!HHHIH", 0xC00C, A_RECORD, 1, 0, 4) + bytes([127, 0, 0, 1])] if kind == A_RECORD else []
    return question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0) + question[12:end] + b"".join(records)
