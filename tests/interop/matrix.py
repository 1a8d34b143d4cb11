"""Every legal pair of types, each end bound or connected, each way, single and multipart."""

import errno

import zmq

from harness import bind, expect, need_ipv6, test
from stream import Check, Stream

COUNT = 10000
WINDOW = 100
IDENTITY = {"mcq": b"mcq-side", "zmq": b"zmq-side"}
PROBE = b"?"

# Our type, libzmq's, and what ours does: send or receive a stream, ask (and get it back) or echo.
BOTH_WAYS = ("send", "receive", "ask", "echo")
PAIRS = [
    ("PAIR", "PAIR", BOTH_WAYS),
    ("REQ", "REP", ("ask",)),
    ("REP", "REQ", ("echo",)),
    ("REQ", "ROUTER", ("ask",)),
    ("ROUTER", "REQ", ("echo",)),
    ("DEALER", "REP", ("ask",)),
    ("REP", "DEALER", ("echo",)),
    ("DEALER", "DEALER", BOTH_WAYS),
    ("DEALER", "ROUTER", BOTH_WAYS),
    ("ROUTER", "DEALER", BOTH_WAYS),
    ("ROUTER", "ROUTER", BOTH_WAYS),
    ("PUB", "SUB", ("send",)),
    ("PUB", "XSUB", ("send",)),
    ("SUB", "PUB", ("receive",)),
    ("SUB", "XPUB", ("receive",)),
    ("XPUB", "SUB", ("send",)),
    ("XPUB", "XSUB", ("send",)),
    ("XSUB", "PUB", ("receive",)),
    ("XSUB", "XPUB", ("receive",)),
    ("PUSH", "PULL", ("send",)),
    ("PULL", "PUSH", ("receive",)),
]


class Cell:
    """One end ours, one end libzmq's."""

    def __init__(self, env, ours, theirs, role, binds, multipart, transport="tcp4", size="mixed",
                 count=COUNT):
        self.env = env
        self.ours, self.theirs, self.role = ours, theirs, role
        self.multipart = multipart
        self.size = size
        self.count = env.count(count)
        self.stream = Stream(multipart, size)
        self.check = Check(multipart)
        self.sock = self.open_socket()
        self.program = self.open(binds, transport)

    # Frames that libzmq's end has to put before a message, and finds there.
    @property
    def route_out(self):
        route = [IDENTITY["mcq"]] if self.theirs == "ROUTER" else []
        return route + self.delimiter

    @property
    def route_in(self):
        route = [IDENTITY["mcq"]] if self.theirs == "ROUTER" else []
        return route + self.delimiter

    @property
    def delimiter(self):
        needed = (self.ours, self.theirs) == ("REP", "DEALER")
        return [b""] if needed else []

    def open_socket(self):
        sock = self.env.socket(getattr(zmq, self.theirs))
        sock.sndhwm = 0 if self.theirs in ("PUB", "XPUB") else 1000
        if self.theirs in ("REQ", "DEALER", "ROUTER"):
            sock.identity = IDENTITY["zmq"]
        if self.theirs == "ROUTER":
            sock.router_mandatory = True
        if self.theirs == "SUB":
            sock.subscribe(b"")
        return sock

    def arguments(self):
        args = [self.role, self.ours, "--count", self.count, "--size", self.size,
                "--parts", "multi" if self.multipart else "single"]
        if self.ours in ("REQ", "DEALER", "ROUTER"):
            args += ["--identity", IDENTITY["mcq"].decode()]
        if self.ours in ("ROUTER", "PUB", "XPUB"):
            args += ["--wait", 1]
        if self.ours == "ROUTER":
            args += ["--to", IDENTITY["zmq"].decode()]
        if self.ours in ("PUB", "XPUB"):  # which drops what finds no room
            args += ["--unlimited", "--arena", "192M", "--large-bytes", "256M"]
        if (self.ours, self.theirs) == ("DEALER", "REP"):
            args += ["--delimiter"]
        if self.multipart:
            args += ["--one-by-one"]
        return args

    def open(self, binds, transport):
        anywhere = {"tcp4": "tcp://127.0.0.1:*", "tcp6": "tcp://[::1]:*",
                    "ipc": self.env.ipc()}[transport]
        if transport == "tcp6":
            need_ipv6()
            self.sock.ipv6 = True
        if binds:
            program = self.env.peer(*self.arguments(), "--bind", anywhere)
            self.sock.connect(program.endpoint())
        else:
            endpoint = bind(self.sock, anywhere)
            program = self.env.peer(*self.arguments(), "--connect", endpoint)
        return program

    # --- libzmq's end ---

    def send(self, seq):
        self.sock.send_multipart(self.route_out + self.stream.make(seq))

    def take(self):
        frames = self.sock.recv_multipart()
        route = self.route_in
        expect(frames[:len(route)] == route, f"route {frames[:len(route)]}, expected was {route}")
        self.check.take(frames[len(route):])

    def nothing_more(self):
        expect(self.sock.poll(30) == 0, "a message more than was sent")

    def await_peer(self):
        """Until what is sent arrives: a ROUTER knows its peers, a publisher its subscriptions."""
        if self.theirs == "XPUB":
            expect(self.sock.recv() == b"\x01", "not a subscription to everything")
        elif self.theirs == "PUB":
            self.sock.rcvtimeo = 0
            while not any(line == "ready" for line in self.program.err.lines):
                self.sock.send(PROBE)
                self.program.err.thread.join(0.005)
        elif self.theirs == "ROUTER":
            self.program.await_err(r"^up$")
            self.until_routed()

    def until_routed(self):
        """Our end is up a moment before theirs: the identity is known once READY is read."""
        while True:
            try:
                self.sock.send(IDENTITY["mcq"], zmq.SNDMORE)
                break
            except zmq.ZMQError as err:
                if err.errno != errno.EHOSTUNREACH:
                    raise
                self.program.err.thread.join(0.005)
        self.sock.send(PROBE)

    def sends(self):
        self.await_peer()
        for seq in range(self.count):
            self.send(seq)

    def receives(self):
        if self.theirs == "XSUB":
            self.sock.send(b"\x01")
        for _ in range(self.count):
            self.take()
        self.nothing_more()

    def asks(self):
        if self.theirs == "ROUTER":
            self.program.await_err(r"^up$")
            self.until_routed()
            expect(self.sock.recv_multipart() == [IDENTITY["mcq"], PROBE], "no echo of the probe")
        window = 1 if self.theirs == "REQ" else WINDOW
        for seq in range(self.count):
            if seq >= window:
                self.take()
            self.send(seq)
        for _ in range(min(window, self.count)):
            self.take()
        self.nothing_more()

    def echoes(self):
        for _ in range(self.count):
            self.sock.send_multipart(self.sock.recv_multipart(copy=False), copy=False)

    def run(self):
        if self.role == "echo":
            self.asks()
            probes = 1 if self.theirs == "ROUTER" else 0
            expect(self.program.stop() == self.count + probes, "our end echoed another number")
            return
        {"send": self.receives, "receive": self.sends, "ask": self.echoes}[self.role]()
        expect(self.program.finish() == self.count, "our end counted another number")


