"""Ends that come late, go away and come back."""

import signal

import zmq

import raw
from harness import Failed, bind, expect, testcase, until
from stream import Check, Stream

COUNT = 2000


def take_all(sock, count=COUNT):
    check = Check()
    for _ in range(count):
        check.take(sock.recv_multipart())


def refused_once(program):
    """Ours has tried to connect, in vain."""
    program.await_err("event handshake-failed reason=reset")


@testcase()
def we_connect_before_they_bind(env):
    """What was sent meanwhile is not lost."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    program = env.peer("send", "PUSH", "--count", COUNT, "--connect", endpoint, "--events")
    refused_once(program)
    sock = env.socket(zmq.PULL)
    sock.bind(endpoint)
    take_all(sock)
    program.finish()


@testcase()
def we_connect_before_they_bind_ipc(env):
    program = env.peer("send", "PUSH", "--count", COUNT, "--connect", env.ipc(), "--events")
    refused_once(program)
    sock = env.socket(zmq.PULL)
    sock.bind(env.ipc())
    take_all(sock)
    program.finish()


@testcase()
def they_connect_before_we_bind(env):
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    sock = env.socket(zmq.PUSH, sndhwm=0, reconnect_ivl=50)
    sock.connect(endpoint)
    stream = Stream()
    for seq in range(COUNT):
        sock.send_multipart(stream.make(seq))
    program = env.peer("receive", "PULL", "--count", COUNT, "--bind", endpoint)
    program.finish()


@testcase()
def subscription_comes_back(env):
    """After a publisher's restart it is told the subscriptions again."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    program = env.cat("SUB", "--connect", endpoint, "--subscribe", "a", "--subscribe", "b",
                      "--subscribe", "b")
    for life in range(3):
        sock = env.socket(zmq.XPUB, xpub_verbose=1)
        until(lambda: try_bind(sock, endpoint), "bind")
        told = sorted(sock.recv() for _ in range(2))
        expect(told == [b"\x01a", b"\x01b"], f"told {told}")
        sock.send(b"b%d" % life)
        expect(program.line() == f"b{life}", "not what was published")
        sock.close(0)


def try_bind(sock, endpoint):
    try:
        sock.bind(endpoint)
        return True
    except zmq.ZMQError:
        return False


def asked(program, sock, life):
    """What is sent to a connection whose end isn't noticed yet is lost, and asked once more."""
    program.write(f"question {life}\n")
    return sock.poll(1000) != 0


@testcase()
def asker_survives_restarts(env):
    """A DEALER of ours keeps its link, whatever happens to the other end."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    program = env.cat("DEALER", "--connect", endpoint, "--identity", "d")
    for life in range(3):
        sock = env.socket(zmq.ROUTER)
        until(lambda: try_bind(sock, endpoint), "bind")
        expected = [b"d", b"question %d" % life]
        until(lambda: asked(program, sock, life), "the question")
        while (got := sock.recv_multipart()) != expected:
            expect(got[1] < expected[1], f"{got}: another question")
        sock.send_multipart([b"d", b"answer %d" % life])
        expect(program.line() == f"answer {life}", "another answer")
        sock.close(0)


@testcase()
def req_asks_again(env):
    """The server that was asked dies; the next one gets the question."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    program = env.cat("REQ", "--connect", endpoint)
    sock = env.socket(zmq.REP)
    sock.bind(endpoint)
    program.write("what\n")
    program.close_stdin()
    expect(sock.recv() == b"what", "no question")
    sock.close(0)
    sock = env.socket(zmq.REP)
    until(lambda: try_bind(sock, endpoint), "bind")
    expect(sock.recv() == b"what", "no second question")
    sock.send(b"that")
    expect(program.line() == "that", "no answer")
    program.expect_exit(0)


def start_again(env, endpoint):
    """The kernel may close a killed ring's sockets a moment after the process has ended."""
    for _ in range(100):
        program = env.cat("ROUTER", "--bind", endpoint, "--echo")
        if program.await_err("^bound|ADDRINUSE")[0] == "bound":
            return program
        program.expect_exit(1)
    raise Failed("the address stays in use")


@testcase()
def they_reconnect_to_us(env):
    """Our end is killed and started again at the same port; theirs comes back by itself."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    sock = env.socket(zmq.DEALER, reconnect_ivl=50)
    sock.connect(endpoint)
    for life in range(3):
        program = start_again(env, endpoint)
        sock.send(b"life %d" % life)
        expect(sock.recv() == b"life %d" % life, "another answer")
        program.signal(signal.SIGKILL)
        expect(program.wait() == -signal.SIGKILL, "killed otherwise")


@testcase()
def peers_come_and_go(env):
    """Hundreds of short lives leave one socket as it was."""
    program = env.peer("echo", "ROUTER", "--bind", "tcp://127.0.0.1:*", "--events")
    endpoint = program.endpoint()
    for life in range(300):
        sock = env.socket(zmq.DEALER)
        sock.connect(endpoint)
        sock.send(b"%d" % life)
        if life % 3 != 0:  # the others leave without waiting
            expect(sock.recv() == b"%d" % life, "another answer")
        sock.close(0)
    gone = "event disconnected"
    until(lambda: sum(line.startswith("up") for line in program.err.lines) ==
          sum(line.startswith(gone) for line in program.err.lines), "not all have gone")
    program.stop()


@testcase()
def killed_amid_a_message(env):
    """A peer that dies in the middle of a multipart: what it had begun is never seen."""
    program = env.cat("PULL", "--bind", "tcp://127.0.0.1:*")
    endpoint = program.endpoint()
    with raw.connect(endpoint) as stream:
        stream.sendall(raw.greeting() + raw.ready(b"PUSH"))
        stream.sendall(b"\x00\x03one")
        stream.sendall(b"\x01\x05first\x01\x06second\x00\x05th")
        expect(program.line() == "one", "not the whole message")
    sock = env.socket(zmq.PUSH)
    sock.connect(endpoint)
    sock.send(b"two")
    expect(program.line() == "two", "a part of a message was seen")


@testcase()
def we_close_orderly(env):
    """SIGTERM: everything sent, ended within a second or so, exit 0."""
    program = env.cat("DEALER", "--bind", "tcp://127.0.0.1:*")
    sock = env.socket(zmq.DEALER)
    sock.connect(program.endpoint())
    program.write("".join(f"{i}\n" for i in range(500)))
    expect(sock.recv() == b"0", "nothing came")
    program.signal()
    program.expect_exit(0)


@testcase()
def both_connect_and_bind(env):
    """One socket of ours with two binds and two connects serves all four ways."""
    outer = [env.socket(zmq.PULL) for _ in range(2)]
    where = []
    for sock in outer:
        where += ["--connect", bind(sock, "tcp://127.0.0.1:*")]
    program = env.cat("PUSH", "--bind", "tcp://127.0.0.1:*", "--bind", env.ipc(), *where, "--wait",
                      "4")
    inner = [env.socket(zmq.PULL) for _ in range(2)]
    for sock in inner:
        sock.connect(program.endpoint())
    program.write("".join(f"{i}\n" for i in range(40)))
    program.close_stdin()
    program.expect_exit(0)
    got = sorted(int(sock.recv()) for sock in outer + inner for _ in range(10))
    expect(got == list(range(40)), f"got {got}")
