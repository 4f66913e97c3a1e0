# Sourced by the other scripts: finds a Python that is new enough and calls it $PYTHON.
# Nothing here may need more than a POSIX shell.

cd "$(dirname "$0")/.." || exit 1

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${FINWISE_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
            PYTHON=$(command -v "$candidate")
            return 0
        fi
    done
    found=$(python3 --version 2>/dev/null) || found="no Python"
    echo "FinWise needs Python 3.11 or newer, and this machine's PATH has $found." >&2
    echo "Install a newer one (Debian and Ubuntu: apt-get install python3 python3-venv), or name" >&2
    echo "one that lies elsewhere: FINWISE_PYTHON=/path/to/python3.12 $0" >&2
    exit 1
}
