"""Writes models/artifacts/tokenizer/1/: what serving needs to tokenize as the reference does.

The reference is the PyPI package `tokenizers` with the base's tokenizer.json. It is asked about
every code point and its answers become tables, because the Unicode version inside it is neither
Python's nor Node's. The goldens hold its answers on texts chosen to be hard; the tests of
models/tokenizer.ts and models/normalize.ts repeat every one of them.

    python models/train/tokenizer.py

Run it again after emoji_names.py: the manifest holds the hash of that table too. Takes 15
seconds, and the same package versions write the same bytes.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

import tokenizers
from tokenizers import Encoding
from tokenizers.normalizers import NFD, BertNormalizer

from encoder import (
    BASE,
    EMOJI_NAMES_PATH,
    base_folder,
    normalize_text,
    straighten_quotes,
    tokenizer,
)

FOLDER = EMOJI_NAMES_PATH.parent
SERVED = ["vocab.txt", "tables.json", EMOJI_NAMES_PATH.name]
TESTED = ["code-points.json", "golden.jsonl.gz", "normalize-golden.jsonl.gz"]
VERSION = "1"
SEED = 20261124
GOLDEN_IDS = 128  # ids stored per text; the rest of a longer text is held by its hash
BLOCK = 4096  # code points per hash
NORMALIZE_GOLDENS = 1000
HANGUL = range(0xAC00, 0xD7A4)
EVERYTHING = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


def main() -> None:
    model = json.loads((base_folder() / "tokenizer.json").read_text())
    pieces = sorted(model["model"]["vocab"], key=model["model"]["vocab"].get)
    answers = {char: ask(char) for char in EVERYTHING}
    check_assumptions(answers, pieces, {token["content"] for token in model["added_tokens"]})

    rng = random.Random(SEED)
    words = [piece for piece in pieces if len(piece) > 2 and piece.isascii() and piece.isalpha()]
    letters = [piece for piece in pieces if len(piece) == 1 and not piece.isascii()]
    write("vocab.txt", "".join(f"{piece}\n" for piece in pieces))
    write("tables.json", one_key_a_line(tables(answers, model)))
    write("code-points.json", one_key_a_line(code_point_hashes()))
    write_lines("golden.jsonl.gz", map(golden, golden_texts(rng, words, letters)))
    write_lines("normalize-golden.jsonl.gz", map(normalize_golden, normalize_texts(rng)))
    write_manifest()


# --- tables -------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What becomes of one code point between two letters."""

    kind: str  # one of KINDS, or "word"
    output: str


KINDS = ["removed", "marks", "spaces", "punctuation", "cjk"]
CLEAN_ONLY = BertNormalizer(True, False, False, False)  # clean_text, handle_chinese_chars, ...
CJK_ONLY = BertNormalizer(False, True, False, False)


def ask(char: str) -> Answer:
    reference = tokenizer()
    normalized = reference.normalizer.normalize_str(f"a{char}a")
    words = [word for word, _ in reference.pre_tokenizer.pre_tokenize_str(normalized)]
    if words == ["aa"]:
        return Answer("marks" if CLEAN_ONLY.normalize_str(char) else "removed", "")
    if words == ["a", "a"]:
        return Answer("spaces", "")
    if len(words) == 1:
        return Answer("word", words[0][1:-1])
    if len(words) == 3 and words[0] == words[2] == "a":
        cjk = CJK_ONLY.normalize_str(char) == f" {char} "
        return Answer("cjk" if cjk else "punctuation", words[1])
    raise SystemExit(f"U+{ord(char):04X} becomes {words}: no kind for that")


