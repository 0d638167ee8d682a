"""The Responses API of the official openai package, unmodified, against PORTBROKER_BASE_URL. One line a check."""

import asyncio

import openai
from pydantic import BaseModel

from common import ANSWER, ASKED, BASE_URL, KEY, LIMITED_KEY, MODEL, WEATHER_SCHEMA, png, raises, run, until

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": WEATHER_SCHEMA,
    "strict": True,
}
ENDED = ("completed", "failed", "cancelled", "incomplete")

client = openai.OpenAI(base_url=BASE_URL, api_key=KEY)
other = openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY)


class Weather(BaseModel):
    city: str
    degrees: int


def ended(name: str) -> openai.types.responses.Response:
    """The response once it has ended, by polling."""

    def has_ended() -> bool:
        response = client.responses.retrieve(name)
        going = response.status in ("queued", "in_progress") and response.output == []
        assert going or response.status in ENDED, response
        return not going

    until("ended", has_ended)
    return client.responses.retrieve(name)


def numbered(events: list) -> list[int]:
    """The events' numbers, which have no gap."""
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    return numbers


def plain() -> None:
    response = client.responses.create(model=MODEL, input=ASKED, temperature=0.3, max_output_tokens=50)
    assert response.id.startswith("resp_") and response.object == "response", response
    assert response.created_at > 1_700_000_000 and response.model == MODEL, response
    assert response.status == "completed" and response.output_text == ANSWER, response
    assert response.error is None and response.incomplete_details is None, response
    assert response.temperature == 0.3 and response.max_output_tokens == 50, response
    usage = response.usage
    assert usage.input_tokens > 0 and usage.output_tokens > 0, response
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, response
    assert usage.input_tokens_details.cached_tokens == 0, response
    again = client.responses.retrieve(response.id)
    assert (again.status, again.output, again.usage) == ("completed", response.output, usage), again


def tools() -> None:
    first = client.responses.create(model=MODEL, input=ASKED, tools=[TOOL], tool_choice="required")
    (call,) = first.output
    assert (call.type, call.name, call.arguments) == ("function_call", "get_weather", '{"city":"Paris"}'), first
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    history = [{"role": "user", "content": ASKED}, call, result]
    second = client.responses.create(model=f"{MODEL}-tools", input=history, tools=[TOOL])
    assert second.output_text == ANSWER, second
    third = client.responses.create(
        model=f"{MODEL}-tools", input=[result], tools=[TOOL], previous_response_id=first.id
    )
    assert third.output_text == ANSWER, third


def references() -> None:
    first = client.responses.create(model=MODEL, input=ASKED, tools=[TOOL], tool_choice="required")
    (call,) = first.output
    (asked,) = client.responses.input_items.list(first.id).data
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    named = [{"type": "item_reference", "id": item.id} for item in (asked, call)]
    second = client.responses.create(model=f"{MODEL}-tools", input=[*named, result], tools=[TOOL])
    assert second.output_text == ANSWER, second
    (text,) = second.output
    user = {"role": "user", "content": ASKED}
    third = client.responses.create(model=MODEL, input=[user, {"id": text.id}, user])
    kept = client.responses.input_items.list(third.id, order="asc").data
    assert kept[1].role == "assistant" and kept[1].content[0].text == ANSWER, kept


def tools_streamed() -> None:
    choice = {"type": "function", "name": "get_weather"}
    with client.responses.stream(
        model=f"{MODEL}-trickle", input=ASKED, tools=[TOOL], tool_choice=choice
    ) as stream:
        deltas = [event for event in stream if event.type == "response.function_call_arguments.delta"]
        response = stream.get_final_response()
    assert len(deltas) > 1 and deltas[-1].snapshot == '{"city":"Paris"}', deltas
    (call,) = response.output
    assert call.arguments == "".join(event.delta for event in deltas) == '{"city":"Paris"}', response
    assert call.call_id and call.status == "completed", response


def stream_helper() -> None:
    with client.responses.stream(model=f"{MODEL}-trickle", input=ASKED) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert snapshots[-1] == response.output_text == ANSWER and len(snapshots) > 1, snapshots


def streamed() -> None:
    events = list(client.responses.create(model=MODEL, input=ASKED, stream=True))
    assert numbered(events)[0] == 0, events
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ], kinds
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ], kinds
    assert set(kinds[4:-4]) == {"response.output_text.delta"}, kinds
    assert "".join(event.delta for event in events[4:-4]) == ANSWER, events
    final = events[-1].response
    assert final.output_text == ANSWER and final.usage.total_tokens > 0, final
    read = client.responses.retrieve(final.id)
    assert (read.output, read.usage) == (final.output, final.usage), read


