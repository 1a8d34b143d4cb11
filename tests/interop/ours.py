"""Both ends ours: every legal pair of types, either end bound."""

from harness import test

COUNT = 10000

# The end that counts and checks, and the other one; what they do.
PAIRS = [
    (("ask", "PAIR"), ("echo", "PAIR")),
    (("ask", "REQ"), ("echo", "REP")),
    (("ask", "REQ"), ("echo", "ROUTER")),
    (("ask", "DEALER", "--delimiter"), ("echo", "REP")),
    (("ask", "DEALER"), ("echo", "DEALER")),
    (("ask", "DEALER"), ("echo", "ROUTER")),
    (("ask", "ROUTER", "--to", "echo", "--wait", 1), ("echo", "DEALER", "--identity", "echo")),
    (("ask", "ROUTER", "--to", "echo", "--wait", 1), ("echo", "ROUTER", "--identity", "echo")),
    (("receive", "SUB"), ("send", "PUB", "--wait", 1, "--unlimited", "--arena", "192M")),
    (("receive", "SUB"), ("send", "XPUB", "--wait", 1, "--unlimited", "--arena", "192M")),
    (("receive", "XSUB"), ("send", "PUB", "--wait", 1, "--unlimited", "--arena", "192M")),
    (("receive", "XSUB"), ("send", "XPUB", "--wait", 1, "--unlimited", "--arena", "192M")),
    (("receive", "PULL"), ("send", "PUSH")),
]


def pair(env, checker, other, checker_binds, parts):
    shape = ["--count", COUNT, "--parts", parts]
    where = ["--bind", "tcp://127.0.0.1:*"]
    first, second = (checker, other) if checker_binds else (other, checker)
    bound = env.peer(*first, *shape, *where)
    connected = env.peer(*second, *shape, "--connect", bound.endpoint())
    checking, helping = (bound, connected) if checker_binds else (connected, bound)
    checking.finish()
    if other[0] == "echo":
        helping.stop()
    else:
        helping.finish()


def add_all():
    number = 0
    for checker, other in PAIRS:
        for checker_binds in (True, False):
            parts = "multi" if number % 3 == 1 else "single"
            name = (f"ours/{checker[1]}-{other[1]}/{checker[0]}s/"
                    f"{'binds' if checker_binds else 'connects'}/{parts}")
            test(name, pair, checker, other, checker_binds, parts, quick=number % 2 == 0)
            number += 1


add_all()
