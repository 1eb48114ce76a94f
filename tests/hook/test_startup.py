"""What the hook does at Python's start: nothing that a program without chromadb could see."""

import os
import re
import statistics
import subprocess
import sys
import venv

import pytest

STATE = "import sys; print(sorted(sys.modules), sys.path, sys.flags)"


def python(environment, *arguments, executable=sys.executable):
    command = [str(executable), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def hidden(tmp_path):
    """A folder on PYTHONPATH with a sitecustomize of its own: hidden(CODE) gives the environment."""

    def write(code):
        (tmp_path / "sitecustomize.py").write_text(code)
        return {**os.environ, "PYTHONPATH": str(tmp_path)}

    return write


def under(wrapped, environment):
    return wrapped.stand_in.environment(environment)


def test_a_program_without_chromadb_sees_its_usual_modules_and_path(wrapped):
    environment = dict(os.environ)
    alone = python(environment, "-c", STATE).stdout.replace("'sitecustomize', ", "")
    hooked = python(under(wrapped, environment), "-c", STATE)
    assert hooked.stdout.replace("'sitecustomize', ", "") == alone
    assert hooked.stderr == ""


def test_the_hidden_sitecustomize_runs_and_is_the_one_that_is_imported(wrapped, hidden, tmp_path):
    environment = hidden("import builtins\nbuiltins.seen = __name__\n")
    show = "import sitecustomize, builtins, sys; print(builtins.seen, sitecustomize.__file__, sys.path)"
    alone = python(environment, "-c", show)
    hooked = python(under(wrapped, environment), "-c", show)
    assert hooked.stdout == alone.stdout
    assert str(tmp_path / "sitecustomize.py") in hooked.stdout


def test_the_hidden_sitecustomize_may_fail_as_it_did(wrapped, hidden):
    environment = hidden("import no_such_module\n")
    alone = python(environment, "-c", "print(1)")
    hooked = python(under(wrapped, environment), "-c", "print(1)")
    assert hooked.stdout == alone.stdout == "1\n"
    assert hooked.stderr == alone.stderr


def test_the_hidden_sitecustomize_may_import_chromadb(wrapped, hidden):
    environment = hidden("import chromadb\n")
    code = (
        "import chromadb, sys\n"
        "print(type(chromadb.PersistentClient(sys.argv[1])._server).__module__)"
    )
    ran = python(under(wrapped, environment), "-c", code, wrapped.directory)
    assert ran.stdout == "chromadb.api.fastapi\n", ran.stderr


def test_the_sitecustomize_of_a_virtual_environment_runs(wrapped, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (site_packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site_packages / "sitecustomize.py").write_text("print('from the venv')\n")
    executable = tmp_path / "venv/bin/python"
    alone = python(dict(os.environ), "-c", "print(1)", executable=executable)
    ran = python(under(wrapped, dict(os.environ)), "-c", "print(1)", executable=executable)
    assert ran.stdout == alone.stdout  # Debian's own sitecustomize goes before the environment's


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_python_that_ignores_pythonpath_is_not_hooked(wrap, option):
    ran = wrap().run("tell(api=api(chromadb.PersistentClient(directory)))", options=[option])
    assert ran.api in ("rust", "segment")


def test_python_without_site_is_not_hooked(wrap):
    ran = python(under(wrap(), dict(os.environ)), "-S", "-c", "import sys; print(sys.meta_path)")
    assert ran.returncode == 0 and "sitecustomize" not in ran.stdout


def test_without_the_socket_nothing_is_hooked(tmp_path):
    hook = os.path.join(os.path.dirname(__file__), "../../src/hook")
    environment = {**os.environ, "PYTHONPATH": hook}
    ran = python(environment, "-c", "import sys; print(len(sys.meta_path))")
    assert ran.stdout == python(dict(os.environ), "-c", "import sys; print(len(sys.meta_path))").stdout


def test_the_start_costs_less_than_a_millisecond(wrapped):
    """The time of `import sitecustomize` itself, as Python reports it."""
    times = []
    for _ in range(15):
        ran = python(under(wrapped, dict(os.environ)), "-X", "importtime", "-c", "")
        found = re.findall(r"\|\s*(\d+) \| *sitecustomize\n", ran.stderr)
        times.append(max(int(microseconds) for microseconds in found))
    print(f"sitecustomize: {min(times)} us at best, {statistics.median(times)} us in the middle")
    assert min(times) < 1000  # what a busy machine adds is not the hook's