def parsed() -> None:
    response = client.responses.parse(model=f"{MODEL}-json", input="the weather?", text_format=Weather)
    assert response.output_parsed == Weather(city="Paris", degrees=21), response
    assert response.text.format.type == "json_schema" and response.text.format.name == "Weather", response


def parsed_streamed() -> None:
    with client.responses.stream(model=f"{MODEL}-json", input="the weather?", text_format=Weather) as stream:
        response = stream.get_final_response()
    assert response.output_parsed == Weather(city="Paris", degrees=21), response


def images() -> None:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{png()}", "detail": "low"}
    parts = [{"type": "input_text", "text": "what is in this picture?"}, picture]
    response = client.responses.create(model=f"{MODEL}-image", input=[{"role": "user", "content": parts}])
    assert response.output_text == "fake: what is in this picture?", response


def cut_short() -> None:
    response = client.responses.create(model=f"{MODEL}-length", input=ASKED)
    assert response.status == "incomplete", response
    assert response.incomplete_details.reason == "max_output_tokens", response
    events = list(client.responses.create(model=f"{MODEL}-length", input=ASKED, stream=True))
    assert events[-1].type == "response.incomplete", events
    assert events[-1].response.incomplete_details.reason == "max_output_tokens", events


def broken_off() -> None:
    """A provider that dies in its answer, every time: the stream never ends as if it were whole."""
    stream = client.responses.create(model=f"{MODEL}-dies", input=ASKED, stream=True, background=True)
    kinds = [event.type for event in stream]
    assert kinds[0] == "response.created" and kinds[-1] == "response.failed", kinds
    try:
        stream = client.responses.create(model=f"{MODEL}-dies", input=ASKED, stream=True)
    except openai.InternalServerError:
        return  # it died before its first word
    kinds = [event.type for event in stream]
    assert kinds[0] == "response.created" and kinds[-1] == "response.failed", kinds


def background() -> None:
    response = client.responses.create(model=MODEL, input=ASKED, background=True, metadata={"case": "7"})
    assert response.status in ("queued", "in_progress") and response.background is True, response
    response = ended(response.id)
    assert response.status == "completed" and response.output_text == ANSWER, response
    assert response.background is True and response.metadata == {"case": "7"}, response


def background_failed() -> None:
    response = ended(client.responses.create(model=f"{MODEL}-refused", input=ASKED, background=True).id)
    assert response.status == "failed" and response.error.message and response.output == [], response
    events = list(client.responses.retrieve(response.id, stream=True))
    assert [event.type for event in events][-1] == "response.failed", events
    assert events[-1].response.error == response.error, events


def resumed() -> None:
    """Breaks off in the middle, goes on behind the last event seen; read while it runs and long after, it is the same."""
    stream = client.responses.create(model=f"{MODEL}-trickle", input=ASKED, background=True, stream=True)
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    name, last = seen[0].response.id, seen[-1].sequence_number
    rest = list(client.responses.retrieve(name, stream=True, starting_after=last))
    assert rest[0].sequence_number == last + 1 and rest[-1].type == "response.completed", rest
    whole = seen + rest
    numbered(whole)
    assert rest[-1].response.output_text == ANSWER, rest
    assert len([event for event in rest if event.type == "response.output_text.delta"]) > 1, "it ran on meanwhile"
    assert list(client.responses.retrieve(name, stream=True)) == whole, "read anew"
    for after in (0, last, len(whole) - 2):
        again = list(client.responses.retrieve(name, stream=True, starting_after=after))
        assert again == whole[after + 1 :], f"behind {after}"
    assert list(client.responses.retrieve(name, stream=True, starting_after=len(whole) - 1)) == []


def resumed_by_the_helper() -> None:
    started = client.responses.create(model=f"{MODEL}-trickle", input=ASKED, background=True)
    with client.responses.stream(response_id=started.id, starting_after=4) as stream:
        numbers = [event.sequence_number for event in stream]
        response = stream.get_final_response()
    assert numbers[0] == 5 and response.output_text == ANSWER, (numbers, response)


