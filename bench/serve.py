"""The server under test: script/server as it is, and a signal that collects garbage."""

import gc
import os
import signal
import sys
from types import FrameType

from finwise.server import main


def collect(number: int, frame: FrameType | None) -> None:
    gc.collect()
    # Told through a file: the log may be buffered, and polling a file is cheap.
    with open(os.environ["BENCH_COLLECTED"], "a") as told:
        told.write("collected\n")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, collect)
    sys.exit(main(sys.argv[1:]))
