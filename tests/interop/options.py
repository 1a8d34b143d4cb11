"""Options of either end, as the other one sees them."""

import os
import signal
import socket
import time

import zmq

import raw
from harness import Failed, bind, expect, testcase, until

ANY = "tcp://127.0.0.1:*"


def opt(**options):
    """--opt NAME=VALUE for each."""
    words = []
    for name, value in options.items():
        words += ["--opt", f"{name}={value}"]
    return words


def dealer(env, endpoint, identity=None, **options):
    sock = env.socket(zmq.DEALER, **options)
    if identity is not None:
        sock.identity = identity
    sock.connect(endpoint)
    return sock


# --- ROUTER ------------------------------------------------------------------------------------


@testcase()
def router_mandatory_of_ours(env):
    program = env.cat("ROUTER", "--bind", ANY, *opt(router_mandatory="true"))
    program.endpoint()
    program.write("nobody\thello\n")
    program.await_err("MCQ_ENOENT")
    program.expect_exit(1)


@testcase()
def router_replaces(env):
    """The newest of a name is the one; the older one is told by its connection's end."""
    program = env.cat("ROUTER", "--bind", ANY, "--echo", *opt(identity_policy="replace"))
    endpoint = program.endpoint()
    stream = raw.connect(endpoint)
    stream.sendall(raw.greeting() + raw.ready(b"DEALER", b"twin") + raw.frame(b"first"))
    raw.read_until(stream, raw.frame(b"first"))
    for i in range(20):
        newer = raw.connect(endpoint)
        newer.sendall(raw.greeting() + raw.ready(b"DEALER", b"twin") + raw.frame(b"%d" % i))
        raw.read_until(newer, raw.frame(b"%d" % i))
        raw.read_to_end(stream)
        stream = newer
    sock = dealer(env, endpoint, b"twin")
    sock.send(b"libzmq's")
    expect(sock.recv() == b"libzmq's", "no echo")


# --- PUB, XPUB ---------------------------------------------------------------------------------


def subscriber(env, endpoint, topics=(b"",), kind=zmq.SUB, **options):
    sock = env.socket(kind, **options)
    for topic in topics:
        sock.subscribe(topic)
    sock.connect(endpoint)
    return sock


@testcase()
def no_drop(env):
    """With slow = block a publisher waits for its slowest, and nobody misses anything."""
    for kind in ("PUB", "XPUB"):
        program = env.peer("send", kind, "--bind", ANY, "--wait", 1, "--count", 20000, "--hwm", 10,
                           "--size", 1000, *opt(slow="block"))
        sock = subscriber(env, program.endpoint(), rcvhwm=10, rcvbuf=4096)
        time.sleep(0.2)  # not a condition: it gives a publisher that doesn't wait time to drop
        got = 0
        while got < 20000:
            sock.recv()
            got += 1
        expect(program.finish() == 20000, "another number was sent")


@testcase()
def conflate_of_ours(env):
    """Who doesn't read gets the newest when it does, and little of what was before."""
    program = env.cat("PUB", "--bind", ANY, "--wait", "1", *opt(slow="conflate",
                                                               send_buffer_bytes="4096"))
    endpoint = program.endpoint()
    stream = raw.connect(endpoint)
    stream.sendall(raw.greeting() + raw.ready(b"SUB") + raw.frame(b"\x01"))
    count = 200000
    body = "x" * 100
    program.write("".join(f"{i} {body}\n" for i in range(count)) + "last\n")
    got = raw.read_until(stream, raw.frame(b"last"))
    expect(len(got) < count * 50, f"{len(got)} bytes came: nothing was conflated")


@testcase()
def conflate_of_theirs(env):
    sock = env.socket(zmq.PUB, conflate=1)
    program = env.cat("SUB", "--connect", bind(sock, ANY), "--subscribe", "", "--timeout", "20")
    until(lambda: sock.send(b"now") or program.out.lines != [], "nothing published arrives")


@testcase()
def welcome_of_ours(env):
    for kind in ("PUB", "XPUB"):
        program = env.cat(kind, "--bind", ANY, *opt(welcome="hello"))
        sock = subscriber(env, program.endpoint(), (b"he",))
        expect(sock.recv() == b"hello", f"no welcome by {kind}")


