"""mcq-cat's contract: what scripts and tests rely on."""

import os
import signal
import subprocess
import time

import zmq

import raw
from harness import bind, expect, need_ipv6, testcase

ANY = "tcp://127.0.0.1:*"
ALL_BYTES = bytes(range(256))


def text_of(data):
    return "".join(chr(b) if 0x20 <= b <= 0x7e and b != 0x5c else f"\\x{b:02x}" for b in data)


def run_cat(env, *args, text=""):
    """A whole run. Returns (exit code, stdout, stderr)."""
    done = subprocess.run([os.path.join(env.bin, "mcq-cat"), *args], input=text.encode(),
                          capture_output=True, timeout=300, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# --- The command line ----------------------------------------------------------------------------


@testcase()
def usage_errors_exit_2(env):
    for args in ([], ["REP"], ["NOTYPE", "--bind", ANY], ["REP", "--bind"],
                 ["REP", "--connect", "--echo"], ["REP", "PUB", "--bind", ANY],
                 ["REP", "--bind", ANY, "--what"], ["REP", "--bind", ANY, "--count", "x"],
                 ["REP", "--bind", ANY, "--count", "-1"], ["REP", "--bind", ANY, "--count", "0"],
                 ["REP", "--bind", ANY, "--wait", "1.5"], ["REP", "--bind", ANY, "--timeout", "0"],
                 ["REP", "--bind", ANY, "--timeout", "soon"], ["PUB", "--bind", ANY, "--echo"],
                 ["SUB", "--bind", ANY, "--echo"], ["REP", "--bind", ANY, "--subscribe", "x"],
                 ["DEALER", "--bind", ANY, "--identity", ""],
                 ["DEALER", "--bind", ANY, "--identity", "\\x00a"],
                 ["DEALER", "--bind", ANY, "--identity", "x" * 256],
                 ["DEALER", "--bind", ANY, "--identity", "\\q"],
                 ["XPUB", "--bind", ANY, "--echo"], ["XSUB", "--bind", ANY, "--echo"],
                 ["STREAM", "--bind", ANY], ["XPUB", "--bind", ANY, "--subscribe", "x"],
                 ["REP", "--bind", "nonsense"], ["REP", "--bind", "udp://127.0.0.1:1"],
                 ["REP", "--connect", "tcp://127.0.0.1"], ["REP", "--connect", "tcp://a:99999"],
                 ["REP", "--bind", ANY, "--idle", "never"]):
        code, out, err = run_cat(env, *args)
        expect(code == 2, f"{args}: exit {code}: {err}")
        expect(out == "" and err.strip(), f"{args}: printed {out!r}, {err!r}")
        expect("Traceback" not in err and len(err) < 600, f"{args}: {err!r}")


@testcase()
def help_tells_everything(env):
    code, out, _ = run_cat(env, "--help")
    expect(code == 0, f"exit {code}")
    for word in ("--bind", "--connect", "--subscribe", "--identity", "--echo", "--count", "--wait",
                 "--timeout", "--hex", "--idle", "mcq-cat REP"):
        expect(word in out, f"--help lacks {word}")


@testcase()
def bind_in_use_exits_1(env):
    first = env.cat("REP", "--bind", ANY)
    code, _, err = run_cat(env, "REP", "--bind", first.endpoint())
    expect(code == 1, f"exit {code}")
    expect("ADDRINUSE" in err, err)


@testcase()
def types_in_any_case(env):
    for name in ("rep", "REP", "Rep", "rEp"):
        program = env.cat(name, "--bind", ANY, "--echo", "--count", "1")
        sock = env.socket(zmq.REQ)
        sock.connect(program.endpoint())
        sock.send(b"x")
        expect(sock.recv() == b"x", "another answer")
        program.expect_exit(0)


@testcase()
def bound_tells_the_actual_endpoint(env):
    """Every bind, in order; port 0 and * are any port."""
    need_ipv6()
    program = env.cat("PULL", "--bind", "tcp://127.0.0.1:0", "--bind", ANY, "--bind",
                      "tcp://*:*", "--bind", "tcp://[::1]:*", "--bind", env.ipc(), "--bind",
                      "ipc://@mcq-%d" % os.getpid(), "--count", "6")
    for number in range(6):
        endpoint = program.endpoint()
        expect(not endpoint.endswith((":0", ":*")), endpoint)
        sock = env.socket(zmq.PUSH, ipv6=True)
        sock.connect(endpoint)
        sock.send(b"%d" % number)
        expect(program.line() == str(number), f"not by {endpoint}")
    program.expect_exit(0)
    expect(not os.path.exists(env.ipc()[6:]), "the socket's file is left")


# --- Text ----------------------------------------------------------------------------------------


@testcase()
def all_bytes_as_text(env):
    program = env.cat("PAIR", "--bind", ANY)
    sock = env.socket(zmq.PAIR)
    sock.connect(program.endpoint())
    frames = [ALL_BYTES, b"", b"plain text", b"\t\n\\", b"\xff"]
    sock.send_multipart(frames)
    line = program.line()
    expect(line == "\t".join(text_of(f) for f in frames), f"printed {line!r}")
    program.write(line + "\n")
    expect(sock.recv_multipart() == frames, "not read as it was printed")
    program.write("\\x41\\x5C\\x0A\t\\xfF\n")
    expect(sock.recv_multipart() == [b"A\\\n", b"\xff"], "digits in any case")


@testcase()
def all_bytes_as_hex(env):
    program = env.cat("PAIR", "--bind", ANY, "--hex")
    sock = env.socket(zmq.PAIR)
    sock.connect(program.endpoint())
    frames = [ALL_BYTES, b"", b"x"]
    sock.send_multipart(frames)
    line = program.line()
    expect(line == "\t".join(f.hex() for f in frames), f"printed {line!r}")
    program.write(line.upper() + "\n")
    expect(sock.recv_multipart() == frames, "not read as it was printed")


@testcase()
def empty_lines_and_a_last_one_without_newline(env):
    sock = env.socket(zmq.PULL)
    code, _, _ = run_cat(env, "PUSH", "--connect", bind(sock, ANY), text="\n\t\n\t\tx\t\nlast")
    expect(code == 0, f"exit {code}")
    got = [sock.recv_multipart() for _ in range(4)]
    expect(got == [[b""], [b"", b""], [b"", b"", b"x", b""], [b"last"]], f"{got}")


@testcase()
def text_that_cannot_be_read_exits_1(env):
    sock = env.socket(zmq.PULL)
    endpoint = bind(sock, ANY)
    for bad, options in (("a\\b", []), ("\\x4", []), ("\\xgg", []), ("\\", []), ("\\X41", []),
                         ("abc", ["--hex"]), ("zz", ["--hex"]), ("a a", ["--hex"])):
        code, _, err = run_cat(env, "PUSH", "--connect", endpoint, *options, text=f"31\n{bad}\n")
        expect(code == 1, f"{bad}: exit {code}")
        expect("line 2" in err, f"{bad}: {err}")
        expect(sock.recv() in (b"31", b"1"), "the good line before it")


@testcase()
def long_lines(env):
    """16 MiB as hex, and as text of four characters a byte, both ways."""
    body = os.urandom(1 << 12) * (1 << 12)
    for options, text in ((["--hex"], body.hex()), ([], "\\x00" * (1 << 22))):
        data = bytes.fromhex(text) if options else bytes(1 << 22)
        program = env.cat("REP", "--bind", ANY, *options)
        sock = env.socket(zmq.REQ)
        sock.connect(program.endpoint())
        sock.send(data)
        expect(program.line() == text, "not printed as it was sent")
        program.write(text + "\n")
        expect(sock.recv() == data, "not sent as it was read")


@testcase()
def many_frames(env):
    program = env.cat("PAIR", "--bind", ANY)
    sock = env.socket(zmq.PAIR)
    sock.connect(program.endpoint())
    frames = [b"%d" % i for i in range(1024)]
    sock.send_multipart(frames)
    line = program.line()
    expect(line.split("\t") == [f.decode() for f in frames], "not all of them")
    program.write(line + "\n")
    expect(sock.recv_multipart() == frames, "not all of them back")
    program.write("x\t" * 1024 + "x\n")
    program.expect_exit(1)


# --- Each type -----------------------------------------------------------------------------------


@testcase()
def rep_answers_with_stdin(env):
    """In order, whoever asks, and waits for a line if there is none."""
    program = env.cat("REP", "--bind", ANY)
    endpoint = program.endpoint()
    socks = [env.socket(zmq.REQ) for _ in range(3)]
    for sock in socks:
        sock.connect(endpoint)
    program.write("one\ntwo\n")
    socks[0].send(b"a")
    expect(socks[0].recv() == b"one", "first answer")
    socks[1].send(b"b")
    expect(socks[1].recv() == b"two", "second answer")
    socks[2].send(b"c")
    expect([program.line() for _ in range(3)] == ["a", "b", "c"], "requests")
    expect(socks[2].poll(50) == 0, "an answer from nowhere")
    socks[0].send(b"d")
    program.write("three\nfour\n")
    expect(socks[2].recv() == b"three", "third answer")
    expect(socks[0].recv() == b"four", "fourth answer")
    program.close_stdin()
    expect(program.line() == "d", "fourth request")
    socks[0].send(b"e")
    expect(program.line() == "e", "it runs on after the end of stdin")


@testcase()
def rep_with_count_answers_the_last(env):
    program = env.cat("REP", "--bind", ANY, "--count", "2")
    sock = env.socket(zmq.REQ)
    sock.connect(program.endpoint())
    for number in range(2):
        sock.send(b"%d" % number)
        expect(program.line() == str(number), "request")
        program.write(f"answer {number}\n")
        expect(sock.recv() == b"answer %d" % number, "answer")
    program.expect_exit(0)


@testcase()
def req_ends_after_its_last_reply(env):
    sock = env.socket(zmq.REP)
    program = env.cat("REQ", "--connect", bind(sock, ANY))
    program.write("a\nb\tc\n")
    program.close_stdin()
    for request, reply in (([b"a"], [b"1"]), ([b"b", b"c"], [b"2", b"3"])):
        expect(sock.recv_multipart() == request, "another request")
        expect(program.child.poll() is None, "it ended before its reply")
        sock.send_multipart(reply)
    program.expect_exit(0)
    expect(program.out.lines == ["1", "2\t3"], f"{program.out.lines}")


@testcase()
def router_has_identities_first(env):
    program = env.cat("ROUTER", "--bind", ANY)
    endpoint = program.endpoint()
    socks = {name: env.socket(zmq.DEALER, identity=name) for name in (b"a", b"b\x01\\", b"c")}
    for name, sock in socks.items():
        sock.connect(endpoint)
        sock.send_multipart([b"from", name])
        expect(program.line() == f"{text_of(name)}\tfrom\t{text_of(name)}", "line")
    for name, sock in reversed(list(socks.items())):
        program.write(f"{text_of(name)}\tto\t{text_of(name)}\n")
        expect(sock.recv_multipart() == [b"to", name], "message")
    program.write("nobody\tlost\n")
    program.await_err("dropped .*no-peer")
    nameless = env.socket(zmq.DEALER)
    nameless.connect(endpoint)
    nameless.send(b"hi")
    line = program.line().split("\t")
    expect(line[0].startswith("\\x00") and line[1:] == ["hi"], f"{line}")
    program.write(f"{line[0]}\tyou\n")
    expect(nameless.recv() == b"you", "by its generated identity")


@testcase()
def router_waits_for_a_full_peer(env):
    """20 MB for one that doesn't read yet: nothing is dropped."""
    program = env.cat("ROUTER", "--bind", ANY)
    sock = env.socket(zmq.DEALER, identity=b"d", rcvhwm=10)
    sock.connect(program.endpoint())
    sock.send(b"here")
    expect(program.line() == "d\there", "line")
    body = "x" * 2000
    program.feed("".join(f"d\t{number}\t{body}\n" for number in range(10000)))
    for number in range(10000):
        expect(sock.recv_multipart()[0] == b"%d" % number, f"not {number}")


@testcase()
def identity_is_told(env):
    sock = env.socket(zmq.ROUTER)
    program = env.cat("DEALER", "--connect", bind(sock, ANY), "--identity", "me\\xff")
    program.write("hi\n")
    expect(sock.recv_multipart() == [b"me\xff", b"hi"], "another identity")


@testcase()
def echo_of_every_type_that_can(env):
    for ours, theirs in (("REP", zmq.REQ), ("ROUTER", zmq.REQ), ("ROUTER", zmq.DEALER),
                         ("DEALER", zmq.DEALER), ("PAIR", zmq.PAIR)):
        program = env.cat(ours, "--bind", ANY, "--echo", "--count", "3")
        sock = env.socket(theirs)
        sock.connect(program.endpoint())
        for frames in ([b"one"], [b"", b"two", b""], [bytes(100000), b"x"]):
            sock.send_multipart(frames)
            expect(sock.recv_multipart() == frames, f"{ours}: another answer")
        program.expect_exit(0)
        expect(program.out.lines == [], "it printed, too")


@testcase()
def push_ends_once_all_is_written(env):
    """Also to a peer that comes late and reads slowly."""
    endpoint = f"tcp://127.0.0.1:{env.port()}"
    program = env.cat("PUSH", "--connect", endpoint)
    program.feed("".join(f"{number}\t{'y' * 3000}\n" for number in range(3000)))
    time.sleep(0.2)
    expect(program.child.poll() is None, "it ended before anybody came")
    sock = env.socket(zmq.PULL, rcvhwm=5, rcvbuf=8192)
    sock.bind(endpoint)
    for number in range(3000):
        if number == 100:
            time.sleep(1.5)  # longer than the library's default linger
        expect(sock.recv_multipart()[0] == b"%d" % number, f"not {number}")
    program.expect_exit(0)


@testcase()
def pub_ends_once_all_is_written(env):
    """A subscriber that begins to read late has everything."""
    program = env.cat("PUB", "--bind", ANY, "--wait", "1")
    sock = env.socket(zmq.SUB, rcvhwm=5, rcvbuf=8192)
    sock.connect(program.endpoint())
    sock.subscribe(b"")
    program.feed("".join(f"{number}\t{'w' * 100}\n" for number in range(20000)))
    for number in range(20000):
        if number == 100:
            time.sleep(1.5)
        expect(sock.recv_multipart()[0] == b"%d" % number, f"not {number}")
    program.expect_exit(0)


@testcase()
def broken_peers_are_told_of(env):
    program = env.cat("PULL", "--bind", ANY)
    with raw.connect(program.endpoint()) as stream:
        stream.sendall(raw.greeting() + raw.ready(b"PUSH") + raw.frame(b"good") + b"\x80\x01x")
        expect(program.line() == "good", "what came before")
        program.await_err("disconnected .*protocol")


@testcase()
def pub_and_push_end_without_peers(env):
    """PUB has nobody to write to; PUSH has nothing to write."""
    code, _, _ = run_cat(env, "PUB", "--bind", ANY, text="a\nb\n")
    expect(code == 0, f"PUB: exit {code}")
    code, _, _ = run_cat(env, "PUSH", "--bind", ANY)
    expect(code == 0, f"PUSH: exit {code}")


# --- --count, --wait, --timeout ------------------------------------------------------------------


@testcase()
def count_of_received(env):
    program = env.cat("PULL", "--bind", ANY, "--count", "3")
    sock = env.socket(zmq.PUSH)
    sock.connect(program.endpoint())
    for number in range(5):
        sock.send(b"%d" % number)
    program.expect_exit(0)
    expect(program.out.lines == ["0", "1", "2"], f"{program.out.lines}")


@testcase()
def count_of_sent(env):
    sock = env.socket(zmq.PULL)
    code, _, _ = run_cat(env, "PUSH", "--connect", bind(sock, ANY), "--count", "2",
                         text="a\nb\nc\nd\n")
    expect(code == 0, f"exit {code}")
    expect([sock.recv(), sock.recv()] == [b"a", b"b"], "others were sent")
    expect(sock.poll(50) == 0, "more were sent")


@testcase()
def wait_for_subscriptions(env):
    program = env.cat("PUB", "--bind", ANY, "--wait", "3")
    endpoint = program.endpoint()
    program.write("x1\nx2\n")
    program.close_stdin()
    socks = [env.socket(zmq.SUB) for _ in range(2)]
    for sock in socks:
        sock.connect(endpoint)
        sock.subscribe(b"x")
    expect(socks[0].poll(100) == 0, "it didn't wait for the third")
    socks[1].subscribe(b"y")
    for sock in socks:
        expect([sock.recv(), sock.recv()] == [b"x1", b"x2"], "not what it sends")
    program.expect_exit(0)


@testcase()
def wait_for_peers(env):
    program = env.cat("PUSH", "--bind", ANY, "--wait", "2")
    endpoint = program.endpoint()
    program.write("".join(f"{i}\n" for i in range(10)))
    program.close_stdin()
    socks = [env.socket(zmq.PULL) for _ in range(2)]
    socks[0].connect(endpoint)
    expect(socks[0].poll(100) == 0, "it didn't wait for the second")
    socks[1].connect(endpoint)
    got = [sorted(int(sock.recv()) for _ in range(5)) for sock in socks]
    expect(sorted(got) == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]], f"{got}")
    program.expect_exit(0)


