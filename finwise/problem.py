"""What a person has to mend, as opposed to what we have to."""


class Problem(Exception):
    """Something outside this program has to change; the text says what, in plain words.

    Shown without a traceback by everything that a person starts.
    """