@testcase()
def welcome_of_theirs(env):
    sock = env.socket(zmq.XPUB)
    sock.setsockopt(zmq.XPUB_WELCOME_MSG, b"hello")
    program = env.cat("SUB", "--connect", bind(sock, ANY), "--subscribe", "h", "--count", "1")
    # libzmq attaches a peer, and welcomes it, inside the calls of its user.
    until(lambda: (sock.poll(5), program.out.lines)[1] == ["hello"], "no welcome")
    program.expect_exit(0)


@testcase()
def invert_matching_of_both(env):
    program = env.cat("PUB", "--bind", ANY, "--wait", "1", *opt(invert_matching="true"))
    sock = subscriber(env, program.endpoint(), (b"a",), invert_matching=1)
    program.write("a1\nb1\na2\nc\n")
    expect([sock.recv() for _ in range(2)] == [b"b1", b"c"], "not what doesn't match")

    sock = env.socket(zmq.XPUB, invert_matching=1)
    program = env.cat("SUB", "--connect", bind(sock, ANY), "--subscribe", "a", "--count", "2",
                      *opt(invert_matching="true"))
    expect(sock.recv() == b"\x01a", "no subscription")
    for topic in (b"a1", b"b1", b"a2", b"c"):
        sock.send(topic)
    program.expect_exit(0)
    expect(program.out.lines == ["b1", "c"], f"{program.out.lines}")


@testcase()
def xpub_tells(env):
    """The first subscriber of a topic and the last one's end; verbose: all; verboser: ends too."""
    for name, added, removed in (("", 1, 1), ("verbose", 2, 1), ("verboser", 2, 2)):
        program = env.peer("send", "XPUB", "--bind", ANY, "--wait", 1000, "--events",
                           *(opt(**{name: "true"}) if name else []))
        endpoint = program.endpoint()
        socks = [subscriber(env, endpoint, (b"t", mark)) for mark in (b"a0", b"a1")]
        for mark in ("a0", "a1"):
            until(lambda m=mark: f"subscription added {m}" in program.err.lines, mark)
        for sock, mark in zip(socks, (b"b0", b"b1")):
            sock.unsubscribe(b"t")
            sock.subscribe(mark)
        for mark in ("b0", "b1"):
            until(lambda m=mark: f"subscription added {m}" in program.err.lines, mark)
        got = [program.err.lines.count(f"subscription {what} t") for what in ("added", "removed")]
        expect(got == [added, removed], f"{name}: {got}")
        program.close()


@testcase()
def xpub_verbose_of_theirs(env):
    """Ours asks once for a topic it subscribed to twice, and anew after a reconnect."""
    sock = env.socket(zmq.XPUB, xpub_verbose=1)
    program = env.cat("XSUB", "--connect", bind(sock, ANY), "--subscribe", "t", "--subscribe", "t")
    expect(sock.recv() == b"\x01t", "no subscription")
    sock.send(b"t1")
    expect(program.line() == "t1", "nothing came")
    expect(sock.poll(30) == 0, "a second subscription")


@testcase()
def xsub_sends_upstream(env):
    sock = env.socket(zmq.XPUB)
    program = env.cat("XSUB", "--connect", bind(sock, ANY), "--subscribe", "t")
    expect(sock.recv() == b"\x01t", "no subscription")
    program.write("a message\n")
    expect(sock.recv() == b"a message", "not upstream")


@testcase()
def xpub_receives_from_downstream(env):
    program = env.cat("XPUB", "--bind", ANY)
    sock = env.socket(zmq.XSUB)
    sock.connect(program.endpoint())
    sock.send(b"\x01topic")
    sock.send(b"a message")
    until(lambda: "a message" in program.out.lines, "the message")


# --- slow peers --------------------------------------------------------------------------------


@testcase()
def slow_peer_is_disconnected(env):
    program = env.peer("send", "PUB", "--bind", ANY, "--wait", 1, "--events", "--count", 1000000,
                       *opt(slow="disconnect", send_hwm_msgs="100", send_buffer_bytes="4096"))
    stream = raw.connect(program.endpoint())
    stream.sendall(raw.greeting() + raw.ready(b"SUB") + raw.frame(b"\x01"))
    program.await_err("disconnected.*slow")
    raw.read_to_end(stream)


@testcase()
def slow_peer_is_named(env):
    program = env.peer("send", "PUB", "--bind", ANY, "--wait", 1, "--events", "--count", 300000,
                       *opt(slow="drop-old", send_hwm_msgs="100", send_buffer_bytes="4096"))
    stream = raw.connect(program.endpoint())
    stream.sendall(raw.greeting() + raw.ready(b"SUB") + raw.frame(b"\x01"))
    program.await_err("^event slow ")
    program.await_err("^event dropped.*reason=hwm")


