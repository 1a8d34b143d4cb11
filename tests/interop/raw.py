"""ZMTP by hand: peers that libzmq would not be."""

import socket

from harness import Failed
from program import WAIT_S


def connect(endpoint):
    """A stream to a tcp://ADDR:PORT of IPv4 or an ipc://PATH."""
    kind, where = endpoint.split("://")
    if kind == "ipc":
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(where)
    else:
        host, port = where.rsplit(":", 1)
        stream = socket.create_connection((host, int(port)))
    stream.settimeout(WAIT_S)
    return stream


def greeting(minor=1, mechanism=b"NULL"):
    return (b"\xff" + bytes(7) + b"\x01\x7f\x03" + bytes([minor]) + mechanism.ljust(20, b"\0") +
            bytes(32))


def ready(kind, identity=None):
    body = b"\x05READY" + metadata(b"Socket-Type", kind)
    if identity is not None:
        body += metadata(b"Identity", identity)
    return b"\x04" + bytes([len(body)]) + body


def metadata(name, value):
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


def frame(body, more=False):
    if len(body) > 255:
        return bytes([2 | more]) + len(body).to_bytes(8, "big") + body
    return bytes([more, len(body)]) + body


def read_until(stream, end):
    """Everything up to and with these bytes."""
    got = b""
    while not got.endswith(end):
        chunk = stream.recv(65536)
        if not chunk:
            raise Failed(f"closed after {got!r}")
        got += chunk
    return got


def read_to_end(stream):
    """What still comes until the other end closes, by an end or a reset."""
    got = b""
    try:
        while chunk := stream.recv(65536):
            got += chunk
    except (ConnectionResetError, BrokenPipeError):
        pass
    except TimeoutError:
        raise Failed(f"not closed after {WAIT_S} s, got {got[:100]!r}") from None
    return got
