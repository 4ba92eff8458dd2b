"""What a load costs the client itself: 50,000 flights against a sandbox in its own process.

Prints CPU seconds of this process and seconds on the clock, for each object. The sandbox works on
the other side of a socket, so its own work is not in the first figure.
"""

from __future__ import annotations

import subprocess
import sys
import time

import bulknb
from bulknb.sandbox.flights import frames

SANDBOX = [sys.executable, "-m", "bulknb.sandbox", "--demo", "--speed", "50"]


def main() -> None:
    """Load parents and flights, and print a line for each."""
    with subprocess.Popen(SANDBOX, stdout=subprocess.PIPE, text=True) as server:
        try:
            url, token = (server.stdout.readline().strip() for _ in range(2))
            org = bulknb.connect(instance_url=url, access_token=token)
            for name, (frame, external_id) in frames().items():
                cpu, clock = time.process_time(), time.perf_counter()
                load = org.load(frame, name, "upsert", external_id=external_id).wait()
                cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
                rows = load.counts["sent"]
                print(f"{name:<11}{rows:>7,} rows  {cpu:5.2f} s CPU  {clock:5.1f} s clock")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
