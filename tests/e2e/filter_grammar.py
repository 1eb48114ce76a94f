"""Records and filters drawn by a seeded generator, as raw JSON: numbers in any spelling.

Values come from small pools, so that filters match now and then, and each pool holds what is easily
got wrong: integers beyond 2^53 and at the ends of 64 bits, floats between integers, letters of both
cases, Chinese, emoji, accents in two spellings, NUL, LIKE's own characters.
"""

import json

KEYS = ["a", "b", "c", "chroma", "Ä键", "😀", "a\x00b", "a.b", "A"]
TEXTS = ["", "a", "A", "ab", "äb", "a\u0308b", "中文", "中文字", "😀", "👨‍👩‍👧", "a\x00b", "a\x00c", "a%b", "_", "\\",
         "1", "true", "ſ", "İ", "'", '"', "x" * 300]  # fmt: skip
INTEGERS = [0, 1, -1, 2, 3, 7, -2, 100, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62 + 1]
FLOATS = ["0.0", "-0.0", "-0", "1.0", "0.5", "-0.5", "1.5", "-1.5", "2.0", "2.5", "1e0", "100.0", "0.1", "0.30000000000000004",
          "3.141592653589793", "9007199254740992.0", "9007199254740993.0", "8000000000000007e0", "9.223372036854775807e18", "-9.3e18", "1e300",
          "-1e300", "1e-300", "5e-324", "2147483648.5", "18446744073709551616", "-9223372036854775809"]  # fmt: skip
LARGE = ["9223372036854775808", "18446744073709551615"]
WORDS = ["hello", "Hello", "HELLO", "world", "the quick brown fox", "naïve", "NAÏVE", "nai\u0308ve", "中文", "中文测试", "日本語テスト",
         "한국어", "😀", "😀😀", "👨‍👩‍👧", "e\u0301", "é", "É", "ß", "ſ", "İi", "100%", "a_b", "a\\b", "\x00", "\t", "\n", "''", '"',
         "fi", "ﬁ", "x", "\u200b", "\U0010ffff", "\u007f", "Ω", "Ω", "k", "K"]  # fmt: skip


class Raw(str):
    """JSON text that stands as it is."""


def dump(value):
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


class Grammar:
    def __init__(self, rng):
        self.rng = rng
        self.documents = []

    # Records

    def record(self):
        """(metadata, document), either may be None."""
        metadata = None
        if self.rng.random() > 0.05:
            keys = self.rng.sample(KEYS, self.rng.randrange(1, 6))
            metadata = {key: self.value() for key in keys}
        document = None
        if self.rng.random() > 0.15:
            document = self.document()
            self.documents.append(document)
        return metadata, document

    def document(self):
        separator = self.rng.choice(["", " ", " ", "。"])
        return separator.join(self.rng.choice(WORDS) for _ in range(self.rng.randrange(0, 8)))

    def value(self):
        if self.rng.random() < 0.3:
            kind = self.rng.choice([self.text, self.integer, self.float, self.flag])
            return [kind() for _ in range(self.rng.randrange(1, 5))]
        return self.scalar()

    def scalar(self):
        return self.rng.choice([self.text, self.integer, self.float, self.flag])()

    def number(self):
        return self.rng.choice([self.integer, self.float])()

    def text(self):
        return self.rng.choice(TEXTS)

    def integer(self):
        return self.rng.choice(INTEGERS) if self.rng.random() < 0.8 else self.rng.randrange(-(2**63), 2**63)

    def float(self):
        return Raw(self.rng.choice(FLOATS)) if self.rng.random() < 0.8 else self.odd_float()

    def odd_float(self):
        """Any spelling of a float: with more digits than count, and powers of ten."""
        digits = "".join(self.rng.choice("0123456789") for _ in range(self.rng.choice([1, 5, 16, 17, 19, 25])))
        whole = str(self.rng.choice([0, 1, 12, 123456789, 9007199254740993]))
        power = self.rng.choice(["", "", f"e{self.rng.randrange(-30, 30)}", f"E{self.rng.randrange(-320, 280)}"])
        return Raw(self.rng.choice(["", "-"]) + whole + "." + digits + power)

    def flag(self):
        return self.rng.random() < 0.5

    # Filters

    def question(self):
        """{"where": .., "where_document": ..}, at least one of them."""
        kind = self.rng.random()
        question = {}
        if kind < 0.7:
            question["where"] = self.where(self.rng.choice([0, 0, 1, 2, 3, 5]))
        if kind > 0.6:
            question["where_document"] = self.where_document(self.rng.choice([0, 0, 1, 2, 3]))
        return question

    def group(self, depth, clause):
        count = self.rng.choice([0, 1, 2, 2, 3, 4])
        return {self.rng.choice(["$and", "$or"]): [clause(self.rng.randrange(depth)) for _ in range(count)]}

    def where(self, depth):
        if depth > 0:
            return self.group(depth, self.where)
        if self.rng.random() < 0.02:
            return self.malformed()
        if self.rng.random() < 0.1:
            return {"#document": {self.rng.choice(["$contains", "$not_contains"]): self.needle()}}
        key = self.rng.choice([*KEYS, "missing", ""])
        return {key: self.rng.choice([self.scalar, self.comparison, self.comparison, self.membership, self.listed])()}

    def comparison(self):
        name = self.rng.choice(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
        return {name: self.scalar() if name in ("$eq", "$ne") else self.number()}

    def membership(self):
        kind = self.rng.choice([self.text, self.integer, self.float, self.flag])
        values = [kind() for _ in range(self.rng.randrange(1, 5))]
        if kind == self.float and self.rng.random() < 0.3:
            values.append(self.rng.choice([self.integer(), Raw(self.rng.choice(LARGE))]))
        return {self.rng.choice(["$in", "$nin"]): values}

    def listed(self):
        return {self.rng.choice(["$contains", "$not_contains"]): self.scalar()}

    def malformed(self):
        operator = self.rng.choice(["$eq", "$ne", "$gt", "$lt", "$in", "$nin", "$contains", "$like", "eq", "$regex"])
        operand = self.rng.choice([None, [], {}, [1, "a"], ["a", None], [1, 1.5], Raw(LARGE[0]), [Raw(LARGE[0])], "a", True])
        return self.rng.choice([
            {}, {"a": 1, "b": 2}, {"a": {}}, {"$not": {"a": 1}}, {"$and": {}}, {"$or": [5]}, {"a": None},
            {"a": {operator: operand}}, {"a": {"$gt": 1, "$lt": 2}}, [], "a", {"#document": {"$contains": 1}},
            {"#document": "a"}, {"#document": {"$ne": 1}}, {operator: operand}, {"#document": {"$in": ["a"]}},
        ])  # fmt: skip

    def where_document(self, depth):
        if depth > 0:
            return self.group(depth, self.where_document)
        if self.rng.random() < 0.02:
            return self.rng.choice([{}, [], "a", {"$contains": 1}, {"$eq": "a"}, {"a": "b"}, {"$or": {}}, {"$contains": None}])
        return {self.rng.choice(["$contains", "$not_contains"]): self.needle()}

    def needle(self):
        """Often a piece of a document that is there."""
        text = self.rng.choice(WORDS)
        if self.documents and self.rng.random() < 0.7:
            text = self.rng.choice(self.documents)
            begin = self.rng.randrange(len(text) + 1)
            text = text[begin : begin + self.rng.choice([0, 1, 1, 2, 3, 3, 4, 6, 12, 40])]
        if self.rng.random() < 0.05:
            text = self.rng.choice([text.upper(), text.lower(), text[::-1], text + "\x00", "%", "_", "\\"])
        return text
