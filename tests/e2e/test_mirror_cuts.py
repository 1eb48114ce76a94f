"""Uploads whose connection breaks 4 to 30 ms after they were sent: no copy lacks what Chroma holds.

Chroma may have such a write in its log and show it to nobody until the next write to that collection.
In one test clients break their connections to the proxy, in the other, MIRROR_CUTS=60, those of the
proxy to Chroma break, again and again until it gives up: four minutes, as a gateway makes no copy for two
minutes after that.
"""

import json
import os
import random
import time

import pytest

from bed import DATABASE, Chroma, Proxy, wait_for
from test_cache_history import Cutter
from test_exec import Exec
from test_mirror import Door, cut_upload, is_logged, vector

UPLOADS = 60
CUTS = int(os.environ.get("MIRROR_CUTS", "0"))
FLAGS = ["--set", "mirror.mode=prefer", "--set", "cache.enabled=false", "--set", "log.access=off"]
SECONDS = 200


class Place:
    """A collection; it is asked through the proxy."""

    def __init__(self, door, name):
        self.door = door
        status, text, _ = door.ask("POST", f"{DATABASE}/collections", {"name": name})
        assert status == 200, text
        self.path = f"{DATABASE}/collections/{json.loads(text)['id']}"
        self.write("first", 0)

    def write(self, name, seed):
        body = {"ids": [name], "embeddings": [vector(seed)]}
        status, text, _ = self.door.ask("POST", f"{self.path}/upsert", body)
        assert status == 200, text

    def ids(self, fields=()):
        """(all of them, was it a copy?)"""
        status, text, said = self.door.ask("POST", f"{self.path}/get", {"include": []}, fields)
        assert status == 200, text
        return json.loads(text)["ids"], said["x-chromabouncer-source"] == "mirror"

    def chromas_ids(self):
        return self.ids([("cache-control", "no-store")])[0]

    def has_copy(self):
        """If so, it has said what Chroma says; a write that is under way may be applied in between."""
        before = self.chromas_ids()
        found, is_copy = self.ids()
        assert not is_copy or found == before or found == self.chromas_ids(), (len(found), len(before))
        return is_copy


def test_what_clients_cut_is_in_a_copy_once_chroma_has_it():
    rng, copies = random.Random(1), 0
    with Exec(flags=FLAGS) as one:
        place = Place(Door(one.port), "cut")
        wait_for(place.has_copy, "a copy")
        for number in range(UPLOADS):
            cut_upload(one.port, place.path, f"cut{number}", rng.uniform(0.004, 0.03))
            copies += place.has_copy()
            place.write("later", number)
            copies += place.has_copy()
        wait_for(place.has_copy, "a copy in the end")
    print(f"{UPLOADS} uploads cut; {copies} of {2 * UPLOADS} reads were answered by the copy")
    assert copies > UPLOADS / 2


def cut(cutter, place, number):
    """One upload, each of its connections to Chroma: (its status, the name of its records)"""
    name = f"cut{number}"
    ids = [f"{name}-{i}" for i in range(300)]
    mark = f"mark-{number}-"  # in what is sent last
    body = {"ids": ids, "embeddings": [vector(i) for i in range(300)], "documents": ["plain"] * 299 + [mark]}
    cutter.marks[mark.encode()] = 9
    return place.door.ask("POST", f"{place.path}/add", body)[0], name


@pytest.mark.skipif(CUTS == 0, reason="takes four minutes: MIRROR_CUTS=60")
@pytest.mark.timeout(300 + 5 * CUTS)
def test_what_was_cut_on_its_way_to_chroma_is_in_a_copy_once_chroma_has_it():
    with Chroma() as chroma:
        cutter = Cutter(chroma.port, delays=[ms / 1000 for ms in range(4, 31)])
        with Proxy(cutter.port, ["--set", "role=gateway", *FLAGS]) as proxy:
            places = [Place(Door(proxy.port), f"cut-{number}") for number in range(CUTS)]
            for place in places:
                wait_for(place.has_copy, "a copy")
            uploads = [cut(cutter, place, number) for number, place in enumerate(places)]
            shown = [f"{name}-0" in place.chromas_ids() for place, (_, name) in zip(places, uploads)]
            logged = [is_logged(chroma.database, name) for _, name in uploads]
            deadline, waiting = time.monotonic() + SECONDS, places
            while waiting:
                waiting = [place for place in waiting if not place.has_copy()]
                assert time.monotonic() < deadline, len(waiting)
                time.sleep(0.5)
            for place in places:
                place.write("later", 1)
                assert place.has_copy()
        cutter.close()
    failed = sum(status >= 500 for status, _ in uploads)
    hidden = sum(in_log and not is_shown for in_log, is_shown in zip(logged, shown))
    print(f"{CUTS} uploads, {cutter.cuts} connections cut, {failed} failed; "
          f"{sum(shown)} are shown, {hidden} in the log and not shown")
    assert failed > CUTS / 2