def check_assumptions(answers: dict[str, Answer], pieces: list[str], added: set[str]) -> None:
    """What models/tokenizer.ts relies on beyond the tables."""
    reachable = [p for p in pieces if p not in added and not p.startswith("[unused")]
    alphabet = set("".join(p.removeprefix("##") if len(p) > 2 else p for p in reachable))
    known = set(pieces)
    # so the longest match always finds a piece: [UNK] means a foreign character or a long word
    assert all(char in known and f"##{char}" in known for char in alphabet)
    # so UTF-16 units are characters inside a word that is not [UNK]
    assert all(ord(char) < 0x10000 for char in alphabet)
    # so the canonical reordering of marks never changes an id
    assert all(NFD().normalize_str(f"\u0345{char}")[0] == "\u0345" for char in alphabet)
    # so Hangul needs no table: its decomposition is arithmetic and frozen in every Unicode
    for code in HANGUL:
        assert answers[chr(code)] == Answer("word", NFD().normalize_str(chr(code)))
    # so '[' always begins a word of its own, and so does every added token
    assert answers["["].kind == "punctuation" and all(token[0] == "[" for token in added)


def tables(answers: dict[str, Answer], model: dict) -> dict[str, object]:
    """Kinds as [first, last, first, last, ...]; mapped as {hex code point: normalized text}."""
    kinds = {
        kind: ranges(ord(char) for char, answer in answers.items() if answer.kind == kind)
        for kind in KINDS
    }
    mapped = {
        f"{ord(char):x}": answer.output
        for char, answer in answers.items()
        if answer.output not in ("", char) and ord(char) not in HANGUL
    }
    return {
        "word_characters_max": model["model"]["max_input_chars_per_word"],
        "added": {token["content"]: token["id"] for token in model["added_tokens"]},
        **kinds,
        "mapped": mapped,
    }


def ranges(codes: Iterable[int]) -> list[int]:
    flat: list[int] = []
    for code in codes:
        if flat and flat[-1] == code - 1:
            flat[-1] = code
        else:
            flat += [code, code]
    return flat


# --- goldens ------------------------------------------------------------------------------


def golden(text: str) -> dict[str, object]:
    """The reference's answer without [CLS] and [SEP], untruncated; hashes cover the whole of it."""
    encoding = tokenizer().encode(text, add_special_tokens=False)
    return {
        "text": text,
        "count": len(encoding.ids),
        "ids": encoding.ids[:GOLDEN_IDS],
        "ids_sha256": short_hash(spaced(encoding.ids)),
        "offsets_sha256": short_hash(spaced(utf16_offsets(text, encoding))),
    }


def normalize_golden(text: str) -> dict[str, str]:
    normalized, straightened = normalize_text(text), straighten_quotes(text)
    return {"text": text, "normalized": normalized, "straightened": straightened}


def code_point_hashes() -> dict[str, object]:
    """Per 4,096 code points: how each is encoded alone and inside a word, and normalize_text."""
    blocks = [
        [chr(code) for code in range(first, first + BLOCK) if not 0xD800 <= code <= 0xDFFF]
        for first in range(0, 0x110000, BLOCK)
    ]
    return {
        "block": BLOCK,
        "encoded": [short_hash("".join(map(encoded_line, block))) for block in blocks],
        "normalized": [short_hash(normalize_text("".join(block))) for block in blocks],
    }


def encoded_line(char: str) -> str:
    text = f"{char} a{char}b"
    encoding = tokenizer().encode(text, add_special_tokens=False)
    return f"{spaced(encoding.ids)};{spaced(utf16_offsets(text, encoding))}\n"


def utf16_offsets(text: str, encoding: Encoding) -> list[int]:
    """[start, end, start, end, ...] in UTF-16 code units, as JavaScript counts."""
    units = [0, *accumulate(1 + (ord(char) > 0xFFFF) for char in text)]
    return [units[offset] for span in encoding.offsets for offset in span]


# --- hard texts ---------------------------------------------------------------------------