def run_cell(env, *args, **options):
    Cell(env, *args, **options).run()


def add(group, ours, theirs, role, binds, multipart, quick, **options):
    does = {"send": "sends", "receive": "receives", "ask": "asks", "echo": "echoes"}[role]
    name = (f"{group}/{ours}-{theirs}/{'binds' if binds else 'connects'}/{does}/"
            f"{'multipart' if multipart else 'single'}")
    test(name, lambda env: run_cell(env, ours, theirs, role, binds, multipart, **options),
         quick=quick)


def add_all():
    number = 0
    for ours, theirs, roles in PAIRS:
        for role in roles:
            for binds in (True, False):
                for multipart in (False, True):
                    # Quick takes a diagonal: each pair, role, end and form, not each combination.
                    add("matrix", ours, theirs, role, binds, multipart, number % 4 in (0, 3))
                    number += 1


TRANSPORT_PAIRS = [("PUSH", "PULL", "send"), ("PULL", "PUSH", "receive"), ("REQ", "REP", "ask"),
                   ("ROUTER", "DEALER", "echo"), ("SUB", "PUB", "receive"), ("PUB", "SUB", "send")]


def add_transports():
    for transport in ("tcp6", "ipc"):
        for number, (ours, theirs, role) in enumerate(TRANSPORT_PAIRS):
            for binds in (True, False):
                add(transport, ours, theirs, role, binds, binds, quick=number % 2 == binds,
                    transport=transport)


# Body bytes and how many messages.
LARGE = {"1MiB": (1 << 20, 60), "16MiB": (1 << 24, 6)}
LARGE_PAIRS = [("PUSH", "PULL", "send"), ("PULL", "PUSH", "receive"), ("REQ", "REP", "ask"),
               ("DEALER", "ROUTER", "ask"), ("ROUTER", "DEALER", "echo"),
               ("PUB", "SUB", "send"), ("SUB", "PUB", "receive")]


def add_large():
    for label, (size, count) in LARGE.items():
        for ours, theirs, role in LARGE_PAIRS:
            for multipart in (False, True):
                add(label, ours, theirs, role, not multipart, multipart, quick=not multipart,
                    size=size, count=count)


add_all()
add_transports()
add_large()