# --- connections -------------------------------------------------------------------------------


@testcase()
def heartbeats_of_ours(env):
    """A silent peer that answers stays; one that doesn't is gone, with the reason."""
    program = env.peer("echo", "DEALER", "--bind", ANY, "--events",
                       *opt(heartbeat_ms="50", heartbeat_timeout_ms="300"))
    endpoint = program.endpoint()
    good = dealer(env, endpoint)
    silent = raw.connect(endpoint)
    silent.sendall(raw.greeting() + raw.ready(b"DEALER"))
    raw.read_until(silent, b"\x04\x07\x04PING\x00\x00")
    program.await_err("disconnected.*heartbeat")
    good.send(b"still here")
    expect(good.recv() == b"still here", "libzmq's end didn't answer the PINGs")


@testcase()
def heartbeats_of_theirs(env):
    """With a TTL: ours is silent for longer than that, but answers."""
    program = env.peer("echo", "DEALER", "--bind", ANY, "--events")
    sock = dealer(env, program.endpoint(), heartbeat_ivl=30, heartbeat_ttl=200,
                  heartbeat_timeout=200)
    time.sleep(0.7)  # silence is what is tried
    sock.send(b"still here")
    expect(sock.recv() == b"still here", "lost")
    expect(not any("disconnected" in line for line in program.err.lines), "disconnected between")


@testcase()
def heartbeats_of_both(env):
    """A stopped process is noticed, and comes back when it runs again."""
    program = env.cat("DEALER", "--bind", ANY, "--echo",
                      *opt(heartbeat_ms="50", heartbeat_ttl_ms="300"))
    sock = dealer(env, program.endpoint(), heartbeat_ivl=50, heartbeat_timeout=200,
                  reconnect_ivl=20)
    monitor = sock.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    sock.send(b"1")
    expect(sock.recv() == b"1", "no echo")
    os.kill(program.pid, signal.SIGSTOP)
    expect(monitor.poll(10000) != 0, "the stopped one wasn't noticed")
    os.kill(program.pid, signal.SIGCONT)
    sock.send(b"2")
    expect(sock.recv() == b"2", "it didn't come back")


@testcase()
def stop_on_refused(env):
    port = env.port()
    program = env.peer("send", "PUSH", "--connect", f"tcp://127.0.0.1:{port}", "--events",
                       *opt(stop_on_refused="true"))
    program.await_err("handshake-failed.*reset")
    server = socket.create_server(("127.0.0.1", port))
    server.settimeout(0.5)
    try:
        server.accept()
    except TimeoutError:
        return
    raise Failed("it tried again")


@testcase()
def immediate_of_ours(env):
    """Nothing is queued for a connect that isn't up: all goes to the one that is."""
    sock = env.socket(zmq.PULL)
    nowhere = f"tcp://127.0.0.1:{env.port()}"
    program = env.peer("send", "PUSH", "--connect", nowhere, "--connect", bind(sock, ANY),
                       "--count", 1000, *opt(immediate="true"))
    got = [sock.recv_multipart() for _ in range(1000)]
    expect(len(got) == 1000, "not all")
    program.close()


@testcase()
def source_address(env):
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    port = server.getsockname()[1]
    env.cat("DEALER", "--connect", f"tcp://127.0.0.5:0;127.0.0.1:{port}")
    _, where = server.accept()
    expect(where[0] == "127.0.0.5", f"came from {where}")


@testcase()
def wrong_options(env):
    """Each is refused with a sentence, and so is a name of libzmq's."""
    for words, says in ((opt(slow="drop-old"), "slow"), (opt(verbose="true"), "verbose"),
                        (opt(nonsense="1"), "docs/OPTIONS.md"),
                        (opt(ZMQ_RCVHWM="1"), "recv_hwm_msgs"),
                        (opt(zmtp_min="7"), "zmtp_min"), (opt(heartbeat_ttl_ms="9"), "heartbeat_ms"),
                        (opt(linger_ms="-1"), "linger_ms")):
        program = env.cat("SUB", "--bind", ANY, *words)
        program.await_err(says)
        expect(program.wait() in (1, 2), f"{words}: it went on")


