"""Garbage, slowness and silence on the port: they end alone, and a good pair goes on."""

import os
import random
import threading
import time

import zmq

import raw
from harness import expect, testcase, until

SLOW = 100
SEED = 20240131


def good_pair(env, program, endpoint):
    """Returns a function that makes n round trips beside whatever else happens."""
    sock = env.socket(zmq.REQ)
    sock.connect(endpoint)

    def trips(n):
        for i in range(n):
            sock.send(b"%d" % i)
            expect(sock.recv() == b"%d" % i, "another answer")
        expect(program.child.poll() is None, "it ended")

    trips(10)
    return trips


def server(env, *options):
    program = env.peer("echo", "ROUTER", "--bind", "tcp://127.0.0.1:*", "--events", *options)
    return program, program.endpoint()


def closed_by(program, endpoint, what):
    """Sends it and waits until our end closes. Its last event for it is a failed handshake."""
    with raw.connect(endpoint) as stream:
        try:
            stream.sendall(what)
        except (BrokenPipeError, ConnectionResetError):
            pass
        raw.read_to_end(stream)
    return program.await_err("event handshake-failed reason=([a-z-]+) .*offset=([0-9]+)")


HELLO = raw.greeting() + raw.ready(b"DEALER")
GARBAGE = {
    "telnet": b"hello?\r\nis anybody there?\r\n" + bytes(64),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(range(200)),
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" + bytes(80),
    "zeros": bytes(500),
    "ones": b"\xff" * 500,
    "mechanism": raw.greeting(mechanism=b"PLAIN") + raw.ready(b"DEALER"),
    "mechanism_unknown": raw.greeting(mechanism=b"NULLX"),
    "message_before_ready": raw.greeting() + raw.frame(b"too early"),
    "ready_cut": raw.greeting() + b"\x04\x08\x05READY\x0bS",
    "ready_long_name": raw.greeting() + b"\x04\x07\x05READY\xff",
    "ready_huge": raw.greeting() + b"\x06" + (1 << 40).to_bytes(8, "big") + bytes(100),
    "command_unknown": raw.greeting() + b"\x04\x05\x04WHAT",
}


@testcase()
def garbage_before_the_handshake(env):
    program, endpoint = server(env)
    trips = good_pair(env, program, endpoint)
    for name, what in GARBAGE.items():
        reason = closed_by(program, endpoint, what)[1]
        expect(reason in ("protocol", "incompatible", "limit"), f"{name}: {reason}")
        trips(20)
    program.stop()


AFTER = {
    "reserved_flags": b"\x80\x01x",
    "size_sign": b"\x02" + b"\xff" * 8 + b"x",
    "size_beyond_the_limit": b"\x02" + (1 << 33).to_bytes(8, "big") + bytes(1000),
    "more_on_a_command": b"\x05\x05\x04PING",
    "empty_command": b"\x04\x00",
    "ping_cut": b"\x04\x05\x04PING",
    "second_ready": raw.ready(b"DEALER"),
    "frames_without_end": b"\x01\x01x" * 2000,
}


@testcase()
def garbage_after_the_handshake(env):
    """A peer that is up and breaks the protocol is closed; it alone is told of."""
    program, endpoint = server(env)
    trips = good_pair(env, program, endpoint)
    for name, what in AFTER.items():
        with raw.connect(endpoint) as stream:
            stream.sendall(HELLO + raw.frame(name.encode()))
            raw.read_until(stream, raw.frame(name.encode()))
            stream.sendall(what)
            raw.read_to_end(stream)
        reason = program.await_err("event disconnected reason=([a-z-]+)")[1]
        expect(reason in ("protocol", "limit"), f"{name}: {reason}")
        trips(20)
    program.stop()


