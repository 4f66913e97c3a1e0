"""Where things lie. Importable without Django, settings or the environment being complete."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def state_dir() -> Path:
    """The folder for everything that FinWise writes: database, secrets, logs."""
    return Path(os.environ.get("FINWISE_STATE_DIR") or ROOT / "var").resolve()
