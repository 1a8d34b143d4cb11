"""The examples do what their first lines say."""

import zmq

import raw
from harness import bind, expect, testcase, until

ANY = "tcp://127.0.0.1:*"


def endpoint_of(env):
    return f"tcp://127.0.0.1:{env.port()}"


def listens(endpoint):
    try:
        raw.connect(endpoint).close()
        return True
    except ConnectionRefusedError:
        return False


@testcase()
def hello(env):
    endpoint = endpoint_of(env)
    program = env.example("hello", endpoint)
    sock = env.socket(zmq.REQ)
    sock.connect(endpoint)
    for name in (b"world", b"", bytes(100000)):
        sock.send(name)
        expect(sock.recv_multipart() == [b"hello", name], "another answer")
    program.signal()
    program.expect_exit(0)


@testcase()
def reqrep(env):
    endpoint = endpoint_of(env)
    server = env.example("reqrep", "server", endpoint)
    until(lambda: listens(endpoint), "the server listens")
    client = env.example("reqrep", "client", endpoint, "5")
    client.expect_exit(0)
    wanted = [f"{n} squared is {n * n}" for n in range(1, 6)]
    expect(client.out.lines == wanted, f"{client.out.lines}")
    server.signal()
    server.expect_exit(0)


@testcase()
def reqrep_without_an_answer(env):
    sock = env.socket(zmq.REP)
    client = env.example("reqrep", "client", bind(sock, ANY), "5")
    expect(sock.recv() == b"1", "no question")
    client.expect_exit(1)
    expect(any("no reply to 1" in line for line in client.err.lines), "no word of it")


@testcase()
def pubsub(env):
    endpoint = endpoint_of(env)
    subscriber = env.example("pubsub", "subscriber", endpoint, "EUR", "6")
    publisher = env.example("pubsub", "publisher", endpoint)
    subscriber.expect_exit(0)
    names = {line.split()[0] for line in subscriber.out.lines}
    expect(len(subscriber.out.lines) == 6 and names == {"EURUSD", "EURGBP"},
           f"{subscriber.out.lines}")
    expect('wants "EUR"' in publisher.line(), "no subscription")
    expect('leaves "EUR"' in publisher.line(), "no end of it")
    publisher.signal()
    publisher.expect_exit(0)


@testcase()
def order_gateway(env):
    orders, fills = env.ipc("orders"), env.ipc("fills")
    program = env.example("order_gateway", orders, fills)
    feed = env.socket(zmq.SUB, reconnect_ivl=20)
    feed.subscribe(b"EUR")
    feed.connect(fills)
    client = env.socket(zmq.DEALER, reconnect_ivl=20)
    client.connect(orders)

    def ask(*frames):
        client.send_multipart(frames)
        return client.recv_multipart()

    expect(ask(b"1", b"USDJPY", b"100") == [b"ACK", b"1"], "a good order")
    number = 1
    while feed.poll(20) == 0:  # until its subscription has come
        number += 1
        expect(ask(b"%d" % number, b"EURUSD", b"-7") == [b"ACK", b"%d" % number], "a good order")
    got = feed.recv_multipart()
    expect(got[0] == b"EURUSD" and got[2] == b"-7", f"fill {got}")
    for order in ((b"a", b"EURUSD", b"0"), (b"b", b"EURUSD", b"1001"), (b"c", b"EU", b"1"),
                  (b"d", b"EURUSD", b"-1001"), (b"e", b"EURUSD", b"")):
        expect(ask(*order)[:2] == [b"REJECT", order[0]], f"{order} passed")
    other = env.socket(zmq.DEALER)
    other.connect(orders)
    other.send_multipart([b"x", b"EURUSD", b"1"])
    expect(other.recv_multipart() == [b"ACK", b"x"], "another client")
    client.send_multipart([b"no", b"order"])
    program.await_line(program.out, r"client gone: local")
    other.send_multipart([b"y", b"EURUSD", b"1"])
    expect(other.recv_multipart() == [b"ACK", b"y"], "the other client was cut off, too")
    program.await_line(program.out, r"rejected 5, cut off 1")
    program.signal()
    program.expect_exit(0)


@testcase()
def sharded(env):
    port = env.port()
    program = env.example("sharded", f"tcp://127.0.0.1:{port}", "127.1.0.0/16=0,127.2.0.0/16=1")
    clients = []
    for shard in (0, 1):
        sock = env.socket(zmq.DEALER, reconnect_ivl=20)
        sock.routing_id = b"client %d" % shard
        sock.connect(f"tcp://127.{shard + 1}.0.1:0;127.0.0.1:{port}")
        for n in range(100):
            sock.send(b"%d" % n)
        for n in range(100):
            got = sock.recv_multipart()
            expect(got == [b"%d" % n, b"shard %d" % shard], f"client of shard {shard} got {got}")
        clients.append(sock)
    for one, other in ((0, 1), (1, 0), (0, 0)):
        clients[one].send_multipart([b"client %d" % other, b"from %d" % one])
        got = clients[other].recv_multipart()
        expect(got == [b"from %d" % one], f"{got} for client {other}")
    clients[0].send_multipart([b"nobody", b"lost"])
    program.await_line(program.out, r"shard 0: clients 1, answered 100, forwarded 2, lost 1; "
                                    r"shard 1: clients 1, answered 100, forwarded 1, lost 0")
    program.signal()
    program.expect_exit(0)
