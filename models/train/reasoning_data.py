"""Reads the corpora of the reasoning model into one kind of example.

Causal relations: Causal News Corpus (sentences, spans), AltLex (spans), SemEval-2010 task 8
(sentences). Counterfactuals: SemEval-2020 task 5. News alone teaches that everyday sentences are
never causal, hence two more sources of plain speech: GoEmotions texts, labelled by their
connective ("silver"), and templates filled with everyday clauses.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from encoder import TOKENS_MAX, straighten_quotes, tokenizer, truncate

IGNORED = -100
Chars = tuple[int, int]
MARK = re.compile(r"<(/?)(ARG0|ARG1|SIG)\d?>")


@dataclass(frozen=True)
class Relation:
    """Spans in words (first, last + 1); a pair of tags per word goes into the loss."""

    cause: tuple[int, int]
    effect: tuple[int, int]
    signal: tuple[int, int] | None


@dataclass(frozen=True)
class Example:
    """One text, with what is known about it; None and () mean "not labelled"."""

    text: str
    ids: list[int]
    starts: list[int]  # index in ids of each word's first piece
    words: list[Chars]  # characters of each word in `text`
    causal: bool | None = None
    relations: tuple[Relation, ...] = ()
    counterfactual: bool | None = None
    antecedent: tuple[int, int] | None = None
    consequent: tuple[int, int] | None = None
    weight: float = 1.0


@dataclass
class Sources:
    """Training examples by source; an epoch samples from them (see reasoning.RECIPE)."""

    by_name: dict[str, list[Example]] = field(default_factory=dict)
    held_out: dict[str, list[Example]] = field(default_factory=dict)


def read_sources(data: Path, seed: int, held_out: float) -> Sources:
    sources = Sources()
    add_cnc(sources, data / "causal", seed, held_out)
    sources.by_name["altlex"] = list(read_altlex(data / "causal" / "altlex_train.csv"))
    pairs = list(rows_of(data / "causal" / "semeval2010t8_train.csv"))
    for name, label in (("semeval2010 positive", "1"), ("semeval2010 negative", "0")):
        texts = (row["text"] for row in pairs if row["pair_label"] == label)
        sources.by_name[name] = [
            replace(example(text), causal=label == "1", weight=0.4) for text in texts
        ]
    add_counterfactual(sources, data / "counterfactual", seed, held_out)
    add_silver(sources, data / "goemotions" / "train.tsv")
    sources.by_name["templates"] = list(from_templates(seed))
    return sources


def example(text: str) -> Example:
    text = straighten_quotes(text)
    encoding = tokenizer().encode(text)
    starts, words = [], []
    for index, (word, chars) in enumerate(zip(encoding.word_ids, encoding.offsets)):
        if word is None or index >= TOKENS_MAX - 1:
            continue
        if encoding.word_ids[index - 1] == word:
            words[-1] = (words[-1][0], chars[1])
        else:
            starts.append(index)
            words.append(chars)
    return Example(text, truncate(encoding.ids), starts, words)


def word_span(example: Example, chars: Chars) -> tuple[int, int] | None:
    """The words that begin inside a character span; None if there is none left of them."""
    inside = [i for i, (first, _) in enumerate(example.words) if chars[0] <= first < chars[1]]
    return (inside[0], inside[-1] + 1) if inside else None


# --- corpora ------------------------------------------------------------------------------


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def add_cnc(sources: Sources, folder: Path, seed: int, held_out: float) -> None:
    relations: dict[str, list[str]] = {}
    for row in rows_of(folder / "cnc_train_spans.csv"):
        relations.setdefault(row["text"], []).append(row["text_w_pairs"])
    examples = [
        related(row["text"], relations.get(row["text"], []), row["label"] == "1")
        for row in rows_of(folder / "cnc_train_sentences.csv")
    ]
    sources.by_name["cnc"], sources.held_out["cnc"] = cut(examples, seed, held_out)


def related(text: str, marked: Iterable[str], causal: bool) -> Example:
    plain = example(text)
    relations = (read_relation(plain, *unmark(straighten_quotes(pair))) for pair in marked)
    return replace(plain, causal=causal, relations=tuple(filter(None, relations)))


def unmark(marked: str) -> tuple[str, dict[str, Chars]]:
    """The text without its marks, and the characters of the first span of each kind."""
    text, spans, opened, last = "", {}, {}, 0
    for mark in MARK.finditer(marked):
        text += marked[last : mark.start()]
        last = mark.end()
        closing, kind = mark.groups()
        if closing:
            spans.setdefault(kind, (opened[kind], len(text)))
        else:
            opened[kind] = len(text)
    return text + marked[last:], spans


def read_relation(plain: Example, text: str, spans: dict[str, Chars]) -> Relation | None:
    if text != plain.text:
        return None
    cause, effect = (word_span(plain, spans[kind]) for kind in ("ARG0", "ARG1"))
    signal = word_span(plain, spans["SIG"]) if "SIG" in spans else None
    return Relation(cause, effect, signal) if cause and effect else None


def read_altlex(path: Path) -> Iterator[Example]:
    """The signal is what stands between the arguments, if that is at most five words."""
    for row in rows_of(path):
        if row["pair_label"] == "0":
            yield replace(example(row["text"]), causal=row["seq_label"] == "1")
            continue
        text, spans = unmark(straighten_quotes(row["text_w_pairs"]))
        arguments = {kind: strip(text, spans[kind]) for kind in ("ARG0", "ARG1")}
        first, second = sorted(arguments.values())
        between = strip(text, (first[1], second[0]))
        if 0 < len(text[slice(*between)].split()) <= 5:
            arguments["SIG"] = between
        plain = replace(example(text), causal=True)
        relation = read_relation(plain, text, arguments)
        yield replace(plain, relations=(relation,) if relation else ())


def strip(text: str, chars: Chars) -> Chars:
    """Without spaces, commas and full stops at either end."""
    first, end = chars
    while first < end and text[first] in " .,":
        first += 1
    while end > first and text[end - 1] in " .,":
        end -= 1
    return first, end


def add_counterfactual(sources: Sources, folder: Path, seed: int, held_out: float) -> None:
    """Some sentences are in both files: a text held out of one is held out of both."""
    sentences = [
        replace(example(row["sentence"]), counterfactual=row["gold_label"] == "1")
        for row in rows_of(folder / "semeval2020t5_sentences_train.csv")
    ]
    spans = list(read_antecedents(folder / "semeval2020t5_spans_train.csv"))
    _, kept_out = cut(sorted({each.text for each in [*sentences, *spans]}), seed, held_out)
    kept_out = set(kept_out)
    trained = [each for each in sentences if each.text not in kept_out]
    sources.by_name["counterfactual positive"] = [each for each in trained if each.counterfactual]
    sources.by_name["counterfactual negative"] = [
        each for each in trained if not each.counterfactual
    ]
    sources.by_name["counterfactual spans"] = [each for each in spans if each.text not in kept_out]
    sources.held_out["counterfactual"] = [each for each in sentences if each.text in kept_out]
    sources.held_out["counterfactual spans"] = [each for each in spans if each.text in kept_out]


def read_antecedents(path: Path) -> Iterator[Example]:
    """Every sentence is counterfactual; the end offsets in the file include the last character."""
    for row in rows_of(path):
        plain = example(row["sentence"])
        antecedent, consequent = (
            word_span(plain, (int(row[f"{kind}_startid"]), int(row[f"{kind}_endid"]) + 1))
            for kind in ("antecedent", "consequent")
        )
        if antecedent:
            yield replace(plain, counterfactual=True, antecedent=antecedent, consequent=consequent)


def cut(rows: list, seed: int, held_out: float) -> tuple[list, list]:
    """(train, held out), by seed."""
    order = np.random.default_rng(seed).permutation(len(rows))
    at = round(len(rows) * held_out)
    return [rows[i] for i in order[at:]], [rows[i] for i in order[:at]]


def held_out_ids(data: Path, seed: int, held_out: float) -> dict[str, list[str]]:
    """The rows that read_sources holds out, named as in the files."""
    names = [row["index"] for row in rows_of(data / "causal" / "cnc_train_sentences.csv")]
    sources = Sources()
    add_counterfactual(sources, data / "counterfactual", seed, held_out)
    texts = {row.text for rows in sources.held_out.values() for row in rows}
    sentences = rows_of(data / "counterfactual" / "semeval2020t5_sentences_train.csv")
    return {
        "cnc": sorted(cut(names, seed, held_out)[1]),
        "counterfactual": [
            row["sentenceID"] for row in sentences if straighten_quotes(row["sentence"]) in texts
        ],
    }


# --- plain speech: silver labels ----------------------------------------------------------

SURE = re.compile(
    r"\b(because|due to|as a result|therefore|that's why|which is why|thanks to|led to|leads to"
    r"|caused|causes|consequently)\b",
    re.IGNORECASE,
)
ANY = re.compile(
    r"\b(because|cause[sd]?|cuz|due|as|result\w*|therefore|thus|hence|why|thanks|le(?:d|ads?) to"
    r"|consequently|since|so|if|when|when\w*|after|for|reason\w*|mak(?:e|es|ing)|made|to|by|until"
    r"|unless|then|from|with|without)\b",
    re.IGNORECASE,
)
ASKING = re.compile(
    r"\b(wonder(?:ing|ed)?|not sure|unsure|idk|know|ask(?:ed|ing)?|see|check|as|curious) if\b",
    re.IGNORECASE,
)
MODAL = re.compile(r"\b(would|could|should|might|wish\w*|had|were|'d|only)\b", re.IGNORECASE)
SUBJECT = r"(?:i|i'm|i've|i'll|you|he|she|it|it's|we|they|that|this|my|the)\b"
PATTERNS = [  # arguments are named groups; each text has one sentence and one connective
    r"(?P<effect>.{8,}?),? (?P<signal>because) (?P<cause>(?!of\b).{8,})",
    r"(?P<effect>.{8,}?),? (?P<signal>because of|due to|thanks to) (?P<cause>.{4,})",
    rf"(?P<cause>{SUBJECT}.{{6,}}), (?P<signal>so) (?P<effect>{SUBJECT}.{{6,}})",
    rf"(?P<signal>if) (?P<cause>{SUBJECT}[^,]{{6,}}), (?:then )?(?P<effect>[^,]{{8,}})",
    rf"(?P<effect>{SUBJECT}[^,]{{8,}}) (?P<signal>if) (?P<cause>{SUBJECT}[^,]{{6,}})",
    r"(?P<cause>.{8,}),? (?P<signal>which is why|that's why) (?P<effect>.{8,})",
]
ONE_SENTENCE = re.compile(r"[^.!?;:()\[\]\"]+[.!?]*")


def add_silver(sources: Sources, path: Path) -> None:
    texts = [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    texts = sorted({straighten_quotes(text) for text in texts})
    named = {
        "silver positive": (
            replace(example(text), causal=True, weight=0.4) for text in texts if SURE.search(text)
        ),
        "silver negative": (
            replace(example(text), causal=False, counterfactual=unreal(text), weight=0.4)
            for text in texts
            if not ANY.search(text) or (ASKING.search(text) and not SURE.search(text))
        ),
        "silver spans": filter(None, map(silver_spans, texts)),
    }
    sources.by_name |= {name: list(examples) for name, examples in named.items()}


def unreal(text: str) -> bool | None:
    """Not counterfactual without a modal verb; with one, not known."""
    return None if MODAL.search(text) else False


def silver_spans(text: str) -> Example | None:
    """Cause and effect of a one-sentence text whose connective leaves no doubt about either."""
    if not ONE_SENTENCE.fullmatch(text) or ASKING.search(text):
        return None
    sentence = text.rstrip(".!? ")
    matches = [re.fullmatch(pattern, sentence, re.IGNORECASE) for pattern in PATTERNS]
    found = [match for match in matches if match]
    if len(found) != 1:
        return None
    plain = replace(example(text), causal=True, weight=0.4)
    relation = read_relation(
        plain,
        text,
        {
            "ARG0": found[0].span("cause"),
            "ARG1": found[0].span("effect"),
            "SIG": found[0].span("signal"),
        },
    )
    return replace(plain, relations=(relation,)) if relation else None


# --- plain speech: templates --------------------------------------------------------------


def from_templates(seed: int) -> Iterator[Example]:
    """Every filler once with each of its templates, the connective drawn by seed."""
    tables = json.loads(Path(__file__).with_name("everyday_templates.json").read_text())
    rng = np.random.default_rng(seed)
    for kind in ("clause", "noun", "thing", "condition", "unreal"):
        for cause, effect in tables[f"{kind}s"]:
            for template, connectives in tables[f"{kind}_templates"]:
                filled = fill(template, cause, effect, str(rng.choice(connectives.split("|"))))
                yield as_counterfactual(filled) if kind == "unreal" else filled
    for text in tables["unreal_sentences"]:
        yield replace(example(text), counterfactual=True)
    for text in tables["not_causal"]:
        yield replace(example(text), causal=False, counterfactual=False)


def as_counterfactual(plain: Example) -> Example:
    """An unreal condition: the connective belongs to the antecedent, as in SemEval-2020 task 5."""
    (relation,) = plain.relations
    antecedent = (relation.signal[0], relation.cause[1])
    return replace(plain, counterfactual=True, antecedent=antecedent, consequent=relation.effect)


def fill(template: str, cause: str, effect: str, connective: str) -> Example:
    """{c}, {n}, {p} hold the cause, {e}, {m}, {f} the effect, a longer name is the connective."""
    text, spans, last = "", {}, 0
    for slot in re.finditer(r"\{(.+?)\}", template):
        text += template[last : slot.start()]
        last = slot.end()
        name = slot[1]
        kind = "SIG" if len(name) > 1 else "ARG0" if name.lower() in "cnp" else "ARG1"
        content = {"SIG": connective, "ARG0": cause, "ARG1": effect}[kind]
        content = content[0].upper() + content[1:] if name[0].isupper() else content
        spans[kind] = (len(text), len(text) + len(content))
        text += content
    text += template[last:]
    plain = replace(example(text), causal=True, counterfactual=False)
    return replace(plain, relations=(read_relation(plain, text, spans),))
