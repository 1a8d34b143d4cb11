#!/usr/bin/python3
"""Monocoque against libzmq: every pattern, both directions, and what may go wrong between them.

  tests/interop/run.py [--bin DIR] [--quick | --long] [--only PATTERN] [-v]

Ends with `N passed, N failed, N skipped`. Needs python3-zmq, which only Debian's own python3 has.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import harness
import self_test  # noqa: F401, the modules add their tests in this order
import matrix  # noqa: F401
import ours  # noqa: F401
import many  # noqa: F401
import flow  # noqa: F401
import lifecycle  # noqa: F401
import pubsub  # noqa: F401
import routing  # noqa: F401
import proxy  # noqa: F401
import options  # noqa: F401
import refusal  # noqa: F401
import hostile  # noqa: F401
import old  # noqa: F401
import cat_contract  # noqa: F401
import examples  # noqa: F401


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "tools"),
                        help="where mcq-cat and interop-peer are")
    parser.add_argument("--examples", help="where the examples are [--bin/../examples]")
    parser.add_argument("--quick", action="store_true", help="fewer cells")
    parser.add_argument("--long", action="store_true", help="ten times the messages")
    parser.add_argument("--only", metavar="PATTERN", help="tests whose name has it, * and ? allowed")
    parser.add_argument("-v", "--verbose", action="store_true", help="names what passes, too")
    options = parser.parse_args()
    if options.examples is None:
        options.examples = os.path.join(options.bin, "..", "examples")
    return harness.run(options)


sys.exit(main())
