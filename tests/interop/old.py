"""Peers of ZMTP 2.0 and 1.0, spoken by hand: every pattern, both directions, either side binding;
what they are told when they may not speak; heartbeats beside libzmq's."""

import select
import socket
import time

import zmq

import raw
from harness import bind, expect, testcase
from program import WAIT_S

TYPES = "PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB".split()
VERSIONS = ["2.0", "1.0", "2.1"]  # 2.1: 1.0 as libzmq 2.1 has it, all reserved flags set
ALLOW = ["--opt", "zmtp_min=10"]
SIGNATURE = b"\xff" + bytes(7) + b"\x01\x7f"


class Old:
    """The far end of a connection. ours: the type of the program under test."""

    def __init__(self, stream, version, ours, theirs, identity=b"", name=b""):
        self.stream = stream
        self.version = version
        if version == "2.0":
            self.hello_2(ours, theirs, identity, name)
        else:
            self.hello_1(identity, name)

    def hello_2(self, ours, theirs, identity, name):
        """In stages, as libzmq 3.2 does it."""
        self.stream.sendall(b"\xff" + (len(identity) + 1).to_bytes(8, "big") + b"\x7f")
        self.expect(b"\xff" + (len(name) + 1).to_bytes(8, "big") + b"\x7f\x03")
        self.stream.sendall(b"\x01")
        self.expect(bytes([TYPES.index(ours)]))
        self.stream.sendall(bytes([TYPES.index(theirs)]) + raw.frame(identity))
        self.expect(raw.frame(name))

    def hello_1(self, identity, name):
        """At once, as libzmq 2 does it."""
        self.stream.sendall(self.frame(identity))
        self.expect(b"\xff" + (len(name) + 1).to_bytes(8, "big") + b"\x7f" + name)

    def frame(self, body, more=False):
        if self.version == "2.0":
            return raw.frame(body, more)
        flags = bytes([more | (0x7e if self.version == "2.1" else 0)])
        if len(body) < 254:
            return bytes([len(body) + 1]) + flags + body
        return b"\xff" + (len(body) + 1).to_bytes(8, "big") + flags + body

    def encoded(self, *frames):
        last = len(frames) - 1
        return b"".join(self.frame(f, i < last) for i, f in enumerate(frames))

    def send(self, *frames):
        self.stream.sendall(self.encoded(*frames))

    def read(self, cnt):
        got = bytearray()
        while len(got) < cnt:
            chunk = self.stream.recv(min(cnt - len(got), 1 << 20))
            expect(chunk, f"closed after {bytes(got[:50])!r}")
            got += chunk
        return bytes(got)

    def expect(self, wanted):
        got = self.read(len(wanted))
        expect(got == wanted, f"{self.version}: {got[:80]!r}, not {wanted[:80]!r}")

    def expect_message(self, *frames):
        """Flags are as the specification has them, whatever the peer's own are."""
        version, self.version = self.version, "2.0" if self.version == "2.0" else "1.0"
        wanted = self.encoded(*frames)
        self.version = version
        self.expect(wanted)

    def expect_silence(self):
        self.stream.settimeout(0.05)
        try:
            got = self.stream.recv(100)
            expect(False, f"more came: {got!r}")
        except TimeoutError:
            pass
        self.stream.settimeout(WAIT_S)

    def close(self):
        self.stream.close()


class Meeting:
    """mcq-cat and an old peer; either may be the one that binds."""

    def __init__(self, env, version, ours, theirs, *args, we_bind=True, identity=b"", name=b""):
        allow = ALLOW if version != "2.0" else []
        if we_bind:
            self.program = env.cat(ours, "--bind", "tcp://127.0.0.1:*", *allow, *args)
            stream = raw.connect(self.program.endpoint())
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            listener.settimeout(WAIT_S)
            where = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            self.program = env.cat(ours, "--connect", where, *allow, *args)
            stream = listener.accept()[0]
            stream.settimeout(WAIT_S)
            listener.close()
        self.peer = Old(stream, version, ours, theirs, identity, name)

    def close(self):
        self.peer.close()
        self.program.signal()
        self.program.expect_exit(0)

    def finish(self):
        """The program ends by itself."""
        self.program.close_stdin()
        expect(raw.read_to_end(self.peer.stream) == b"", "more came")
        self.peer.close()
        self.program.expect_exit(0)


