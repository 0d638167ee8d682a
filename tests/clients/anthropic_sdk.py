"""The official anthropic package, unmodified, against PORTBROKER_BASE_URL. One line a check."""

import asyncio

import anthropic
from pydantic import BaseModel

from common import ANSWER, ASKED, BASE_URL, KEY, LIMITED_KEY, MODEL, WEATHER_SCHEMA, png, raises, run

HELLO = [{"role": "user", "content": ASKED}]
TOOL = {"name": "get_weather", "description": "The weather in a city", "input_schema": WEATHER_SCHEMA}

client = anthropic.Anthropic(base_url=BASE_URL, api_key=KEY)


class Weather(BaseModel):
    city: str
    degrees: int


def create(**request) -> anthropic.types.Message:
    return client.messages.create(**{"model": MODEL, "max_tokens": 100, "messages": HELLO, **request})


def streamed_by_helper(**request):
    return client.messages.stream(**{"model": MODEL, "max_tokens": 100, "messages": HELLO, **request})


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def plain() -> None:
    message = create()
    assert message.id.startswith("msg_") and (message.type, message.role) == ("message", "assistant"), message
    assert message.model == MODEL and text_of(message) == ANSWER, message
    assert message.stop_reason == "end_turn" and message.stop_sequence is None, message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message


def system() -> None:
    """The test looks at what the provider was sent."""
    create(model=f"{MODEL}-system", system="be brief")
    blocks = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]
    message = create(model=f"{MODEL}-system", system=blocks, stop_sequences=["END"], extra_body={"temperature": 0.5})
    assert text_of(message) == ANSWER, message


