"""suite_waits - a plugin of pytest for chroma_suite.py: before each read of records a client of
chromadb waits until a copy of the collection answers, so that it is a copy that is tested.

Who has none within some seconds (Chroma refuses to say anything of it, or it cannot be copied) is
read without one from then on.
"""

import re
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from chromadb.api.async_fastapi import AsyncFastAPI
from chromadb.api.fastapi import FastAPI

READ = re.compile(r"(.*/collections/[0-9a-f-]{36})/(?:query|get|count)")
WAIT_SECONDS = 3
counts = {"reads": 0, "waited for a copy": 0, "had none": 0}
given_up = set()


def wait_for_copy(client, path):
    counts["reads"] += 1
    if path in given_up:
        counts["had none"] += 1
        return
    url = client.get_api_url() + urllib.parse.quote(path) + "/count"
    request = urllib.request.Request(url, headers=client.get_request_headers())
    end, number = time.monotonic() + WAIT_SECONDS, 0
    try:
        while urllib.request.urlopen(request, timeout=60).headers["x-chromabouncer-source"] != "mirror":
            number += 1
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.005)
    except OSError:  # an HTTPError, too
        counts["had none"] += 1
        given_up.add(path)
    counts["waited for a copy"] += number > 0


def is_read(method, path):
    return READ.fullmatch(path) if method in ("get", "post") else None


@pytest.hookimpl(tryfirst=True)
def pytest_configure():
    make, make_async = FastAPI._make_request, AsyncFastAPI._make_request

    def wait_and_make(self, method, path, **words):
        if read := is_read(method, path):
            wait_for_copy(self, read.group(1))
        return make(self, method, path, **words)

    async def wait_and_make_async(self, method, path, **words):
        if read := is_read(method, path):
            wait_for_copy(self, read.group(1))
        return await make_async(self, method, path, **words)

    FastAPI._make_request, AsyncFastAPI._make_request = wait_and_make, wait_and_make_async


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"copies: {counts}")
