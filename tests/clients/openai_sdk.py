"""The official openai package, unmodified, against PORTBROKER_BASE_URL. One line a check."""

import asyncio

import openai

from common import ANSWER, ASKED, BASE_URL, KEY, LIMITED_KEY, MODEL, WEATHER_SCHEMA, png, run

HELLO = [{"role": "user", "content": ASKED}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": WEATHER_SCHEMA,
        },
    }
]

client = openai.OpenAI(base_url=BASE_URL, api_key=KEY)


def plain() -> None:
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0.3, max_tokens=50)
    assert completion.id.startswith("chatcmpl-"), completion
    assert completion.object == "chat.completion" and completion.created > 1_700_000_000, completion
    choice = completion.choices[0]
    assert choice.message.role == "assistant" and choice.message.content == ANSWER, completion
    assert choice.finish_reason == "stop", completion
    usage = completion.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, completion
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, completion


def tools() -> None:
    asked = client.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS, tool_choice="required")
    choice = asked.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None, asked
    call = choice.message.tool_calls[0]
    assert call.type == "function" and call.function.name == "get_weather", asked
    assert call.function.arguments == '{"city":"Paris"}', asked
    history = HELLO + [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    answered = client.chat.completions.create(model=MODEL, messages=history, tools=TOOLS)
    assert answered.choices[0].message.content == ANSWER, answered


def tools_streamed() -> None:
    name, arguments, reasons = "", "", []
    choice = {"type": "function", "function": {"name": "get_weather"}}
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=TOOLS, tool_choice=choice, stream=True
    )
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        reasons += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    assert (name, arguments, reasons) == ("get_weather", '{"city":"Paris"}', ["tool_calls"]), (name, arguments)


def images() -> None:
    parts = [
        {"type": "text", "text": "what is in this picture?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}", "detail": "low"}},
    ]
    seen = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert seen.choices[0].message.content == "fake: what is in this picture?", seen


def streamed() -> None:
    options = {"include_usage": True}
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=options)
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == ANSWER, chunks
    assert chunks[0].choices[0].delta.role == "assistant", chunks
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop", chunks
    assert not chunks[-1].choices and chunks[-1].usage.total_tokens > 0, chunks
    assert all(chunk.usage is None for chunk in chunks[:-1]), chunks


def stream_helper() -> None:
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == ANSWER, completion


def asynchronous() -> None:
    async def both() -> None:
        async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY) as other:
            whole, stream = await asyncio.gather(
                other.chat.completions.create(model=MODEL, messages=HELLO),
                other.chat.completions.create(model=MODEL, messages=HELLO, stream=True),
            )
            assert whole.choices[0].message.content == ANSWER, whole
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            assert "".join(pieces) == ANSWER, pieces

    asyncio.run(both())


def models() -> None:
    names = [model.id for model in client.models.list()]
    assert MODEL in names, names
    assert client.models.retrieve(MODEL).id == MODEL


def parsed() -> None:
    """Raw access, which sees the headers too."""
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.headers["x-request-id"] and raw.headers["x-portbroker-job-id"], dict(raw.headers)
    assert raw.parse().choices[0].message.content == ANSWER


def bad_model() -> None:
    try:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    except openai.NotFoundError as error:
        assert error.status_code == 404 and error.code == "model_not_found", error
        return
    raise AssertionError("no NotFoundError")


def bad_key() -> None:
    stranger = openai.OpenAI(base_url=BASE_URL, api_key="not-a-key-that-anyone-has")
    try:
        stranger.chat.completions.create(model=MODEL, messages=HELLO)
    except openai.AuthenticationError as error:
        assert error.status_code == 401, error
        return
    raise AssertionError("no AuthenticationError")


def bad_request() -> None:
    try:
        client.chat.completions.create(model=MODEL, messages=[{"role": "wizard", "content": "x"}])
    except openai.BadRequestError as error:
        assert error.status_code == 400 and error.param == "messages[0].role", error
        return
    raise AssertionError("no BadRequestError")


def rate_limited() -> None:
    hasty = openai.OpenAI(base_url=BASE_URL, api_key=LIMITED_KEY, max_retries=0)
    try:
        for _ in range(5):
            hasty.chat.completions.create(model=MODEL, messages=HELLO)
    except openai.RateLimitError as error:
        assert int(error.response.headers["retry-after"]) > 0, dict(error.response.headers)
        return
    raise AssertionError("no RateLimitError")


def provider_limits_are_waited_out() -> None:
    completion = client.chat.completions.create(model=f"{MODEL}-limited", messages=HELLO)
    assert completion.choices[0].message.content == ANSWER, completion


run(
    [
        plain,
        tools,
        tools_streamed,
        images,
        streamed,
        stream_helper,
        asynchronous,
        models,
        parsed,
        bad_model,
        bad_key,
        bad_request,
        rate_limited,
        provider_limits_are_waited_out,
    ]
)