def meetings(env, ours, theirs, *args, **more):
    for version in VERSIONS:
        for we_bind in (True, False):
            yield Meeting(env, version, ours, theirs, *args, we_bind=we_bind, **more)


# Around each length at which a header changes its form, and one that gets a block of its own.
BODIES = [b"", b"x", b"a" * 252, b"b" * 253, b"c" * 254, b"d" * 255, b"e" * 256, b"f" * 70000,
          b"g" * 400000]


def line(*frames):
    return "\t".join(f.decode() for f in frames) + "\n"


# --- every pattern -------------------------------------------------------------------------------


@testcase()
def pushed_to_us(env):
    for m in meetings(env, "PULL", "PUSH"):
        for body in BODIES:
            m.peer.send(body)
            expect(m.program.line() + "\n" == line(body), f"{len(body)} bytes")
        m.peer.send(*BODIES[1:])
        expect(m.program.line() + "\n" == line(*BODIES[1:]), "multipart")
        m.peer.stream.sendall(m.peer.encoded(b"1") * 1000 + m.peer.encoded(b"2", b"3") * 1000)
        for i in range(2000):
            expect(m.program.line() == ("1" if i < 1000 else "2\t3"), f"message {i}")
        m.close()


@testcase()
def in_small_pieces(env):
    """Wherever the stream is cut, long headers and all."""
    for m in meetings(env, "PULL", "PUSH"):
        whole = m.peer.encoded(b"one") + m.peer.encoded(b"two", b"") + m.peer.encoded(b"d" * 300)
        for i in range(len(whole)):
            m.peer.stream.sendall(whole[i:i + 1])
            if i % 40 == 0:
                time.sleep(0.001)
        for wanted in ("one", "two\t", "d" * 300):
            expect(m.program.line() == wanted, wanted[:10])
        m.close()


@testcase()
def pushed_by_us(env):
    for m in meetings(env, "PUSH", "PULL"):
        for body in BODIES:
            m.program.write(line(body))
            m.peer.expect_message(body)
        m.program.write(line(*BODIES[1:]))
        m.peer.expect_message(*BODIES[1:])
        m.program.write(line(b"1") * 1000 + line(b"2", b"3") * 1000)
        for i in range(2000):
            m.peer.expect_message(*([b"1"] if i < 1000 else [b"2", b"3"]))
        m.finish()


@testcase()
def pairs(env):
    for m in meetings(env, "PAIR", "PAIR", "--echo"):
        for body in BODIES:
            m.peer.send(body, b"and", body)
            m.peer.expect_message(body, b"and", body)
        m.close()


@testcase()
def they_ask(env):
    """A REQ of theirs and our REP, which puts the delimiter back; behind a path, too."""
    for m in meetings(env, "REP", "REQ", "--echo"):
        for body in BODIES:
            m.peer.send(b"", body)
            m.peer.expect_message(b"", body)
        m.peer.send(b"p" * 254, b"q", b"", b"body", b"end")
        m.peer.expect_message(b"p" * 254, b"q", b"", b"body", b"end")
        m.close()


@testcase()
def we_ask(env):
    for m in meetings(env, "REQ", "REP", "--identity", "us", name=b"us"):
        for body in (b"one", b"d" * 254):
            m.program.write(line(body))
            m.peer.expect_message(b"", body)
            m.peer.send(b"", b"answer", body)
            expect(m.program.line() + "\n" == line(b"answer", body), "the answer")
        m.finish()


@testcase()
def routed_by_identity(env):
    """The longest name has a long header in 1.0, as has ours in the signature."""
    for name in (b"them", b"t" * 253, b"t" * 254, b"t" * 255):
        for m in meetings(env, "ROUTER", "DEALER", identity=name):
            m.peer.send(b"hello", b"", b"you")
            expect(m.program.line() + "\n" == line(name, b"hello", b"", b"you"), "not from them")
            m.program.write(line(name, b"back", b""))
            m.peer.expect_message(b"back", b"")
            m.close()


@testcase()
def we_deal(env):
    for name in (b"us", b"u" * 255):
        for m in meetings(env, "DEALER", "ROUTER", "--identity", name.decode(), name=name):
            m.program.write(line(b"a", b""))
            m.peer.expect_message(b"a", b"")
            m.peer.send(b"b", b"c")
            expect(m.program.line() == "b\tc", "not as it was sent")
            m.close()


