"""Who is too fast for the other waits, or loses what is counted; never anything else."""

import re

import zmq

from harness import expect, test, testcase
from stream import Check, Stream

ANY = "tcp://127.0.0.1:*"


def receiver_that_pauses(env, every, *options):
    """Ours stops after so many messages and goes on a turn later."""
    count = 3000
    program = env.peer("receive", "PULL", "--bind", ANY, "--count", count, "--pause-every", every,
                       *options)
    sock = env.socket(zmq.PUSH)
    sock.connect(program.endpoint())
    stream = Stream()
    for seq in range(count):
        sock.send_multipart(stream.make(seq))
    program.finish()


for _every in (1, 7, 300):
    test(f"flow/receiver_that_pauses/batch/{_every}", receiver_that_pauses, _every)
    test(f"flow/receiver_that_pauses/one_by_one/{_every}", receiver_that_pauses, _every,
         "--one-by-one")


def echo_to_one_who_does_not_read(env, kind, *options):
    """Its queue fills, so ours stops reading; once it reads, all comes in order."""
    count = 4000
    program = env.peer("echo", kind, "--bind", ANY, "--hwm", 4, "--events", *options)
    sock = env.socket(zmq.DEALER, sndhwm=0, rcvhwm=1, rcvbuf=8192)
    sock.connect(program.endpoint())
    stream = Stream(size=3000, no_empty=True)
    for seq in range(count):
        sock.send_multipart(stream.make(seq))
    check = Check(no_empty=True)
    for _ in range(count):
        check.take(sock.recv_multipart())
    expect(program.stop() == count, "echoed another number")
    pauses = re.search(r"pauses=(\d+)", program.err.lines[-1])
    expect(pauses and int(pauses[1]) > 0, f"it never had to wait: {program.err.lines[-1]}")


for _kind in ("DEALER", "ROUTER"):
    test(f"flow/echo_to_one_who_does_not_read/{_kind}/batch", echo_to_one_who_does_not_read, _kind)
    test(f"flow/echo_to_one_who_does_not_read/{_kind}/one_by_one", echo_to_one_who_does_not_read,
         _kind, "--one-by-one")


def numbers_in_order(sock):
    """Reads until nothing comes. Returns how many came; each number is larger than the last."""
    last, cnt = -1, 0
    while sock.poll(1000) != 0:
        frames = sock.recv_multipart()
        seq = int.from_bytes(frames[0][4:8], "little")
        expect(seq > last, f"{seq} after {last}")
        last, cnt = seq, cnt + 1
    return cnt


@testcase()
def pub_counts_what_it_drops(env):
    """A subscriber that doesn't read loses messages: whole ones, and as many as ours says."""
    count = 15000
    program = env.peer("send", "PUB", "--bind", ANY, "--count", count, "--size", 3000, "--no-empty",
                       "--hwm", 50, "--wait", 1, "--events")
    sock = env.socket(zmq.SUB, rcvhwm=1, rcvbuf=8192)
    sock.connect(program.endpoint())
    sock.subscribe(b"")
    program.await_err("event dropped reason=hwm")
    came = numbers_in_order(sock)
    program.finish()
    dropped = sum(int(match[1]) for line in program.err.lines
                  if (match := re.match(r"event dropped reason=hwm .*cnt=(\d+)", line)))
    expect(dropped > 0 and came + dropped == count, f"{came} came, {dropped} dropped of {count}")


@testcase()
def slow_subscriber_harms_nobody(env):
    """One that doesn't read, beside one that does and gets everything."""
    count = 3000
    program = env.peer("send", "PUB", "--bind", ANY, "--count", count, "--size", 1000, "--no-empty",
                       "--hwm", count, "--wait", 2)
    endpoint = program.endpoint()
    slow = env.socket(zmq.SUB, rcvhwm=1, rcvbuf=4096)
    good = env.socket(zmq.SUB)
    for sock in (slow, good):
        sock.connect(endpoint)
        sock.subscribe(b"")
    check = Check(no_empty=True)
    for _ in range(count):
        check.take(good.recv_multipart())
    expect(numbers_in_order(slow) == count, "the slow one had room for all")
    program.finish()
