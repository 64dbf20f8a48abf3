#!/usr/bin/env python3
"""Text to tokens and back, by byte pairs; needs Python alone.

    tokenizer.py encode TOKENIZER.json "some text"      1,2,3
    tokenizer.py decode TOKENIZER.json [1,2,3]          some text; tokens come from the first line of standard input unless given
    tokenizer.py learn TEXT TOKENIZER.json              4,096 tokens that make the text short

The file is one that the packages `tokenizers` and `transformers` read as well. Text is cut into pieces (words with the space before them, numbers, marks, gaps); the bytes
of a piece are merged pair by pair, in the order in which the pairs were learnt. The file has a letter for each byte, as it has been since GPT-2."""
import collections
import functools
import json
import re
import sys

SIZE = 4096
END = "<|endoftext|>"  # token 0: between chapters
PIECES = " ?[A-Za-z]+| ?[0-9]+| ?[^ \\t\\r\\nA-Za-z0-9]+|[ \\t\\r\\n]+"


def letters():
    """A printable letter for each byte: itself where it is one."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


LETTERS = letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def spelled(piece):
    return [LETTERS[b] for b in piece.encode()]


def merged(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        both = tuple(symbols[i:i + 2]) == pair
        out.append(pair[0] + pair[1] if both else symbols[i])
        i += 2 if both else 1
    return out


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            model = json.load(file)["model"]
        self.ids = model["vocab"]
        self.symbols = {i: symbol for symbol, i in self.ids.items()}
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        self.piece = functools.lru_cache(maxsize=None)(self.piece)

    def piece(self, text):
        symbols = spelled(text)
        while len(symbols) > 1:
            pair = min(zip(symbols, symbols[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
            if pair not in self.ranks:
                break
            symbols = merged(symbols, pair)
        return [self.ids[s] for s in symbols]

    def encode(self, text):
        return [i for piece in re.findall(PIECES, text) for i in self.piece(piece)]

    def decode(self, tokens):
        """Without what ends a chapter."""
        return bytes(BYTES[letter] for t in tokens if t for letter in self.symbols[t]).decode("utf-8", "replace")

    def chapters(self, text):
        """The tokens of all chapters, each behind the token that separates them."""
        return [t for chapter in text.split("\n\n") for t in [0, *self.encode(chapter.rstrip("\n") + "\n")]]


def learn(text):
    """The pairs to merge, most frequent first; of equals the one that is last in the alphabet."""
    words = collections.Counter(re.findall(PIECES, text))
    spellings = [(spelled(word), count) for word, count in sorted(words.items())]
    counts, places = collections.Counter(), collections.defaultdict(set)
    for at, (symbols, count) in enumerate(spellings):
        for pair in zip(symbols, symbols[1:]):
            counts[pair] += count
            places[pair].add(at)
    merges = []
    while len(merges) < SIZE - 257:
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        for at in places[best]:
            symbols, count = spellings[at]
            for pair in zip(symbols, symbols[1:]):
                counts[pair] -= count
            symbols = merged(symbols, best)
            spellings[at] = symbols, count
            for pair in zip(symbols, symbols[1:]):
                counts[pair] += count
                places[pair].add(at)
        del counts[best], places[best]
    return merges


def write(path, merges):
    vocabulary = [END, *LETTERS.values(), *(a + b for a, b in merges)]
    steps = [{"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": False},
             {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]
    end = {"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [end], "normalizer": None,
                   "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "post_processor": None,
                   "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
                   "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                             "vocab": {symbol: i for i, symbol in enumerate(vocabulary)}, "merges": merges}},
                  file, ensure_ascii=False, separators=(",", ":"))


def main(verb, *arguments):
    if verb == "learn":
        with open(arguments[0], encoding="utf-8") as file:
            return write(arguments[1], learn(file.read()))
    tokenizer = Tokenizer(arguments[0])
    if verb == "encode":
        print(*tokenizer.encode(arguments[1]), sep=",")
    else:
        tokens = arguments[1] if arguments[1:] else sys.stdin.readline()
        print(tokenizer.decode(map(int, tokens.split(","))))


if __name__ == "__main__":
    main(*sys.argv[1:])
