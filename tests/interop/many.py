"""A hundred peers on one socket of ours: nobody is starved, mixed up or out of order."""

import zmq

from harness import bind, expect, testcase
from stream import Check, Stream

PEERS = 100
EACH = 100  # messages of one peer: 10,000 in all, each way


def connect_all(env, kind, endpoint, **options):
    env.context.set(zmq.MAX_SOCKETS, 4 * PEERS)
    socks = []
    for _ in range(PEERS):
        sock = env.socket(kind, **options)
        sock.connect(endpoint)
        socks.append(sock)
    return socks


def round_trips(socks, route, answers):
    """Every peer sends its stream, a few messages ahead, and checks what comes back."""
    streams = [Stream(sender=i, no_empty=True) for i in range(PEERS)]
    checks = [Check(senders=PEERS) for _ in range(PEERS)]
    window = 1 if answers else 5
    for seq in range(EACH + window):
        for i, sock in enumerate(socks):
            if seq >= window:
                frames = sock.recv_multipart()
                expect(frames[:len(route)] == route, f"route {frames[:-1]}")
                checks[i].take(frames[len(route):])
            if seq < EACH:
                sock.send_multipart(route + streams[i].make(seq))
    for i, check in enumerate(checks):
        expect(check.next_seq[i] == EACH, f"peer {i} had {check.next_seq[i]} back")
    expect(not any(sock.poll(0) for sock in socks), "a message more than was sent")


@testcase()
def router_echo(env):
    program = env.peer("echo", "ROUTER", "--bind", "tcp://127.0.0.1:*")
    round_trips(connect_all(env, zmq.DEALER, program.endpoint()), [], False)
    expect(program.stop() == PEERS * EACH, "echoed another number")


@testcase()
def router_echo_of_req(env):
    program = env.peer("echo", "ROUTER", "--bind", "tcp://127.0.0.1:*", "--one-by-one")
    round_trips(connect_all(env, zmq.REQ, program.endpoint()), [], True)
    program.stop()


@testcase()
def rep_echo(env):
    """One request at a time, from a hundred who ask at once."""
    program = env.peer("echo", "REP", "--bind", "tcp://127.0.0.1:*")
    round_trips(connect_all(env, zmq.REQ, program.endpoint()), [], True)
    program.stop()


@testcase(quick=False)
def rep_echo_of_dealers(env):
    program = env.peer("echo", "REP", "--bind", "tcp://127.0.0.1:*")
    round_trips(connect_all(env, zmq.DEALER, program.endpoint()), [b""], False)
    program.stop()


@testcase()
def dealer_echo(env):
    program = env.peer("echo", "DEALER", "--bind", "tcp://127.0.0.1:*")
    round_trips(connect_all(env, zmq.DEALER, program.endpoint()), [], False)
    program.stop()


def echo_what_comes(socks):
    """Until everything has been answered. Returns how many messages each had."""
    poller = zmq.Poller()
    for sock in socks:
        poller.register(sock, zmq.POLLIN)
    cnt = {sock: 0 for sock in socks}
    while sum(cnt.values()) < PEERS * EACH:
        ready = poller.poll(20000)
        expect(ready, f"only {sum(cnt.values())} messages came")
        for sock, _ in ready:
            sock.send_multipart(sock.recv_multipart())
            cnt[sock] += 1
    return list(cnt.values())


def dealer_asks(env, kind, *delimiter):
    """Ours sends in turns, so everyone has the same number, and all come back."""
    program = env.peer("ask", "DEALER", "--wait", PEERS, "--count", PEERS * EACH, "--unordered",
                       "--window", 2 * PEERS, "--bind", "tcp://127.0.0.1:*", *delimiter)
    socks = connect_all(env, kind, program.endpoint())
    cnt = echo_what_comes(socks)
    expect(max(cnt) - min(cnt) <= 2, f"between {min(cnt)} and {max(cnt)} messages each")
    program.finish()


@testcase()
def dealer_asks_dealers(env):
    dealer_asks(env, zmq.DEALER)


@testcase()
def dealer_asks_reps(env):
    dealer_asks(env, zmq.REP, "--delimiter")


@testcase(quick=False)
def dealer_asks_routers(env):
    dealer_asks(env, zmq.ROUTER)


@testcase()
def pull_from_all(env):
    program = env.peer("receive", "PULL", "--bind", "tcp://127.0.0.1:*", "--senders", PEERS,
                       "--count", PEERS * EACH)
    socks = connect_all(env, zmq.PUSH, program.endpoint())
    streams = [Stream(sender=i, no_empty=True) for i in range(PEERS)]
    for seq in range(EACH):
        for i, sock in enumerate(socks):
            sock.send_multipart(streams[i].make(seq))
    program.finish()


@testcase()
def push_to_all(env):
    program = env.peer("send", "PUSH", "--bind", "tcp://127.0.0.1:*", "--wait", PEERS, "--count",
                       PEERS * EACH, "--no-empty")
    socks = connect_all(env, zmq.PULL, program.endpoint())
    check = Check(unordered=True)
    for sock in socks:
        last = -1
        for _ in range(EACH):
            frames = sock.recv_multipart()
            check.take(frames)
            seq = int.from_bytes(frames[0][4:8], "little")
            expect(seq > last, f"{seq} after {last} at one peer")
            last = seq
        expect(sock.poll(0) == 0, "more than an equal share")
    program.finish()


@testcase()
def pub_to_all(env):
    """A thousand messages, each to all hundred."""
    program = env.peer("send", "PUB", "--bind", "tcp://127.0.0.1:*", "--wait", PEERS, "--count",
                       1000, "--unlimited")
    socks = connect_all(env, zmq.SUB, program.endpoint())
    for sock in socks:
        sock.subscribe(b"")
    for sock in socks:
        check = Check()
        for _ in range(1000):
            check.take(sock.recv_multipart())
        expect(sock.poll(0) == 0, "a message more than was sent")
    program.finish()


@testcase()
def sub_to_all(env):
    """Ours subscribes at a hundred publishers."""
    env.context.set(zmq.MAX_SOCKETS, 4 * PEERS)
    socks = [env.socket(zmq.XPUB, sndhwm=0) for _ in range(PEERS)]
    where = []
    for sock in socks:
        where += ["--connect", bind(sock, "tcp://127.0.0.1:*")]
    program = env.peer("receive", "SUB", "--senders", PEERS, "--count", PEERS * EACH, *where)
    streams = [Stream(sender=i, no_empty=True) for i in range(PEERS)]
    for i, sock in enumerate(socks):
        expect(sock.recv() == b"\x01", "no subscription")
        for seq in range(EACH):
            sock.send_multipart(streams[i].make(seq))
    program.finish()