@testcase()
def wait_holds_answers_back(env):
    program = env.cat("REP", "--bind", ANY, "--wait", "2", "--echo")
    endpoint = program.endpoint()
    socks = [env.socket(zmq.REQ) for _ in range(2)]
    socks[0].connect(endpoint)
    socks[0].send(b"early")
    expect(socks[0].poll(100) == 0, "it didn't wait for the second")
    socks[1].connect(endpoint)
    expect(socks[0].recv() == b"early", "another answer")


@testcase()
def timeout_exits_3(env):
    """Wherever nothing happens: no peer, no message, no answer."""
    nobody = f"tcp://127.0.0.1:{env.port()}"
    silent = env.socket(zmq.REP)
    there = bind(silent, ANY)
    for args, text in ((["PULL", "--bind", ANY], ""), (["PULL", "--connect", nobody], ""),
                       (["SUB", "--connect", nobody, "--subscribe", ""], ""),
                       (["REQ", "--connect", there], "question\n"),
                       (["REQ", "--connect", nobody], "question\n"),
                       (["PUSH", "--connect", nobody], "a\nb\n"),
                       (["PUSH", "--bind", ANY], "a\n"), (["DEALER", "--bind", ANY], ""),
                       (["PUB", "--bind", ANY, "--wait", "1"], "a\n")):
        start = time.monotonic()
        code, out, err = run_cat(env, *args, "--timeout", "0.3", text=text)
        expect(code == 3, f"{args}: exit {code}: {err}")
        expect(time.monotonic() - start >= 0.3, f"{args}: ended too early")
        expect(out == "", f"{args}: {out}")


