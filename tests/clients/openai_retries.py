"""One call of the official openai package with its own retries on, through a connection that the test breaks.

Prints the answer as one line of JSON: the text, and the completion's id.
"""

import json
import os

import openai

client = openai.OpenAI(
    base_url=os.environ["PORTBROKER_BASE_URL"],
    api_key=os.environ["PORTBROKER_KEY"],
    max_retries=3,
    timeout=120,
)
request = {"model": "fake", "messages": [{"role": "user", "content": os.environ["PORTBROKER_PROMPT"]}]}

if os.environ.get("PORTBROKER_STREAM"):
    chunks = list(client.chat.completions.create(**request, stream=True))
    text, name = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), chunks[0].id
else:
    completion = client.chat.completions.create(**request)
    text, name = completion.choices[0].message.content, completion.id
print(json.dumps({"text": text, "id": name}), flush=True)
