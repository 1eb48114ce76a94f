"""`chromabouncer wrap` in front of what people start Python with: Celery, notebooks, uv, poetry.

A tool that .venv does not have is skipped; scripts/setup installs them.
"""

import importlib.util
import json
import random
import subprocess
import uuid

import pytest

from bed import ROOT
from test_wrap import ADD, PYTHONS, QUERY, command, folder  # noqa: F401 (a fixture)

BIN = ROOT / ".venv/bin"
RECORDS = 24


def needs(module):
    found = importlib.util.find_spec(module) is not None
    return pytest.mark.skipif(not found, reason=f"{module} is not installed in .venv")


TASKS = """
import os
import celery, chromadb

app = celery.Celery("tasks", broker="filesystem://", backend="file://results")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}

def notes():
    return chromadb.PersistentClient("db").get_or_create_collection("notes")

@app.task
def write(name, vector):
    notes().add(ids=[name], embeddings=[vector])
    return os.getpid()

@app.task
def find(name, vector):
    found = notes().query(query_embeddings=[vector], n_results=1)["ids"][0]
    return os.getpid(), type(chromadb.PersistentClient("db")._server).__name__, found == [name]
"""


@needs("celery")
@pytest.mark.timeout(300)
def test_tasks_of_celery_find_what_other_workers_have_written(folder, monkeypatch):  # noqa: F811
    for name in "queue", "results", "control":
        (folder / name).mkdir()
    (folder / "tasks.py").write_text(TASKS)
    words = [BIN / "celery", "-A", "tasks", "worker", "--concurrency", "4", "--loglevel", "warning"]
    words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with (folder / "output").open("w") as output:
        worker = subprocess.Popen(command(*words), cwd=folder, stdout=output, stderr=output)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    import tasks

    try:
        chance, writers, finders = random.Random(1), set(), set()
        vectors = {f"{n}": [chance.uniform(-1, 1) for _ in range(8)] for n in range(RECORDS)}
        written = [tasks.write.delay(*record) for record in vectors.items()]
        writers = {each.get(timeout=120) for each in written}
        asked = [tasks.find.delay(*record) for record in vectors.items()]
        told = [each.get(timeout=120) for each in asked]
        finders = {process for process, _, _ in told}
        assert len(writers | finders) > 1, "one process has done it all"
        assert {kind for _, kind, _ in told} == {"FastAPI"}
        assert all(found for _, _, found in told)
    except Exception:
        print((folder / "output").read_text())
        raise
    finally:
        worker.terminate()
        assert worker.wait(60) == 0


def cell(code):
    return {"cell_type": "code", "id": uuid.uuid4().hex[:8], "metadata": {}, "outputs": [],
            "execution_count": None, "source": code}  # fmt: skip


@needs("nbclient")
@needs("ipykernel")
@pytest.mark.timeout(300)
def test_a_notebook_finds_what_a_process_beside_it_has_written(folder, monkeypatch):  # noqa: F811
    for name in "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR":
        monkeypatch.setenv(name, str(folder / name.lower()))
    beside = ADD.replace("sys.argv[1]", "'beside'").replace("sys.argv[2]", "'2'")
    cells = [
        "import chromadb, subprocess, sys\nclient = chromadb.PersistentClient('db')\n"
        "notes = client.get_or_create_collection('col')\nnotes.add(ids=['mine'], embeddings=[[1.0, 1.0]])\n"
        "notes.query(query_embeddings=[[1.0, 1.0]], n_results=1)",
        f"subprocess.run([sys.executable, '-c', {beside!r}], check=True)",
        "found = notes.query(query_embeddings=[[2.0, 1.0]], n_results=1)['ids'][0]\n"
        "open('found', 'w').write(f'{type(client._server).__name__} {found}')",
    ]
    notebook = {"cells": [cell(code) for code in cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notes.ipynb").write_text(json.dumps(notebook))
    result = subprocess.run(
        command(BIN / "jupyter-execute", "--kernel_name=python3", "notes.ipynb"),
        cwd=folder, capture_output=True, text=True, timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert (folder / "found").read_text() == "FastAPI ['beside']"


@needs("uv")
@pytest.mark.timeout(300)
def test_uv_run_is_served(folder, monkeypatch):  # noqa: F811
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "cache"))
    words = [BIN / "uv", "run", "--offline", "--no-project", "--python", PYTHONS[0], "python"]
    assert serves(folder, words)


@needs("poetry")
@pytest.mark.timeout(300)
def test_poetry_run_is_served(folder, monkeypatch):  # noqa: F811
    monkeypatch.setenv("VIRTUAL_ENV", str(ROOT / ".venv"))
    monkeypatch.setenv("POETRY_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("POETRY_CONFIG_DIR", str(folder / "config"))
    (folder / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "app"\nversion = "1"\ndescription = ""\nauthors = []\npackage-mode = false\n'
        '[tool.poetry.dependencies]\npython = "*"\n'
    )
    assert serves(folder, [BIN / "poetry", "run", "python"])


def serves(folder, words):  # noqa: F811
    result = subprocess.run(
        command(*words, "-c", ADD + QUERY, "one", "1"), cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr
    return result.stdout == "FastAPI\n[['one']]\n"