@testcase()
def timeout_starts_again_with_each_message(env):
    program = env.cat("PULL", "--bind", ANY, "--timeout", "1")
    sock = env.socket(zmq.PUSH)
    sock.connect(program.endpoint())
    for number in range(5):
        time.sleep(0.4)
        sock.send(b"%d" % number)
        expect(program.line() == str(number), "message")
    program.expect_exit(3)


@testcase()
def timeout_of_a_stuck_writer(env):
    """A peer that is there and takes nothing."""
    sock = env.socket(zmq.PULL, rcvhwm=1, rcvbuf=4096)
    program = env.cat("PUSH", "--connect", bind(sock, ANY), "--timeout", "1")
    program.feed("".join(f"{i}\t{'z' * 100000}\n" for i in range(300)))
    program.expect_exit(3)


# --- Ends ----------------------------------------------------------------------------------------


@testcase()
def signals_end_it_orderly(env):
    for number in (signal.SIGINT, signal.SIGTERM):
        for args in (["PULL", "--bind", ANY], ["PUB", "--bind", ANY], ["REQ", "--bind", ANY]):
            program = env.cat(*args)
            program.endpoint()
            program.signal(number)
            program.expect_exit(0)


@testcase()
def signal_with_messages_nobody_takes(env):
    """It waits a moment, says so, and ends."""
    program = env.cat("PUSH", "--bind", ANY, "--connect", f"tcp://127.0.0.1:{env.port()}")
    program.endpoint()
    program.write("unsent\n")
    time.sleep(0.5)
    program.signal()
    program.expect_exit(1, timeout=300)
    expect(any("unsent" in line for line in program.err.lines), "no word of it")


