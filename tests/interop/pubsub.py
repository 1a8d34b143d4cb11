"""Who gets what: subscriptions by prefix, counted, at either end."""

import zmq

import raw
from harness import bind, expect, testcase


@testcase()
def sub_without_a_subscription(env):
    """Gets nothing, though it is connected."""
    sock = env.socket(zmq.XPUB)
    program = env.cat("SUB", "--connect", bind(sock, "tcp://127.0.0.1:*"), "--timeout", "0.6")
    other = env.socket(zmq.SUB)
    other.connect(sock.last_endpoint.decode().rstrip("\0"))
    other.subscribe(b"")
    expect(sock.recv() == b"\x01", "no subscription of the other one")
    for i in range(100):
        sock.send(b"%d" % i)
        expect(other.recv() == b"%d" % i, "the other one lost something")
    program.expect_exit(3)
    expect(program.out.lines == [], "it got something")
    expect(sock.poll(0) == 0, "it subscribed to something")


@testcase()
def sub_filters_by_prefix(env):
    """Also what a publisher sends that doesn't filter."""
    sock = env.socket(zmq.XPUB, xpub_verbose=1)
    program = env.cat("SUB", "--connect", bind(sock, "tcp://127.0.0.1:*"), "--subscribe", "ab",
                      "--subscribe", "x\\x00", "--count", "4")
    expect(sorted(sock.recv() for _ in range(2)) == [b"\x01ab", b"\x01x\0"], "subscriptions")
    for topic in (b"a", b"ab", b"abc", b"b", b"x", b"x\0y", b"", b"xx", b"AB", b"ab\xff"):
        sock.send(topic)
    program.expect_exit(0)
    expect(program.out.lines == ["ab", "abc", "x\\x00y", "ab\\xff"], f"{program.out.lines}")


@testcase()
def pub_filters_by_prefix(env):
    program = env.cat("PUB", "--bind", "tcp://127.0.0.1:*", "--wait", "3")
    endpoint = program.endpoint()
    socks = []
    for topics in ([b"ab"], [b"", b"q"], []):
        sock = env.socket(zmq.SUB)
        sock.connect(endpoint)
        for topic in topics:
            sock.subscribe(topic)
        socks.append(sock)
    program.write("a\nab\nabc\tsecond frame\nb\tab\n\nend\n")
    everything = [[b"a"], [b"ab"], [b"abc", b"second frame"], [b"b", b"ab"], [b""], [b"end"]]
    got = [socks[1].recv_multipart() for _ in everything]
    expect(got == everything, f"all: {got}")
    got = [socks[0].recv_multipart() for _ in range(2)]
    expect(got == everything[1:3], f"ab: {got}")
    expect(socks[0].poll(30) == 0 and socks[2].poll(0) == 0, "more than was subscribed to")


@testcase()
def duplicates_are_counted(env):
    """Two subscriptions, one taken back: still subscribed. libzmq's end counts them and cancels on
    the wire but once, at the last."""
    program = env.peer("send", "PUB", "--bind", "tcp://127.0.0.1:*", "--wait", 1000, "--events")
    sock = env.socket(zmq.SUB)
    sock.connect(program.endpoint())
    sock.subscribe(b"t")
    sock.subscribe(b"t")
    sock.unsubscribe(b"t")
    sock.subscribe(b"end")
    program.await_err("subscription added end")
    told = [line for line in program.err.lines if line.startswith("subscription")]
    expect(told == ["subscription added t", "subscription added end"], f"{told}")
    sock.unsubscribe(b"t")
    program.await_err("subscription removed t", 5)


@testcase()
def duplicates_of_ours_are_counted(env):
    """Ours cancels when the last of them is taken back: here never, as its end closes it all."""
    sock = env.socket(zmq.XPUB, xpub_verboser=1)
    program = env.cat("SUB", "--connect", bind(sock, "tcp://127.0.0.1:*"), "--subscribe", "t",
                      "--subscribe", "t", "--count", "1")
    expect(sock.recv() == b"\x01t", "no subscription")
    sock.send(b"topic")
    program.expect_exit(0)
    told = [program.out.lines, sock.recv()]
    expect(told == [["topic"], b"\x00t"], f"{told}")


@testcase()
def duplicates_deliver_once(env):
    program = env.cat("PUB", "--bind", "tcp://127.0.0.1:*", "--wait", "3")
    sock = env.socket(zmq.XSUB)
    sock.connect(program.endpoint())
    for topic in (b"t", b"to", b"top"):
        sock.send(b"\x01" + topic)
    program.write("topic\nother\ntop\n")
    expect([sock.recv() for _ in range(2)] == [b"topic", b"top"], "not once each")
    expect(sock.poll(30) == 0, "a message came twice")


@testcase()
def both_forms_of_subscription(env):
    """ZMTP 3.0 subscribes by message, 3.1 by command; both are understood."""
    program = env.cat("PUB", "--bind", "tcp://127.0.0.1:*", "--wait", "2")
    endpoint = program.endpoint()
    streams = []
    for minor, subscription in ((0, b"\x00\x02\x01A"), (1, b"\x04\x0b\x09SUBSCRIBEA")):
        streams.append(raw.connect(endpoint))
        streams[-1].sendall(raw.greeting(minor=minor) + raw.ready(b"SUB") + subscription)
    program.write("A1\nB1\nA2\n")
    for stream in streams:
        raw.read_until(stream, b"\x00\x02A1\x00\x02A2")


@testcase()
def thousands_of_topics(env):
    """Many subscriptions of one peer, each found."""
    count = 5000
    program = env.cat("PUB", "--bind", "tcp://127.0.0.1:*", "--wait", str(count))
    endpoint = program.endpoint()
    sock = env.socket(zmq.SUB, sndhwm=0)  # else libzmq drops subscriptions from 1,000 on
    sock.connect(endpoint)
    for i in range(count):
        sock.subscribe(b"topic-%d." % i)
    program.write("".join(f"topic-{i}.x\n" for i in range(0, 2 * count, 7)))
    expected = [b"topic-%d.x" % i for i in range(0, count, 7)]
    got = [sock.recv() for _ in expected]
    expect(got == expected, "not what was subscribed to")
