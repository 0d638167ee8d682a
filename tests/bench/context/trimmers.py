"""Runs LangChain's and LiteLLM's trim_messages on the conversations in a folder, timed; context.sh calls it.

Reads conversations.json ({set: {"budget": tokens, "conversations": [messages, ...]}}, in the form of chat completions) and
writes theirs.json: for each set and trimmer the milliseconds of each call and its output.
"""

import json
import logging
import sys
import time
from pathlib import Path

import litellm
import litellm.litellm_core_utils.default_encoding  # points tiktoken at the encodings in its package
import tiktoken
from langchain_core.messages import convert_to_messages, trim_messages

ENCODING = tiktoken.get_encoding("o200k_base")
# Beyond this many seconds for one set, a trimmer is asked no more of it.
PATIENCE = 60


def count(message):
    """Tokens of a message as ours counts them: by the formula of OpenAI's cookbook, and a frame for each call."""
    tokens = 4 + len(ENCODING.encode(message.content, disallowed_special=()))
    for call in message.additional_kwargs.get("tool_calls", []):
        function = call["function"]
        tokens += 8 + len(ENCODING.encode(function["name"])) + len(ENCODING.encode(function["arguments"]))
    return tokens


def count_all(messages):
    return 3 + sum(map(count, messages))


def langchain(counter, **options):
    def trim(messages, budget):
        return trim_messages(
            messages, max_tokens=budget, token_counter=counter, strategy="last", include_system=True, **options
        )

    return trim


def as_langchain(messages):
    """Named by their places; and with the calls as they came, since LangChain parses them and ours counts their text."""
    converted = convert_to_messages(messages)
    for place, (message, given) in enumerate(zip(converted, messages)):
        message.id = str(place)
        if given.get("tool_calls"):
            message.additional_kwargs["tool_calls"] = given["tool_calls"]
    return converted


def from_langchain(output, messages):
    """Nothing is cut within a message: what is kept is what was given."""
    return [messages[int(message.id)] for message in output]


# Name, how the input is prepared, the call, and how its output is read.
TRIMMERS = [
    ("LangChain, as documented", as_langchain, langchain(count_all, start_on="human"), from_langchain),
    ("LangChain, by default", as_langchain, langchain(count_all), from_langchain),
    (
        "LiteLLM",
        lambda messages: messages,
        lambda messages, budget: litellm.utils.trim_messages(messages, model="gpt-4o", max_tokens=budget),
        lambda output, _: output,
    ),
]


def run(trimmer, conversations, budget):
    _, prepare, trim, read = trimmer
    calls, began = [], time.monotonic()
    for conversation in conversations:
        messages = prepare(conversation)
        start = time.perf_counter()
        output = trim(messages, budget)
        calls.append({"milliseconds": (time.perf_counter() - start) * 1000, "messages": read(output, conversation)})
        if time.monotonic() - began > PATIENCE:
            break
    return calls


def main():
    folder = Path(sys.argv[1])
    # LiteLLM fails on calls without a text beside them, gives its input back, and logs a page for each.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    ENCODING.encode("warm")
    litellm.utils.trim_messages([{"role": "user", "content": "warm"}], model="gpt-4o", max_tokens=9)
    sets = json.loads((folder / "conversations.json").read_text())
    theirs = {
        name: {trimmer[0]: run(trimmer, own["conversations"], own["budget"]) for trimmer in TRIMMERS}
        for name, own in sets.items()
    }
    (folder / "theirs.json").write_text(json.dumps(theirs))


main()
