"""``python -m bulknb.sandbox``: a sandbox as a process of its own."""

import argparse
import sys

from bulknb.sandbox import Sandbox, serve


def _announce(sandbox: Sandbox) -> None:
    sys.stdout.write(f"{sandbox.url}\n{sandbox.token}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until SIGINT or SIGTERM; the first two lines of output are URL and token."""
    parser = argparse.ArgumentParser(prog="python -m bulknb.sandbox", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: free)")
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast as real time")
    parser.add_argument("--seed", type=int, default=0, help="for the variation of times")
    parser.add_argument("--path", default=":memory:", help="SQLite file to keep the data in")
    parser.add_argument("--demo", action="store_true", help="add the demonstration org")
    options = parser.parse_args()
    serve(**vars(options), announce=_announce)


if __name__ == "__main__":
    main()
