"""table - texts and their embeddings, made beforehand, so that the load measures the store.

A folder holds texts.json (a list of {"text", "source"}), vectors.npy (float32, one row for each
text) and keys.npy (for each text a number made of it, to find its row).
"""

import hashlib
import json
import pathlib

import numpy
from langchain_core.embeddings import Embeddings


def key_of(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class TableEmbeddings(Embeddings):
    """Looks embeddings up. The file is mapped, so the workers share its memory."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        keys = numpy.load(folder / "keys.npy")
        self.order = numpy.argsort(keys)
        self.keys = keys[self.order]
        self.vectors = numpy.load(folder / "vectors.npy", mmap_mode="r")

    def embed_query(self, text):
        key = key_of(text)
        place = int(numpy.searchsorted(self.keys, numpy.uint64(key)))
        if place == len(self.keys) or self.keys[place] != key:
            raise KeyError(f"no embedding was made of: {text[:60]}")
        return self.vectors[self.order[place]].tolist()

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


def load_texts(folder):
    return json.loads((pathlib.Path(folder) / "texts.json").read_text(encoding="utf-8"))
