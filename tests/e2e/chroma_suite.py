#!/usr/bin/env python3
"""chroma_suite - Chroma's own tests of its client: the same results through chromabouncer with a mirror?

    chroma_suite.py [--python PYTHON] [--mode prefer] [TEST]...

PYTHON is one with the packages below (by default an environment
made in .venvs/). The tests are those that the wheel of chromadb carries; they run against a fresh
server, then against another through chromabouncer, one after the other. With `prefer` each read of
records waits for a copy there (suite_waits.py). Prints what differs, and how many reads a copy has
answered; exit status 1 if a test passes alone and fails through, or none was answered so. Some
minutes; run by hand.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from bed import ROOT, Chroma, WatchedProxy

PACKAGES = ["chromadb==1.5.9", "pytest<9", "pytest-asyncio", "hypothesis", "psutil", "httpx", "fastapi",
            "opentelemetry-instrumentation-fastapi"]  # fmt: skip
TESTS = ["test_api.py", "test_client.py", "api", "property/test_filtering.py", "property/test_embeddings.py",
         "property/test_add.py", "property/test_collections.py", "test_multithreaded.py"]  # fmt: skip

# An update of a missing id and an add of it, before the first read: Chroma shows the vector of the update
# from the write on that follows this read (doc/chroma.md), and the filling of a copy begins with one.
EXPLAINED = "test_invalid_update."


def environment():
    place = ROOT / ".venvs/chroma-suite"
    if not (place / "bin/pytest").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "--quiet", *PACKAGES], check=True)
    return place / "bin/python"


def run(python, port, tests, flags=()):
    """{test: passed | failed | skipped}"""
    where = subprocess.run([python, "-c", "import chromadb.test; print(chromadb.test.__path__[0])"],
                           check=True, capture_output=True, text=True)  # fmt: skip
    folder = pathlib.Path(where.stdout.strip())
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch) / "report.xml"
        names = [folder / test for test in tests]
        words = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *flags, *names]
        variables = {"CHROMA_INTEGRATION_TEST_ONLY": "1", "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
                     "CHROMA_SERVER_HOST": "127.0.0.1", "CHROMA_SERVER_HTTP_PORT": str(port),
                     "ANONYMIZED_TELEMETRY": "False", "PROPERTY_TESTING_PRESET": "fast",
                     "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT / "tests/e2e")}  # fmt: skip
        subprocess.run(words, check=False, cwd=scratch, env=os.environ | variables, stdout=2)
        found = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            found[f"{case.get('classname')}.{case.get('name')}"] = result
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python")
    parser.add_argument("--mode", default="prefer")
    parser.add_argument("tests", nargs="*", default=TESTS)
    arguments = parser.parse_args()
    python = arguments.python or environment()
    may_reset = ["allow_reset: true"]
    settings = [f"mirror.mode={arguments.mode}", "role=gateway", "backend.settle_time=0s", "log.access=off"]
    flags = [word for setting in settings for word in ("--set", setting)]
    flags += ["--set", "cache.enabled=false"]  # whose answers come first
    with Chroma(may_reset) as chroma:
        alone = run(python, chroma.port, arguments.tests)
    with Chroma(may_reset) as chroma, WatchedProxy(chroma.port, flags) as proxy:
        waits = ["-p", "suite_waits"] if arguments.mode == "prefer" else []
        through = run(python, proxy.port, arguments.tests, waits)
        page = proxy.get("/metrics")
        answered = [line for line in page.splitlines() if line.startswith("chromabouncer_mirror")]
        is_tested = not waits or f'chromabouncer_mirror_answers_total{{mode="prefer"}} 0' not in page
    for name, results in ("alone", alone), ("through chromabouncer", through):
        counts = {kind: list(results.values()).count(kind) for kind in ("passed", "failed", "skipped")}
        print(f"{name}: {counts}")
    print("\n".join(answered))
    lost = 0
    for test in sorted(alone.keys() | through.keys()):
        one, other = alone.get(test), through.get(test)
        if one != other:
            print(f"{test}: alone {one}, through chromabouncer {other}")
            lost += one == "passed" and EXPLAINED not in test
    if not is_tested:
        print("no copy has answered")
    return 1 if lost or not is_tested else 0


if __name__ == "__main__":
    sys.exit(main())