def cancelled() -> None:
    started = client.responses.create(model=f"{MODEL}-held", input=ASKED, background=True)
    until("running", lambda: client.responses.retrieve(started.id).status == "in_progress")
    response = client.responses.cancel(started.id)
    assert response.id == started.id and response.status == "cancelled", response
    assert client.responses.cancel(started.id).status == "cancelled", "again"
    assert client.responses.retrieve(started.id).status == "cancelled"


def not_cancelled() -> None:
    whole = client.responses.create(model=MODEL, input=ASKED)
    raises(openai.BadRequestError, lambda: client.responses.cancel(whole.id))
    in_background = ended(client.responses.create(model=MODEL, input=ASKED, background=True).id)
    assert client.responses.cancel(in_background.id).status == "completed"


def deleted() -> None:
    response = client.responses.create(model=MODEL, input=ASKED)
    client.responses.delete(response.id)
    for call in (
        lambda: client.responses.retrieve(response.id),
        lambda: client.responses.delete(response.id),
        lambda: client.responses.input_items.list(response.id),
        lambda: list(client.responses.retrieve(response.id, stream=True)),
    ):
        raises(openai.NotFoundError, call)


def not_stored() -> None:
    response = client.responses.create(model=MODEL, input=ASKED, store=False)
    assert response.output_text == ANSWER and response.store is False, response
    raises(openai.NotFoundError, lambda: client.responses.retrieve(response.id))


