"""Identities, probes and correlated requests: each option against libzmq's own, both ways."""

import zmq

from harness import bind, expect, testcase, until

ANY = "tcp://127.0.0.1:*"
COUNT = 2000


def no_more(sock):
    """Nothing else comes."""
    expect(not sock.poll(100), "one message too many")


# --- REQ, correlated and relaxed -----------------------------------------------------------------


@testcase()
def our_correlated_req_asks_their_rep(env):
    sock = env.socket(zmq.REP)
    program = env.peer("ask", "REQ", "--count", COUNT, "--opt", "req_correlate=true", "--connect",
                       bind(sock, ANY))
    until(lambda: sock.poll(0) or program.child.poll() is not None, "a request")
    while program.child.poll() is None:
        if sock.poll(50):
            sock.send_multipart(sock.recv_multipart())
    program.finish()


@testcase()
def our_correlated_req_takes_only_its_number(env):
    """Late replies, foreign ones and probes don't count; a REQ of ours asks their ROUTER."""
    sock = env.socket(zmq.ROUTER)
    program = env.cat("REQ", "--opt", "req_correlate=true", "--connect", bind(sock, ANY))
    late = None
    for n in range(5):
        program.write(f"question {n}\n")
        who, number, empty, body = sock.recv_multipart()
        expect(len(number) == 4 and empty == b"" and body == b"question %d" % n, f"{number} {body}")
        if late is not None:
            sock.send_multipart([who, late, b"", b"late"])
        sock.send_multipart([who, b"", b"without a number"])
        sock.send_multipart([who, b""])
        sock.send_multipart([who, number, b"", b"answer %d" % n])
        sock.send_multipart([who, number, b"", b"twice"])
        expect(program.line() == f"answer {n}", "another answer")
        late = number
    program.close_stdin()
    program.expect_exit(0)


def their_req_asks(env, program):
    sock = env.socket(zmq.REQ, req_correlate=1, req_relaxed=1)
    sock.connect(program.endpoint())
    for n in range(200):
        for k in range(3):  # two are given up
            sock.send(b"%d.%d" % (n, k))
        expect(sock.recv() == b"%d.2" % n, f"another answer than to {n}.2")
    no_more(sock)


@testcase()
def their_relaxed_req_asks_our_rep(env):
    their_req_asks(env, env.cat("REP", "--echo", "--bind", ANY))


@testcase()
def their_relaxed_req_asks_our_router(env):
    their_req_asks(env, env.peer("echo", "ROUTER", "--bind", ANY))


# --- an identity that two have -------------------------------------------------------------------


@testcase()
def our_router_lets_their_newest_dealer_have_the_name(env):
    program = env.cat("ROUTER", "--bind", ANY, "--opt", "identity_policy=replace")
    endpoint = program.endpoint()
    first = env.socket(zmq.DEALER, routing_id=b"me", reconnect_ivl=-1)
    first.connect(endpoint)
    first.send(b"first")
    expect(program.line() == "me\tfirst", "not heard")
    program.write("me\tto the first\n")
    expect(first.recv() == b"to the first", "another message")
    second = env.socket(zmq.DEALER, routing_id=b"me")
    second.connect(endpoint)
    second.send(b"second")
    expect(program.line() == "me\tsecond", "not heard")
    program.write("me\tto the second\n")
    expect(second.recv() == b"to the second", "another message")
    no_more(first)


@testcase()
def our_router_keeps_the_name_for_their_first_dealer(env):
    program = env.cat("ROUTER", "--bind", ANY)
    endpoint = program.endpoint()
    first = env.socket(zmq.DEALER, routing_id=b"me")
    first.connect(endpoint)
    first.send(b"first")
    expect(program.line() == "me\tfirst", "not heard")
    second = env.socket(zmq.DEALER, routing_id=b"me", reconnect_ivl=-1)
    second.connect(endpoint)
    program.await_err("refused .* identity")
    program.write("me\tto the first\n")
    expect(first.recv() == b"to the first", "another message")
    no_more(second)


@testcase()
def their_router_hands_our_newest_dealer_the_name(env):
    """libzmq ends the older connection; ours would come back and take the name again, so it rests."""
    sock = env.socket(zmq.ROUTER, router_handover=1)
    endpoint = bind(sock, ANY)
    slow = ["--opt", "reconnect_min_ms=60000", "--opt", "reconnect_max_ms=60000"]
    first = env.cat("DEALER", "--identity", "me", "--connect", endpoint, *slow)
    first.write("first\n")
    expect(sock.recv_multipart() == [b"me", b"first"], "not heard")
    second = env.cat("DEALER", "--identity", "me", "--connect", endpoint)
    second.write("second\n")
    expect(sock.recv_multipart() == [b"me", b"second"], "not heard")
    sock.send_multipart([b"me", b"to the second"])
    expect(second.line() == "to the second", "another message")


# --- probes --------------------------------------------------------------------------------------


@testcase()
def our_probes_reach_their_router(env):
    for kind in ("DEALER", "ROUTER", "REQ"):
        sock = env.socket(zmq.ROUTER)
        program = env.cat(kind, "--identity", "me", "--opt", "probe=true", "--connect",
                          bind(sock, ANY))
        expect(sock.recv_multipart() == [b"me", b""], f"no probe of {kind}")
        if kind == "DEALER":
            sock.send_multipart([b"me", b"hello"])
            expect(program.line() == "hello", "another message")
        no_more(sock)
        sock.close(0)


@testcase()
def their_probes_reach_our_router(env):
    for kind in (zmq.DEALER, zmq.ROUTER, zmq.REQ):
        program = env.cat("ROUTER", "--bind", ANY)
        sock = env.socket(kind, routing_id=b"me", probe_router=1)
        sock.connect(program.endpoint())
        expect(program.line() == "me\t", f"no probe of {kind}")
        sock.close(0)


@testcase()
def their_probes_do_our_req_and_rep_no_harm(env):
    """A REQ of libzmq's would end such a connection."""
    program = env.cat("REQ", "--bind", ANY)
    sock = env.socket(zmq.ROUTER, probe_router=1)
    sock.connect(program.endpoint())
    program.write("question\n")
    who, empty, body = sock.recv_multipart()
    expect(empty == b"" and body == b"question", "another question")
    sock.send_multipart([who, b"", b"answer"])
    expect(program.line() == "answer", "another answer")
    program = env.cat("REP", "--echo", "--bind", ANY)
    sock = env.socket(zmq.REQ, probe_router=1)
    sock.connect(program.endpoint())
    sock.send(b"question")
    expect(sock.recv() == b"question", "another answer")