@testcase()
def anonymous_to_a_router(env):
    """Such a peer gets a name that is made up, and answers find it."""
    for version in VERSIONS:
        m = Meeting(env, version, "ROUTER", "DEALER", "--echo")
        m.peer.send(b"hello")
        m.peer.expect_message(b"hello")
        m.close()


@testcase()
def they_subscribe(env):
    """2.0 by messages; 1.0 not at all, so it gets everything and filters for itself."""
    for m in meetings(env, "PUB", "SUB", "--wait", "1"):
        forwards = m.peer.version == "2.0"
        if forwards:
            m.peer.send(b"\x01ab")
        m.program.write(line(b"abc") + line(b"xyz", b"2") + line(b"ab", b"d" * 254))
        m.peer.expect_message(b"abc")
        if not forwards:
            m.peer.expect_message(b"xyz", b"2")
        m.peer.expect_message(b"ab", b"d" * 254)
        m.close()


@testcase()
def they_unsubscribe(env):
    """A later subscription that works says that the end of an earlier one was heard."""
    topic = b"t" * 254
    for we_bind in (True, False):
        m = Meeting(env, "2.0", "PUB", "SUB", "--wait", "1", we_bind=we_bind)
        m.peer.send(b"\x01a")
        m.program.write(line(b"a1"))
        m.peer.expect_message(b"a1")
        m.peer.send(b"\x00a")
        m.peer.send(b"\x01" + topic)
        m.program.write(line(topic))
        while not select.select([m.peer.stream], [], [], 0.01)[0]:
            m.program.write(line(topic))
        m.program.write(line(b"a2") + line(b"tt") + line(topic + b"end"))
        got = m.peer.read(len(m.peer.encoded(topic + b"end")))
        while not got.endswith(b"end"):
            got += m.peer.read(1)
        expect(got.startswith(m.peer.encoded(topic)), f"{got[:20]!r}")
        rest = got.replace(m.peer.encoded(topic), b"")
        expect(rest == m.peer.encoded(topic + b"end"), f"{rest[:50]!r}")
        m.close()


@testcase()
def we_subscribe(env):
    """As messages, to a 1.0 publisher as well, which sends what it likes: it is filtered here."""
    for m in meetings(env, "SUB", "PUB", "--subscribe", "ab"):
        m.peer.expect_message(b"\x01ab")
        for frames in ([b"abc"], [b"xyz"], [b"ab", b"2"], [b""], [b"ab" + b"d" * 300]):
            m.peer.send(*frames)
        for wanted in ("abc", "ab\t2", "ab" + "d" * 300):
            expect(m.program.line() == wanted, wanted[:10])
        m.peer.expect_silence()
        m.close()


# --- who may not speak ---------------------------------------------------------------------------


def refused(env, what, *options):
    """Why a stream that begins so ends."""
    program = env.peer("echo", "PULL", "--bind", "tcp://127.0.0.1:*", "--events", *options)
    with raw.connect(program.endpoint()) as stream:
        stream.sendall(what)
        got = raw.read_to_end(stream)
    match = program.await_err("event handshake-failed reason=([a-z-]+) .*offset=([0-9]+)")
    text = match.string
    program.stop()
    return match[1], int(match[2]), text, got


@testcase()
def versions_below_the_minimum(env):
    """By default 2.0 is met and 1.0 isn't."""
    for what in (b"\x01\x00", b"\x01\x7e", b"\x05\x7eabcd", b"\xff" + bytes(7) + b"\x05\x00abcd"):
        reason, offset, text, got = refused(env, what)
        expect(reason == "incompatible" and offset == 0 and "1.0" in text, text)
        expect(got == SIGNATURE, f"it was told {got!r}")
    reason, offset, text, got = refused(env, SIGNATURE + b"\x01\x08", "--opt", "zmtp_min=30")
    expect(reason == "incompatible" and offset == 10 and "2.0" in text, text)
    expect(got in (SIGNATURE, SIGNATURE + b"\x03"), f"it was told {got!r}")


