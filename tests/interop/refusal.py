"""Peers that may not meet are refused, told of, and harm nobody else."""

import zmq

import raw
from harness import bind, expect, testcase, until

WRONG = [("PULL", zmq.PUB), ("REP", zmq.PUSH), ("PUB", zmq.PULL), ("ROUTER", zmq.SUB),
         ("SUB", zmq.REP), ("PAIR", zmq.DEALER), ("DEALER", zmq.PAIR)]


@testcase()
def incompatible_types(env):
    """Each is told. libzmq may see it first and close."""
    for ours, theirs in WRONG:
        program = env.cat(ours, "--bind", "tcp://127.0.0.1:*")
        sock = env.socket(theirs)
        sock.connect(program.endpoint())
        program.await_err("handshake-failed .*(incompatible|peer-closed|reset)")
        sock.close(0)


LEGAL = {"PAIR": "PAIR", "REQ": "REP ROUTER", "REP": "REQ DEALER", "DEALER": "REP DEALER ROUTER",
         "ROUTER": "REQ DEALER ROUTER", "PUB": "SUB XSUB", "SUB": "PUB XPUB", "PUSH": "PULL",
         "PULL": "PUSH"}
TYPES = "PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB STREAM pull X".split()


@testcase()
def every_pair_of_types(env):
    """The legal ones come up, all others are closed, and that is why."""
    opened = []
    for ours in LEGAL:
        program = env.peer("echo", ours, "--bind", "tcp://127.0.0.1:*", "--events")
        endpoint = program.endpoint()
        streams = {theirs: raw.connect(endpoint) for theirs in TYPES}
        for theirs, stream in streams.items():
            stream.sendall(raw.greeting() + raw.ready(theirs.encode()))
        opened.append((ours, program, streams))
    for ours, program, streams in opened:
        legal = LEGAL[ours].split()
        for theirs in streams.keys() - set(legal):
            raw.read_to_end(streams[theirs])
        until(lambda: program.err.lines.count("up") == len(legal) and
              sum("failed reason=incompatible" in line for line in program.err.lines) ==
              len(TYPES) - len(legal), f"{ours}: as many up and refused as should be")
        for theirs in legal:
            streams[theirs].setblocking(False)
            try:
                while streams[theirs].recv(4096):
                    pass
                expect(False, f"{ours} closed {theirs}")
            except BlockingIOError:
                pass


@testcase()
def incompatible_beside_a_good_one(env):
    program = env.peer("echo", "REP", "--bind", "tcp://127.0.0.1:*", "--events")
    endpoint = program.endpoint()
    good = env.socket(zmq.REQ)
    good.connect(endpoint)
    wrong = [env.socket(kind, reconnect_ivl=1) for kind in (zmq.PUB, zmq.PULL, zmq.REP, zmq.PAIR)]
    for sock in wrong:
        sock.connect(endpoint)
    for i in range(2000):
        good.send(b"%d" % i)
        expect(good.recv() == b"%d" % i, "another answer")
    program.await_err("event handshake-failed")
    expect(program.stop() == 2000, "echoed another number")


@testcase()
def we_connect_to_a_wrong_one(env):
    sock = env.socket(zmq.PUB)
    program = env.cat("PUSH", "--connect", bind(sock, "tcp://127.0.0.1:*"), "--timeout", "2")
    program.write("never\n")
    program.close_stdin()
    program.await_err("handshake-failed")  # a try that ends in a reset is told by the next one
    program.expect_exit(3)


@testcase()
def second_of_a_pair(env):
    program = env.peer("echo", "PAIR", "--bind", "tcp://127.0.0.1:*", "--events")
    endpoint = program.endpoint()
    first = env.socket(zmq.PAIR)
    first.connect(endpoint)
    first.send(b"1")
    expect(first.recv() == b"1", "no answer")
    second = env.socket(zmq.PAIR)
    second.connect(endpoint)
    second.send(b"2")
    program.await_err("event refused reason=limit")
    for i in range(100):
        first.send(b"%d" % i)
        expect(first.recv() == b"%d" % i, "another answer")
    expect(second.poll(50) == 0, "the second one was answered")
    # The place is free again once the first has left.
    first.close(0)
    program.await_err("event disconnected")
    program.await_err("^up$")
    second.send(b"3")
    expect(second.recv() in (b"2", b"3"), "nobody took the first one's place")


@testcase()
def identity_taken(env):
    program = env.peer("echo", "ROUTER", "--bind", "tcp://127.0.0.1:*", "--events")
    endpoint = program.endpoint()
    first = env.socket(zmq.DEALER, identity=b"name")
    first.connect(endpoint)
    first.send(b"1")
    expect(first.recv() == b"1", "no answer")
    second = env.socket(zmq.DEALER, identity=b"name")
    second.connect(endpoint)
    second.send(b"2")
    program.await_err("event refused reason=identity")
    first.send(b"3")
    expect(first.recv() == b"3", "the first one lost its name")
    expect(second.poll(50) == 0, "the second one was answered")


@testcase()
def router_adds_no_delimiter(env):
    program = env.cat("ROUTER", "--bind", "tcp://127.0.0.1:*")
    with raw.connect(program.endpoint()) as stream:
        stream.sendall(raw.greeting() + raw.ready(b"DEALER", b"me") + raw.frame(b"hi"))
        expect(program.line() == "me\thi", "not as it was sent")
        hello = raw.read_until(stream, b"ROUTER" + raw.metadata(b"Identity", b""))
        expect(len(hello) > 64, "no READY")
        program.write("me\tback\tagain\n")
        wanted = raw.frame(b"back", more=True) + raw.frame(b"again")
        got = raw.read_until(stream, wanted)
        expect(got == wanted, f"not as it was sent: {got!r}")