@testcase()
def random_bytes(env):
    """Of any length, from the first byte on or after a good beginning; closed by them or by us."""
    program, endpoint = server(env, "--handshake-ms", 300)
    trips = good_pair(env, program, endpoint)
    rng = random.Random(SEED)
    beginnings = [b"", raw.greeting()[:11], raw.greeting(), HELLO, HELLO + raw.frame(b"x")]
    for number in range(300):
        with raw.connect(endpoint) as stream:
            try:
                stream.sendall(rng.choice(beginnings) + rng.randbytes(rng.randrange(1, 3000)))
            except (BrokenPipeError, ConnectionResetError):
                pass
        if number % 20 == 0:
            trips(5)
    trips(100)
    program.stop()


def strangers(endpoint, cnt, beginning):
    streams = []
    for _ in range(cnt):
        stream = raw.connect(endpoint)
        stream.sendall(beginning)
        streams.append(stream)
    return streams


@testcase()
def slow_and_silent_handshakes(env):
    """A hundred that send a byte now and then, a hundred that have stopped half way: a good pair
    works on, and once the deadline is over they are gone."""
    program, endpoint = server(env, "--handshake-ms", 1500)
    trips = good_pair(env, program, endpoint)
    silent = strangers(endpoint, SLOW // 2, b"") + strangers(endpoint, SLOW // 2, HELLO[:40])
    slow = strangers(endpoint, SLOW, b"\xff")
    stop = threading.Event()

    def drip():
        rest = HELLO[1:]
        for i in range(len(rest)):
            for stream in slow:
                try:
                    stream.send(rest[i:i + 1])
                except OSError:
                    pass
            if stop.wait(0.1):
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    trips(1000)
    late = env.socket(zmq.REQ)  # newcomers are served, too
    late.connect(endpoint)
    late.send(b"late")
    expect(late.recv() == b"late", "another answer")
    for stream in silent + slow:
        raw.read_to_end(stream)
        stream.close()
    stop.set()
    thread.join()
    trips(100)

    def failed():
        return sum("reason=handshake" in line for line in program.err.lines)

    until(lambda: failed() == 2 * SLOW, f"{failed()} of {2 * SLOW} were told of")
    program.stop()


@testcase()
def silent_ones_of_the_default(env):
    """The same with mcq-cat, whose deadline is the library's: they starve nobody meanwhile."""
    program = env.cat("REP", "--bind", "tcp://127.0.0.1:*", "--echo")
    endpoint = program.endpoint()
    streams = strangers(endpoint, SLOW, b"") + strangers(endpoint, SLOW, HELLO[:-1])
    trips = good_pair(env, program, endpoint)
    trips(2000)
    for stream in streams:
        stream.close()
    trips(100)
    program.signal()
    program.expect_exit(0)


@testcase()
def big_announcements(env):
    """Fifty peers announce 60 MiB each and send nothing of it: memory is for what arrives."""
    program, endpoint = server(env)
    trips = good_pair(env, program, endpoint)
    announcement = b"\x02" + (60 << 20).to_bytes(8, "big") + b"x"
    streams = strangers(endpoint, 50, HELLO + announcement)
    trips(500)
    big = env.socket(zmq.REQ)
    big.connect(endpoint)
    body = os.urandom(100000)
    big.send(body)
    expect(big.recv() == body, "another answer")
    for stream in streams:
        stream.close()
    trips(100)
    program.stop()


@testcase()
def peers_that_read_nothing(env):
    """Twenty send and never read what comes back: their own messages stop, nobody else's."""
    program, endpoint = server(env)
    trips = good_pair(env, program, endpoint)
    streams = strangers(endpoint, 20, HELLO)
    chunk = raw.frame(b"x" * 1000) * 60
    full = time.monotonic() + 10
    blocked = set()
    for stream in streams:
        stream.setblocking(False)
    while len(blocked) < len(streams) and time.monotonic() < full:
        for stream in streams:
            try:
                stream.send(chunk)
                blocked.discard(stream)
            except BlockingIOError:
                blocked.add(stream)
        trips(5)
    expect(len(blocked) == len(streams), "it read on without an end")
    trips(500)
    for stream in streams:
        stream.close()
    trips(100)
    gone = "event disconnected reason="
    until(lambda: sum(line.startswith(gone) for line in program.err.lines) == len(streams),
          "their ends are told, though nothing can be sent to them", 10)
    program.stop()
