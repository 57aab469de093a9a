"""Writes models/artifacts/tokenizer/1/emoji-names.json: the name of every emoji code point.

BERT's vocabulary has no emoji, so the emotion path spells them out ("😂" becomes
"face with tears of joy"). Training (encoder.normalize_text) and serving both read this one
table; it is generated once and committed, because Python's own Unicode version would move it.

    python models/train/emoji_names.py
"""

import json

import unicodedata2 as unicodedata

from encoder import EMOJI_NAMES_PATH, is_skin_tone

RANGES = [(0x2190, 0x2BFF), (0x1F000, 0x1FAFF)]
SINGLES = [0x3030, 0x303D, 0x3297, 0x3299]


def emoji_names() -> dict[str, str]:
    """{"1f602": "face with tears of joy", ...}, by code point, over the symbols (category So)."""
    symbols = [
        code
        for first, last in RANGES
        for code in range(first, last + 1)
        if unicodedata.category(chr(code)) == "So" and not is_skin_tone(code)
    ]
    return {f"{code:x}": unicodedata.name(chr(code)).lower() for code in sorted(symbols + SINGLES)}


if __name__ == "__main__":
    names = emoji_names()
    EMOJI_NAMES_PATH.parent.mkdir(parents=True, exist_ok=True)
    EMOJI_NAMES_PATH.write_text(json.dumps(names, separators=(",", ":")) + "\n")
    print(f"{len(names)} names, Unicode {unicodedata.unidata_version} -> {EMOJI_NAMES_PATH.name}")
