"""The tests' own tests: what is planted in a stream has to be found, at either end."""

import zmq

from harness import bind, expect, test
from stream import Check, Stream, Wrong

PLANTS = ("drop", "swap", "twice", "flip")
COUNT = 2000


def planted_by_us(env, plant):
    """Our end sends a stream with a fault, libzmq's has to see it."""
    sock = env.socket(zmq.PULL)
    program = env.peer("send", "PUSH", "--count", COUNT, "--plant", plant, "--connect",
                       bind(sock, "tcp://127.0.0.1:*"))
    check = Check()
    try:
        for _ in range(COUNT):
            check.take(sock.recv_multipart())
    except Wrong:
        return
    finally:
        program.finish()
    expect(False, f"{plant} was not seen")


def planted_by_them(env, plant):
    """libzmq's end sends a stream with a fault, ours has to see it."""
    program = env.peer("receive", "PULL", "--count", COUNT, "--bind", "tcp://127.0.0.1:*")
    sock = env.socket(zmq.PUSH, sndhwm=0)  # ours stops reading at the fault
    sock.connect(program.endpoint())
    stream = Stream(plant=plant)
    for seq in range(COUNT):
        sock.send_multipart(stream.make(seq))
    program.expect_exit(1)
    expect(program.out.lines[-1].startswith("FAIL message 123"), program.out.lines[-1])


def one_too_many(env):
    """More messages than are expected are a fault too."""
    sock = env.socket(zmq.PUSH)
    program = env.peer("receive", "PULL", "--count", 10, "--connect",
                       bind(sock, "tcp://127.0.0.1:*"))
    stream = Stream()
    for seq in range(11):
        sock.send_multipart(stream.make(seq))
    program.expect_exit(1)


for _plant in PLANTS:
    test(f"self_test/planted_by_us/{_plant}", planted_by_us, _plant)
    test(f"self_test/planted_by_them/{_plant}", planted_by_them, _plant)
test("self_test/one_too_many", one_too_many)