def tools() -> None:
    asked = create(tools=[TOOL], tool_choice={"type": "any"})
    (use,) = asked.content
    assert asked.stop_reason == "tool_use" and use.type == "tool_use", asked
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"}), asked
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain"}
    history = [*HELLO, {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    answered = create(model=f"{MODEL}-tools", messages=history, tools=[TOOL])
    assert text_of(answered) == ANSWER and answered.stop_reason == "end_turn", answered


def tools_streamed() -> None:
    choice = {"type": "tool", "name": "get_weather"}
    with streamed_by_helper(model=f"{MODEL}-trickle", tools=[TOOL], tool_choice=choice) as stream:
        pieces = [event for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    assert len(pieces) > 1 and "".join(piece.partial_json for piece in pieces) == '{"city":"Paris"}', pieces
    assert pieces[-1].snapshot == {"city": "Paris"} == message.content[0].input, message
    assert message.stop_reason == "tool_use", message


def stream_helper() -> None:
    with streamed_by_helper(model=f"{MODEL}-trickle") as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(pieces) == text_of(message) == stream.get_final_text() == ANSWER and len(pieces) > 1, pieces
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 0, message
    assert message.usage.input_tokens > 0, message


def streamed() -> None:
    """The grammar of the events, as they come."""
    kinds = [event.type for event in create(stream=True) if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert set(kinds[2:-3]) == {"content_block_delta"}, kinds


def parsed() -> None:
    message = client.messages.parse(model=f"{MODEL}-json", max_tokens=100, messages=HELLO, output_format=Weather)
    assert message.parsed_output == Weather(city="Paris", degrees=21), message


def parsed_streamed() -> None:
    with streamed_by_helper(model=f"{MODEL}-json", output_format=Weather) as stream:
        message = stream.get_final_message()
    assert message.parsed_output == Weather(city="Paris", degrees=21), message


def images() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": png()}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "what is in this picture?"}]
    message = create(model=f"{MODEL}-image", messages=[{"role": "user", "content": parts}])
    assert text_of(message) == "fake: what is in this picture?", message


def cut_short() -> None:
    assert create(model=f"{MODEL}-length").stop_reason == "max_tokens"
    with streamed_by_helper(model=f"{MODEL}-length") as stream:
        assert stream.get_final_message().stop_reason == "max_tokens"


def broken_off() -> None:
    """A provider that dies in its answer, every time: the stream never ends as if it were whole."""
    events = []

    def read() -> None:
        for event in create(model=f"{MODEL}-dies", stream=True):
            events.append(event.type)

    try:
        read()
    except anthropic.APIStatusError as error:
        assert error.body["type"] == "error" and error.body["error"]["type"] != "invalid_request_error", error.body
        assert "message_stop" not in events and "message_delta" not in events, events
        return
    raise AssertionError(f"a clean end: {events}")


def count_tokens() -> None:
    short = client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    more = client.messages.count_tokens(model=MODEL, messages=HELLO, system="be brief", tools=[TOOL]).input_tokens
    assert 0 < short < more, (short, more)


def asynchronous() -> None:
    async def all_at_once() -> None:
        async with anthropic.AsyncAnthropic(base_url=BASE_URL, api_key=KEY) as other:
            request = {"model": MODEL, "max_tokens": 100, "messages": HELLO}
            whole, stream, count = await asyncio.gather(
                other.messages.create(**request),
                other.messages.create(**request, stream=True),
                other.messages.count_tokens(model=MODEL, messages=HELLO),
            )
            assert text_of(whole) == ANSWER and count.input_tokens > 0, whole
            kinds = [event.type async for event in stream]
            assert (kinds[0], kinds[-1]) == ("message_start", "message_stop"), kinds
            async with other.messages.stream(**request, tools=[TOOL], tool_choice={"type": "any"}) as helper:
                pieces = [event.partial_json async for event in helper if event.type == "input_json"]
                message = await helper.get_final_message()
            assert "".join(pieces) == '{"city":"Paris"}', pieces
            assert message.content[0].input == {"city": "Paris"}, message
            async with other.messages.stream(**request) as helper:
                assert "".join([text async for text in helper.text_stream]) == ANSWER

    asyncio.run(all_at_once())


def raw() -> None:
    """Raw access, which sees the headers too."""
    answer = client.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert answer.headers["request-id"] == answer.headers["x-request-id"] != "", dict(answer.headers)
    assert answer.headers["x-portbroker-job-id"].startswith("job_"), dict(answer.headers)
    assert answer.parse()._request_id == answer.headers["request-id"]


def under_a_path() -> None:
    for base in (f"{BASE_URL}/api/anthropic", f"{BASE_URL}/api/anthropic/"):
        there = anthropic.Anthropic(base_url=base, api_key=KEY)
        assert text_of(there.messages.create(model=MODEL, max_tokens=100, messages=HELLO)) == ANSWER
        with there.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
            assert stream.get_final_text() == ANSWER
        assert there.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0


def both_headers() -> None:
    """`x-api-key`, which older releases send, and the bearer of newer ones."""
    for name, value in (("x-api-key", KEY), ("Authorization", f"Bearer {KEY}")):
        headers = {"Authorization": anthropic.omit, "x-api-key": anthropic.omit, name: value}
        there = anthropic.Anthropic(base_url=BASE_URL, api_key="unused", default_headers=headers)
        assert text_of(there.messages.create(model=MODEL, max_tokens=100, messages=HELLO)) == ANSWER, name


def bad_requests() -> None:
    def refused(**request) -> None:
        error = raises(anthropic.BadRequestError, lambda: create(**request))
        assert error.status_code == 400 and error.body["type"] == "error", error.body
        assert error.body["error"]["type"] == "invalid_request_error" and error.body["error"]["message"], error.body
        assert error.request_id == error.body["request_id"] != "", error.body

    refused(messages=[{"role": "wizard", "content": "x"}])
    refused(max_tokens=-1)
    refused(messages=[])
    refused(extra_body={"temperature": 3})


def unknown() -> None:
    error = raises(anthropic.NotFoundError, lambda: create(model="no-such-model"))
    assert error.body["error"]["type"] == "not_found_error", error.body


def bad_key() -> None:
    stranger = anthropic.Anthropic(base_url=BASE_URL, api_key="not-a-key-that-anyone-has")
    call = lambda: stranger.messages.create(model=MODEL, max_tokens=100, messages=HELLO)  # noqa: E731
    error = raises(anthropic.AuthenticationError, call)
    assert error.body["error"]["type"] == "authentication_error", error.body


def rate_limited() -> None:
    hasty = anthropic.Anthropic(base_url=BASE_URL, api_key=LIMITED_KEY, max_retries=0)
    calls = lambda: [hasty.messages.create(model=MODEL, max_tokens=9, messages=HELLO) for _ in range(5)]  # noqa: E731
    error = raises(anthropic.RateLimitError, calls)
    assert error.body["error"]["type"] == "rate_limit_error", error.body
    assert int(error.response.headers["retry-after"]) > 0, dict(error.response.headers)


run(
    [
        plain,
        system,
        tools,
        tools_streamed,
        stream_helper,
        streamed,
        parsed,
        parsed_streamed,
        images,
        cut_short,
        broken_off,
        count_tokens,
        asynchronous,
        raw,
        under_a_path,
        both_headers,
        bad_requests,
        unknown,
        bad_key,
        rate_limited,
    ]
)