SENTENCES = [
    "{who} {verb} the {thing} because the {thing} {happened}.",
    "If {who} had {verb} it sooner, the {thing} might not have {happened}!",
    "{who} said: \u201cI can\u2019t believe the {thing} {happened}\u201d \u2014 and left\u2026",
    "Why did {who} {verb} my {thing}? It's 3.5km away & costs $1,299.00 (50% off)",
    "omg {who} literally {verb} a {thing} lol #{thing} @{who} https://example.com/{thing}?q=1",
    "After {number} days, {who}'s {thing} {happened}; so-called \"experts\" {verb} nothing.",
]
PARTS = {
    "who": ["Maria", "the committee", "My neighbour", "nobody", "Jean-Luc", "THE MANAGER", "we"],
    "verb": ["moved", "ignored", "repainted", "mislabelled", "borrowed", "overengineered", "sold"],
    "thing": ["bridge", "spreadsheet", "kettle", "greenhouse", "newsletter", "thermostat"],
    "happened": ["collapsed", "overheated", "vanished", "improved", "caught fire", "went viral"],
    "number": ["2", "17", "365", "4096", "99,999"],
}

SKIN_TONES = [chr(code) for code in range(0x1F3FB, 0x1F400)]
ZWJ, VS16, KEYCAP = "\u200d", "\ufe0f", "\u20e3"
SEQUENCES = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f3f3\ufe0f\u200d\U0001f308 "
    "\U0001f9d1\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525 \U0001f1eb\U0001f1f7 \u263a\ufe0e "
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
).split()
SPACES = [*"\t\n\r \v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2028\u2029\u202f\u205f\u2060"]
SPACES += ["\u3000", "\ufeff", "\r\n", *map(chr, range(0x2000, 0x200C))]
CONTROLS = [*map(chr, [0, *range(0x7F, 0xA0), *range(0x200B, 0x2010), *range(0x202A, 0x202F)])]
CONTROLS += [*"\ufffd\ufffe\uffff\ufdd0\xad\u0600\u061c\ue000\uf8ff"]
CONTROLS += [*"\U000e0001\U000f0000\U0010fffd\U0010ffff"]
ADDED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NEARLY_ADDED = ["[mask]", "[ MASK ]", "[MASK", "MASK]", "[[SEP]]", "[SEP\u200b]", "[unused7]"]
NEARLY_ADDED += ["##ing"]

SCRIPTS = {
    "greek": [(0x0370, 0x0400), (0x1F00, 0x2000)],
    "arabic": [(0x0600, 0x0700), (0x0750, 0x0780), (0x08A0, 0x0900), (0xFB50, 0xFE00)],
    "hebrew": [(0x0590, 0x0600), (0xFB1D, 0xFB50)],
    "south asian": [(0x0900, 0x0E00), (0x0E00, 0x1000)],
    "cyrillic": [(0x0400, 0x0530)],
    "hangul": [(0xAC00, 0xD7A4), (0xAC00, 0xD7A4), (0x1100, 0x1200), (0x3130, 0x3190)],
    "kana": [(0x3040, 0x3100), (0xFF00, 0xFFF0)],
    "han": [(0x4E00, 0x9000), (0x3400, 0x4DC0), (0xF900, 0xFB00), (0x20000, 0x2A6E0)]
    + [(0x4E00, 0xA000), (0x2A700, 0x2EBF0), (0x2F800, 0x2FA20), (0x30000, 0x32400)],
    "latin": [(0x00C0, 0x0250), (0x1E00, 0x1F00)],
    "marks": [(0x0300, 0x0370), (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0x20D0, 0x2100)],
    "symbols": [(0x2000, 0x2C00), (0x3000, 0x3040), (0xFE10, 0xFE70)],
    "emoji": [(0x1F300, 0x1F650), (0x1F680, 0x1F700), (0x1F900, 0x1FB00), (0x2600, 0x27C0)],
    "mathematical": [(0x1D100, 0x1D250), (0x1D400, 0x1D800)],
    "ascii": [(0x00, 0x80)],
}
Words = list[str]
Maker = Callable[[random.Random, Words], str]


