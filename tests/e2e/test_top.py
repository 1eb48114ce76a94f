"""`chromabouncer top` in a real terminal (tmux): what is on the screen, keys, other sizes, the end."""

import shutil
import subprocess

import pytest

from bed import PROXY, Chroma, Proxy
from processes import wait_until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """80x24, with a shell of its own, so that one can see what is left behind."""

    def __init__(self, folder):
        self.socket = folder / "tmux"
        # No configuration file: it could change keys and the screen.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-c", folder, "-x", "80", "-y", "24", "env", "PS1=ready$ ", "sh")

    def tmux(self, *words):
        command = ["tmux", "-u", "-S", str(self.socket), *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def shows(self, text):
        return wait_until(lambda: text in self.screen())

    def in_alternate_screen(self):
        return self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["1", "0"]

    def close(self):
        self.tmux("kill-server")


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    control = tmp_path_factory.mktemp("top") / "control"
    with Chroma() as chroma, Proxy(chroma.port, ["--control", str(control)]):
        yield control


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    terminal.shows("ready$")
    yield terminal
    terminal.close()


def fits(screen, columns, lines):
    rows = screen.rstrip("\n").split("\n")
    return len(rows) <= lines and all(len(row) <= columns for row in rows)


def test_top_in_a_terminal(control, terminal):
    terminal.type(f"{PROXY} top --control {control}", "Enter")
    terminal.shows("backend")
    assert wait_until(terminal.in_alternate_screen)
    assert "ready$" not in terminal.screen() and fits(terminal.screen(), 80, 24)

    terminal.type("?")
    terminal.shows("? back")
    terminal.type("?")
    terminal.shows("? help")
    terminal.type("s")
    terminal.shows("sort: p99")
    terminal.type("p")
    terminal.shows("PAUSED")
    terminal.type("p")
    wait_until(lambda: "PAUSED" not in terminal.screen())

    terminal.tmux("resize-window", "-x", "120", "-y", "40")
    wait_until(lambda: any(len(row) > 80 for row in terminal.screen().split("\n")))
    assert fits(terminal.screen(), 120, 40)
    terminal.tmux("resize-window", "-x", "40", "-y", "10")
    wait_until(lambda: fits(terminal.screen(), 40, 10))

    terminal.tmux("resize-window", "-x", "80", "-y", "24")
    terminal.type("q")
    terminal.shows("ready$")
    assert wait_until(lambda: not terminal.in_alternate_screen())
    assert terminal.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"
    terminal.type("echo $?", "Enter")
    terminal.shows("\n0\n")


def test_an_interrupted_top_leaves_the_terminal_as_it_was(control, terminal):
    terminal.type(f"stty -g > was; {PROXY} top --control {control}; stty -g | cmp - was && echo as before", "Enter")
    assert wait_until(terminal.in_alternate_screen)
    terminal.type("C-c")
    terminal.shows("\nas before")
    assert terminal.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