def input_items() -> None:
    said = [{"role": "user", "content": word} for word in ("one", "two", "three")]
    response = client.responses.create(model=MODEL, input=said, instructions="be brief")
    items = list(client.responses.input_items.list(response.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["one", "two", "three"], items
    assert len({item.id for item in items}) == 3 and {item.role for item in items} == {"user"}, items
    newest = client.responses.input_items.list(response.id, limit=1)
    assert newest.data == items[-1:] and newest.has_more, newest


def chained() -> None:
    """The test looks at what the provider was sent."""
    model = f"{MODEL}-chain"
    first = client.responses.create(model=model, input="first", instructions="be brief")
    second = client.responses.create(
        model=model, input="second", instructions="be long", previous_response_id=first.id, background=True
    )
    second = ended(second.id)
    assert second.previous_response_id == first.id and second.output_text == "fake: second", second
    third = client.responses.create(model=model, input="third", previous_response_id=second.id)
    assert third.output_text == "fake: third", third
    items = list(client.responses.input_items.list(third.id, order="asc"))
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant", "user"], items


def conversations() -> None:
    """The test looks at what the provider was sent."""
    model = f"{MODEL}-talk"
    seed = [{"role": "user", "content": "zero"}, {"role": "assistant", "content": "fake: zero"}]
    made = client.conversations.create(items=seed, metadata={"topic": "numbers"})
    assert made.id.startswith("conv_") and made.object == "conversation", made
    assert made.created_at > 1_700_000_000 and made.metadata == {"topic": "numbers"}, made
    first = client.responses.create(model=model, input="first", instructions="be brief", conversation=made.id)
    assert first.output_text == "fake: first" and first.conversation.id == made.id, first
    assert client.responses.retrieve(first.id).conversation.id == made.id
    started = client.responses.create(model=model, input="second", conversation={"id": made.id}, background=True)
    third = client.responses.create(model=model, input="third", conversation=made.id, stream=True)
    events = list(third)
    assert client.responses.retrieve(started.id).status == "completed", "its turn came first"
    assert events[-1].response.output_text == "fake: third" and events[0].response.conversation.id == made.id, events
    items = list(client.conversations.items.list(made.id, order="asc", limit=3))
    asked = ["zero", "first", "second", "third"]
    assert [item.content[0].text for item in items] == [word for ask in asked for word in (ask, f"fake: {ask}")], items
    assert [item.role for item in items] == ["user", "assistant"] * 4 and len({item.id for item in items}) == 8, items
    newest = client.conversations.items.list(made.id, limit=1)
    assert newest.data == items[-1:] and newest.has_more, newest
    added = client.conversations.items.create(made.id, items=[{"role": "user", "content": "aside"}])
    assert [item.content[0].text for item in added.data] == ["aside"] and not added.has_more, added
    assert list(client.conversations.items.list(made.id, order="asc")) == items + added.data
    assert client.conversations.update(made.id, metadata={"topic": "other"}).metadata == {"topic": "other"}
    assert client.conversations.retrieve(made.id).metadata == {"topic": "other"}


def conversations_end() -> None:
    gone = client.conversations.create()
    assert gone.metadata == {} and client.conversations.items.list(gone.id).data == [], gone
    deleted = client.conversations.delete(gone.id)
    assert deleted.id == gone.id and deleted.deleted and deleted.object == "conversation.deleted", deleted
    for call in (
        lambda: client.conversations.retrieve(gone.id),
        lambda: client.conversations.update(gone.id, metadata={}),
        lambda: client.conversations.delete(gone.id),
        lambda: client.conversations.items.list(gone.id),
        lambda: client.conversations.items.create(gone.id, items=[{"role": "user", "content": "x"}]),
        lambda: client.responses.create(model=MODEL, input=ASKED, conversation=gone.id),
        lambda: client.responses.create(model=MODEL, input=ASKED, conversation={"id": "conv_unknown"}),
    ):
        error = raises(openai.NotFoundError, call)
        assert error.param == "conversation" and error.type == "invalid_request_error", error


def asynchronous() -> None:
    async def all_at_once() -> None:
        whole, stream, started = await asyncio.gather(
            other.responses.create(model=MODEL, input=ASKED),
            other.responses.create(model=MODEL, input=ASKED, stream=True),
            other.responses.create(model=f"{MODEL}-trickle", input=ASKED, background=True),
        )
        assert whole.output_text == ANSWER, whole
        events = [event async for event in stream]
        assert numbered(events)[0] == 0 and events[-1].response.output_text == ANSWER, events
        resumed = await other.responses.retrieve(started.id, stream=True, starting_after=1)
        rest = [event async for event in resumed]
        assert rest[0].sequence_number == 2 and rest[-1].response.output_text == ANSWER, rest
        async with other.responses.stream(model=MODEL, input=ASKED) as helper:
            assert (await helper.get_final_response()).output_text == ANSWER
        weather = await other.responses.parse(model=f"{MODEL}-json", input="?", text_format=Weather)
        assert weather.output_parsed.city == "Paris", weather
        held = await other.responses.create(model=f"{MODEL}-held", input=ASKED, background=True)
        assert (await other.responses.cancel(held.id)).status == "cancelled"
        await other.responses.delete(held.id)

    asyncio.run(all_at_once())


def bad_requests() -> None:
    def refused(param: str, **request) -> None:
        request = {"model": MODEL, "input": ASKED, **request}
        error = raises(openai.BadRequestError, lambda: client.responses.create(**request))
        assert error.status_code == 400 and error.param == param, (error.param, error)
        assert error.type == "invalid_request_error", error

    refused("input[0].role", input=[{"role": "wizard", "content": "x"}])
    refused("input[1]", input=[{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_1"}])
    refused("input[0]", input=[{"type": "item_reference", "id": "msg_00000000000000000000000000_0"}])
    refused("temperature", temperature=3)
    refused("store", background=True, store=False)
    refused("previous_response_id", previous_response_id="resp_00000000000000000000000000")
    refused("conversation", previous_response_id="resp_00000000000000000000000000", conversation="conv_1")


def unknown() -> None:
    error = raises(openai.NotFoundError, lambda: client.responses.create(model="no-such-model", input=ASKED))
    assert error.code == "model_not_found", error
    raises(openai.NotFoundError, lambda: client.responses.retrieve("resp_00000000000000000000000000"))
    raises(openai.NotFoundError, lambda: client.responses.retrieve("nonsense"))


def bad_key() -> None:
    stranger = openai.OpenAI(base_url=BASE_URL, api_key="not-a-key-that-anyone-has")
    raises(openai.AuthenticationError, lambda: stranger.responses.create(model=MODEL, input=ASKED))


def rate_limited() -> None:
    hasty = openai.OpenAI(base_url=BASE_URL, api_key=LIMITED_KEY, max_retries=0)
    calls = lambda: [hasty.responses.create(model=MODEL, input=ASKED) for _ in range(5)]  # noqa: E731
    error = raises(openai.RateLimitError, calls)
    assert int(error.response.headers["retry-after"]) > 0, dict(error.response.headers)


run(
    [
        plain,
        tools,
        references,
        tools_streamed,
        stream_helper,
        streamed,
        parsed,
        parsed_streamed,
        images,
        cut_short,
        broken_off,
        background,
        background_failed,
        resumed,
        resumed_by_the_helper,
        cancelled,
        not_cancelled,
        deleted,
        not_stored,
        input_items,
        chained,
        conversations,
        conversations_end,
        asynchronous,
        bad_requests,
        unknown,
        bad_key,
        rate_limited,
    ]
)