def golden_texts(rng: random.Random, words: Words, letters: Words) -> Iterator[str]:
    makers: list[tuple[int, Maker]] = [
        (600, lambda rng, _: sentence(rng)),
        (300, lambda rng, words: mixed(rng, words, lambda r: familiar(r, letters))),
        (500, english),
        (500, lambda rng, words: mixed(rng, words, emoji)),
        (400, lambda rng, words: mixed(rng, words, lambda r: script(r, "han"))),
        (400, accented),
        (200, greek),
        (500, lambda rng, words: mixed(rng, words, foreign)),
        (200, lambda rng, words: mixed(rng, words, lambda r: script(r, "hangul"))),
        (300, lambda rng, words: sprinkled(rng, words, CONTROLS)),
        (300, lambda rng, words: sprinkled(rng, words, ADDED + NEARLY_ADDED)),
        (150, long_words),
        (50, lambda rng, words: " ".join(rng.choices(words, k=rng.randint(200, 1000)))),
        (200, lambda rng, _: punctuation(rng)),
        (200, lambda rng, words: sprinkled(rng, words, SPACES)),
        (200, lambda rng, _: "".join(rng.choices(EVERYTHING, k=rng.randint(1, 40)))),
    ]
    return (maker(rng, words) for count, maker in makers for _ in range(count))


def normalize_texts(rng: random.Random) -> Iterator[str]:
    """Every emoji once, then sentences with emoji, quotes and joiners at random."""
    emoji_codes = sorted(int(code, 16) for code in json.loads(EMOJI_NAMES_PATH.read_text()))
    rows = [emoji_codes[i : i + 8] for i in range(0, len(emoji_codes), 8)]
    yield from ("".join(map(chr, row)) for row in rows)
    quotes = [*map(chr, range(0x2018, 0x2020)), "'", '"', "\u2032", "\u00ab"]
    for _ in range(NORMALIZE_GOLDENS - len(rows)):
        makers = rng.choices([sentence, emoji, emoji, foreign], k=rng.randint(1, 4))
        parts = [maker(rng) for maker in makers]
        parts += rng.choices(quotes + SKIN_TONES + [ZWJ, VS16, "\ufe0e"], k=rng.randint(0, 4))
        rng.shuffle(parts)
        yield rng.choice(["", " "]).join(parts)


def sentence(rng: random.Random) -> str:
    words = {name: rng.choice(choices) for name, choices in PARTS.items()}
    return rng.choice(SENTENCES).format(**words)


def english(rng: random.Random, words: Words) -> str:
    """Vocabulary words in odd cases, glued, misspelt, with punctuation between them."""

    def word() -> str:
        plain = rng.choice(words)
        at = rng.randrange(len(plain))
        return rng.choice(
            [plain, plain, plain.upper(), plain.title(), plain + rng.choice(words)]
            + [plain[:at] + plain[at:][::-1], plain[:at] + rng.choice("aeiouxyz-'") + plain[at:]]
        )

    marks = [" ", " ", " ", ", ", ". ", "; ", "-", "/", "...", "! ", " (", ") ", "'s ", "_"]
    return "".join(word() + rng.choice(marks) for _ in range(rng.randint(1, 40)))


def mixed(rng: random.Random, words: Words, foreign_word: Callable[[random.Random], str]) -> str:
    size = rng.randint(1, 10)
    parts = [foreign_word(rng) if rng.random() < 0.6 else rng.choice(words) for _ in range(size)]
    return rng.choice(["", " ", " "]).join(parts)


def script(rng: random.Random, name: str, longest: int = 8) -> str:
    chosen = [rng.choice(SCRIPTS[name]) for _ in range(rng.randint(1, longest))]
    return "".join(chr(rng.randrange(first, end)) for first, end in chosen)


def foreign(rng: random.Random) -> str:
    return script(rng, rng.choice([*SCRIPTS]))


