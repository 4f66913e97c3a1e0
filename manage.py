#!/usr/bin/env python
"""Django's command line for FinWise. `script/server` is the way to just start it."""

import sys

from finwise.commandline import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
