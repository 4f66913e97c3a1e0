"""The `device` command: the reference device for people and scripts.

options.py   what can be typed
acting.py    what each action does, and its exit code
showing.py   how rows, refusals and conflicts are told to people
"""

from .acting import run
from .options import add_options

__all__ = ["add_options", "run"]