@testcase()
def closed_stdout_exits_1(env):
    program = env.cat("PULL", "--bind", ANY)
    sock = env.socket(zmq.PUSH)
    sock.connect(program.endpoint())
    sock.send(b"one")
    expect(program.line() == "one", "message")
    reader, writer = os.pipe()
    other = env.cat("PULL", "--bind", ANY, stdout=writer)
    os.close(writer)
    os.close(reader)
    sock = env.socket(zmq.PUSH)
    sock.connect(other.endpoint())
    sock.send(b"one")
    other.expect_exit(1)


@testcase()
def slow_stdin_is_not_lost(env):
    """Lines that come one by one, in pieces, go out one by one."""
    sock = env.socket(zmq.PULL)
    program = env.cat("PUSH", "--connect", bind(sock, ANY))
    for piece in ("he", "llo", "\nwor", "ld\n"):
        program.write(piece)
        time.sleep(0.02)
    expect([sock.recv(), sock.recv()] == [b"hello", b"world"], "lines")


@testcase()
def both_ends_are_cats(env):
    """A thousand lines of all shapes from one to the other."""
    lines = ["\t".join(text_of(os.urandom(i % 40)) for _ in range(1 + i % 5)) for i in range(1000)]
    taker = env.cat("PULL", "--bind", env.ipc(), "--count", "1000")
    taker.endpoint()
    code, _, _ = run_cat(env, "PUSH", "--connect", env.ipc(), text="\n".join(lines) + "\n")
    expect(code == 0, f"exit {code}")
    taker.expect_exit(0)
    expect(taker.out.lines == lines, "not as they were sent")