def familiar(rng: random.Random, letters: Words) -> str:
    """A foreign word in letters that the vocabulary has, neighbours in Unicode, some capital."""
    at = rng.randrange(len(letters))
    word = "".join(rng.choices(letters[at : at + 30], k=rng.randint(1, 8)))
    return rng.choice([word, word, word.upper(), word.title()])


def emoji(rng: random.Random) -> str:
    base = script(rng, "emoji", longest=2)
    joined = f"{base}{ZWJ}{script(rng, 'emoji', 1)}"
    keycap = f"{rng.randint(0, 9)}{VS16}{KEYCAP}"
    toned = base + rng.choice(SKIN_TONES)
    return rng.choice([base, base, base + VS16, toned, joined, keycap, rng.choice(SEQUENCES)])


def accented(rng: random.Random, words: Words) -> str:
    """Letters with marks, composed and decomposed, stacked up to four high."""

    def word() -> str:
        composed = script(rng, "latin", 3) + rng.choice(words)
        letters = (
            char + "".join(script(rng, "marks", 1) for _ in range(rng.choice([0, 0, 0, 1, 4])))
            for char in rng.choice(words)
        )
        return rng.choice([composed, NFD().normalize_str(composed), "".join(letters)])

    return " ".join(word() for _ in range(rng.randint(1, 8)))


def greek(rng: random.Random, words: Words) -> str:
    """Capital sigma at the end of words, where JavaScript and Python lower-case by context."""
    endings = ["\u03a3", "\u03c2", "\u03c3", "\u03a3.", "\u03a3\u0301", "\u03a3\u200b", ""]
    return mixed(rng, words, lambda rng: script(rng, "greek") + rng.choice(endings))


def sprinkled(rng: random.Random, words: Words, odd: list[str]) -> str:
    """Odd strings between, before and inside words."""
    parts: list[str] = []
    for _ in range(rng.randint(1, 10)):
        word = rng.choice(words)
        at = rng.randint(0, len(word))
        gap = rng.choice([" ", " ", "", rng.choice(odd)])
        parts += [word[:at], rng.choice(odd), word[at:], gap]
    return "".join(parts)


def long_words(rng: random.Random, words: Words) -> str:
    """Words around the 100 characters where the reference gives up, counted after normalizing."""
    size = rng.choice([49, 50, 51, 99, 100, 101, 102, 150])
    letters = rng.choice(["a", "etaoin", ["e\u0301", "\u00e9"], "\uac00\uac01", "a\u200b"])
    tail = rng.choice(["", "", "\u0301", "\U0001f600", "!"])
    return f"{rng.choice(words)} {''.join(rng.choices(letters, k=size))}{tail} {rng.choice(words)}"


def punctuation(rng: random.Random) -> str:
    marks = [*"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u037e\u1fef\u2260\u00bf\u3002 "]
    size = rng.randint(1, 20)
    return "".join(rng.choice([rng.choice(marks), script(rng, "symbols", 1)]) for _ in range(size))


# --- files --------------------------------------------------------------------------------


def write(name: str, text: str) -> None:
    (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


def write_lines(name: str, rows: Iterable[dict]) -> None:
    text = "".join(f"{compact(row)}\n" for row in rows)
    (FOLDER / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def one_key_a_line(value: dict[str, object]) -> str:
    lines = (f"{json.dumps(key)}:{compact(item)}" for key, item in value.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def write_manifest() -> None:
    contents = {name: (FOLDER / name).read_bytes() for name in SERVED + TESTED}
    manifest = {
        "format": 1,
        "kind": "tokenizer",
        "version": VERSION,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
        "base": BASE,
        "reference": f"tokenizers=={tokenizers.__version__} (PyPI)",
        "seed": SEED,
        "command": "python models/train/tokenizer.py",
    }
    write("manifest.json", json.dumps(manifest, indent=2) + "\n")


def spaced(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