@testcase()
def faults_of_old_peers(env):
    two = SIGNATURE + b"\x01"
    for what, options, wanted in (
            (two + b"\x01", [], ("incompatible", 11)),
            (two + b"\x08\x01\x00", [], ("protocol", 12)),
            (two + b"\x08\x00\x02\x00a", [], ("protocol", 12)),
            (two + b"\x08\x04\x00", [], ("protocol", 12)),
            (b"\x03\x01ab", ALLOW, ("protocol", 0)),
            (b"\x03\x00\x00b", ALLOW, ("protocol", 0)),
            (b"GET / HTTP/1.1\r\n\r\n", ALLOW, ("protocol", 0)),
            (bytes(64), ALLOW, ("protocol", 0)),
            (b"\xff" + bytes(6) + b"\x01\x01\x00", ALLOW, ("protocol", 0))):
        reason, offset, text, _ = refused(env, what, *options)
        expect((reason, offset) == wanted, f"{what[:20]!r}: {text}")


@testcase()
def all_versions_beside_each_other(env):
    """One socket, a peer of each version and libzmq's."""
    program = env.cat("REP", "--bind", "tcp://127.0.0.1:*", "--echo", *ALLOW)
    endpoint = program.endpoint()
    olds = [Old(raw.connect(endpoint), version, "REP", "REQ") for version in VERSIONS * 5]
    new = env.socket(zmq.REQ)
    new.connect(endpoint)
    for i in range(100):
        text = b"%d" % i
        for peer in olds:
            peer.send(b"", text)
        new.send(text)
        expect(new.recv() == text, "another answer")
        for peer in olds:
            peer.expect_message(b"", text)
    for peer in olds:
        peer.close()
    program.signal()
    program.expect_exit(0)


@testcase()
def they_go_and_come_back(env):
    """As another version each time: the socket keeps what it has for them, whole messages all."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(WAIT_S)
    where = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    program = env.cat("PUSH", "--connect", where, "--opt", "reconnect_min_ms=10", *ALLOW)
    for number, version in enumerate(VERSIONS * 3):
        stream = listener.accept()[0]
        stream.settimeout(WAIT_S)
        peer = Old(stream, version, "PUSH", "PULL")
        program.write(line(b"%d" % number, b"d" * 254))
        peer.expect_message(b"%d" % number, b"d" * 254)
        peer.close()
    program.signal()
    program.wait()
    listener.close()


# --- heartbeats ----------------------------------------------------------------------------------

BEAT = ["--opt", "heartbeat_ms=30", "--opt", "heartbeat_timeout_ms=10000"]


@testcase()
def heartbeats_with_libzmq(env):
    """Both sides beat, one, or the other: nobody is lost in many periods, and all works after."""
    for ours, theirs in ((BEAT, 0), ([], 30), (BEAT, 30)):
        sock = env.socket(zmq.PAIR, heartbeat_ivl=theirs, heartbeat_timeout=10000)
        program = env.peer("echo", "PAIR", "--bind", "tcp://127.0.0.1:*", "--events", *ours)
        sock.connect(program.endpoint())
        sock.send(b"1")
        expect(sock.recv() == b"1", "no answer")
        time.sleep(0.4)
        sock.send(b"2")
        expect(sock.recv() == b"2", "no answer")
        expect(not any("disconnected" in text for text in program.err.lines), "lost")
        program.stop()
        sock.close(0)


@testcase()
def our_ttl_keeps_libzmq(env):
    """It ends who is silent for longer than it said; our PINGs are that often."""
    sock = env.socket(zmq.PAIR)
    program = env.peer("echo", "PAIR", "--connect", bind(sock, "tcp://127.0.0.1:*"), "--events",
                       *BEAT, "--opt", "heartbeat_ttl_ms=1000")
    program.await_err("^up$")
    time.sleep(1.6)
    sock.send(b"1")
    expect(sock.recv() == b"1", "no answer")
    expect(not any("disconnected" in text for text in program.err.lines), "lost")
    program.stop()


@testcase()
def a_silent_peer_is_dead(env):
    """One that doesn't answer: told with its reason."""
    program = env.peer("echo", "DEALER", "--bind", "tcp://127.0.0.1:*", "--events",
                       "--opt", "heartbeat_ms=30", "--opt", "heartbeat_ttl_ms=250")
    with raw.connect(program.endpoint()) as stream:
        stream.sendall(raw.greeting() + raw.ready(b"DEALER"))
        got = raw.read_to_end(stream)
    expect(got.count(b"\x04PING") == 1 and got.endswith(b"\x04\x07\x04PING\x00\x03"), f"{got!r}")
    program.await_err("event disconnected reason=heartbeat")
    program.stop()