@testcase()
def options_of_every_program(env):
    """--idle and its like work here, too."""
    for idle in ("spin", "block", "spin-block"):
        program = env.cat("REP", "--bind", ANY, "--echo", "--count", "1", "--idle", idle,
                          "--arena=32M", "--uring-features", "6.1")
        sock = env.socket(zmq.REQ)
        sock.connect(program.endpoint())
        sock.send(b"x")
        expect(sock.recv() == b"x", "another answer")
        program.expect_exit(0)


@testcase()
def an_xpub_prints_subscriptions(env):
    """As lines with a sign, which --count counts, in plain and hex."""
    for args, topic, message in (((), "\\x00a", "up\\x09"), (("--hex",), "0061", "757009")):
        program = env.cat("XPUB", "--bind", ANY, "--count", "3", *args)
        sock = env.socket(zmq.XSUB)
        sock.connect(program.endpoint())
        sock.send(b"\x01\x00a")
        expect(program.line() == "+" + topic, "no beginning")
        sock.send(b"up\t")
        expect(program.line() == message, "no message")
        sock.close()
        expect(program.line() == "-" + topic, "no end")
        program.expect_exit(0)


@testcase()
def an_xsub_sends_upstream(env):
    sock = env.socket(zmq.XPUB)
    program = env.cat("XSUB", "--connect", bind(sock, ANY), "--subscribe", "a", "--count", "1")
    expect(sock.recv() == b"\x01a", "not subscribed")
    program.write("up\tstream\n")
    expect(sock.recv_multipart() == [b"up", b"stream"], "another message")
    sock.send(b"a1")
    expect(program.line() == "a1", "another message")
    program.expect_exit(0)
    program = env.cat("XSUB", "--connect", bind(sock, ANY))
    program.write("\\x01a\n")
    program.expect_exit(1)


@testcase()
def garbage_is_told_seldom(env):
    """Each who talks nonsense would cost a line of stderr: most are only counted."""
    program = env.cat("PULL", "--bind", "tcp://127.0.0.1:*")
    endpoint = program.endpoint()
    since = time.monotonic()
    for _ in range(500):
        with raw.connect(endpoint) as stream:
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            raw.read_to_end(stream)
    seconds = time.monotonic() - since
    program.signal()
    program.wait()
    told = [line for line in program.err.lines if "handshake-failed" in line]
    expect(0 < len(told) <= 20 * (seconds + 2), f"{len(told)} lines in {seconds:.1f} s")
    untold = sum(int(line.split()[1]) for line in program.err.lines if "were not told" in line)
    expect(len(told) + untold == 500, f"{len(told)} told, {untold} not")
