"""What PostgreSQL's programs say when they fail, told to a person."""

from pathlib import Path


def for_output(output: str, folder: Path) -> str:
    """A sentence that says what to do, from what a program printed."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return (
            f"The disk that holds {folder} is full, so PostgreSQL cannot work. Free some space "
            "and start again; nothing that was saved is lost."
        )
    if "Read-only file system" in output:
        return f"The disk that holds {folder} is read-only. FinWise has to be able to write there."
    if "Permission denied" in output or "could not change permissions" in output:
        return (
            f"PostgreSQL may not write in {folder}. Start FinWise as the user who owns that "
            "folder, or choose another one: FINWISE_STATE_DIR=/some/folder"
        )
    if "could not create shared memory" in output or "Cannot allocate memory" in output:
        return "There is not enough memory for PostgreSQL. Close something and start again."
    last = "\n".join(f"  {line}" for line in output.strip().splitlines()[-6:])
    return f"PostgreSQL in {folder} does not start. Its last words:\n{last}"


def disk_full(folder: Path, free_bytes: int, needed_bytes: int) -> str:
    return (
        f"The disk that holds {folder} has {free_bytes // 2**20} MiB left; the database needs at "
        f"least {needed_bytes // 2**20}. Free some space and start again."
    )
