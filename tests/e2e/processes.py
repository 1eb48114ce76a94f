"""processes - which processes of this machine belong to a test, by what their command lines say."""

import os
import pathlib
import time


def with_word(word):
    """The ids of the living processes that have `word` in their command line or in their
    environment, but for this one."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word.encode() in text and state != "Z":
            found.append(int(folder.name))
    return found


def children(process):
    """The ids of the children of `process`."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def wait_until(condition, seconds=30):
    """What condition() returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)
    return result
