"""mcq-proxy between libzmq's sockets: each pair of types, what the capture sees, the commands of
zmq_proxy_steerable, and subscribers that don't read."""

import os
import struct
import time

import zmq

import raw
from harness import Program, expect, testcase

ANY = "tcp://127.0.0.1:*"
STALLED = 30
STALLED_LINES_MAX = 400  # of stderr; without a limit there is one for each peer and turn
SIZE = 10000


def start(env, front, back, *options):
    """Returns the program, and where it is bound, by side."""
    program = env.start(Program, [os.path.join(env.bin, "mcq-proxy"), front, back, "--front", ANY,
                                  "--back", ANY, *options])
    sides = 2 + options.count("--capture") + options.count("--control")
    bound = [program.await_err(r"^bound (\w+) (\S+)$") for _ in range(sides)]
    return program, {match[1]: match[2] for match in bound}


def joined(env, kind, endpoint, **options):
    sock = env.socket(kind, **options)
    sock.connect(endpoint)
    return sock


@testcase()
def queue(env):
    """Requests of two clients, answered by two workers; the capture sees both ways."""
    program, at = start(env, "ROUTER", "DEALER", "--capture", "PUSH", ANY)
    seen = joined(env, zmq.PULL, at["capture"])
    workers = [joined(env, zmq.REP, at["back"]) for _ in range(2)]
    clients = [joined(env, zmq.REQ, at["front"]) for _ in range(2)]
    for i in range(20):
        client = clients[i % 2]
        client.send_multipart([b"ask", b"%d" % i])
        worker = zmq.select(workers, [], [], 20)[0][0]
        expect(worker.recv_multipart() == [b"ask", b"%d" % i], "another request")
        worker.send(b"answer %d" % i)
        expect(client.recv() == b"answer %d" % i, "another answer")
        expect(seen.recv_multipart()[1:] == [b"", b"ask", b"%d" % i], "captured wrong")
        expect(seen.recv_multipart()[1:] == [b"", b"answer %d" % i], "captured wrong")
    program.signal()
    program.expect_exit(0)


@testcase()
def forwarder(env):
    """Subscriptions travel to the publisher, and their ends."""
    _, at = start(env, "XSUB", "XPUB")
    publisher = joined(env, zmq.XPUB, at["front"])
    subscriber = joined(env, zmq.SUB, at["back"])
    subscriber.subscribe(b"a")
    expect(publisher.recv() == b"\x01a", "not subscribed")
    publisher.send(b"b not wanted")
    publisher.send_multipart([b"a", b"wanted"])
    expect(subscriber.recv_multipart() == [b"a", b"wanted"], "another message")
    subscriber.unsubscribe(b"a")
    expect(publisher.recv() == b"\x00a", "not ended")


@testcase()
def steered(env):
    """PAUSE holds messages back, RESUME lets them go, STATISTICS counts them, TERMINATE ends it."""
    program, at = start(env, "PULL", "PUSH", "--control", ANY)
    control = joined(env, zmq.REQ, at["control"])
    push, pull = joined(env, zmq.PUSH, at["front"]), joined(env, zmq.PULL, at["back"])

    def command(text):
        control.send(text)
        return control.recv_multipart()

    push.send(b"one")
    expect(pull.recv() == b"one", "nothing passed")
    expect(command(b"PAUSE") == [b""], "not paused")
    push.send(b"three")
    expect(pull.poll(200) == 0, "it passed")  # silence is what is tried
    expect(command(b"RESUME") == [b""], "not resumed")
    expect(pull.recv() == b"three", "it was lost")
    counters = [struct.unpack("=Q", frame)[0] for frame in command(b"STATISTICS")]
    expect(counters == [2, 8, 0, 0, 0, 0, 2, 8], f"counted {counters}")
    expect(b"no such command" in command(b"DANCE")[0], "it danced")
    expect(command(b"TERMINATE") == [b""], "not ended")
    program.expect_exit(0)


@testcase()
def stalled_subscribers(env):
    """Those who don't read cost lines of stderr, but few, whatever is published; nor does anybody
    have to read those. One who reads goes on."""
    program, at = start(env, "XSUB", "XPUB", "--opt", "send_hwm_msgs=10")
    publisher = joined(env, zmq.XPUB, at["front"], sndhwm=100000)
    stalled = []
    for _ in range(STALLED):
        stream = raw.connect(at["back"])
        stream.sendall(raw.greeting() + raw.ready(b"SUB") + raw.frame(b"\x01"))
        stalled.append(stream)
    program_lines = program.err.lines
    reader = joined(env, zmq.SUB, at["back"], rcvtimeo=1)
    reader.subscribe(b"good")
    expect(publisher.recv() == b"\x01", "not subscribed")
    expect(publisher.recv() == b"\x01good", "not subscribed")
    before, since = len(program_lines), time.monotonic()
    got = 0
    while got < 3000:
        publisher.send(b"good" + bytes(SIZE))
        try:
            reader.recv()
            got += 1
        except zmq.Again:
            pass
    lines, seconds = len(program_lines) - before, time.monotonic() - since
    expect(lines > 0, "nobody was named")
    expect(lines < STALLED_LINES_MAX + 50 * seconds, f"{lines} lines in {seconds:.1f} s")
    program.signal()
    program.expect_exit(0)
    expect(any("more were not told" in line for line in program_lines), "the rest isn't counted")
    for stream in stalled:
        stream.close()
