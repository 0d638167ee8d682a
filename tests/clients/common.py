"""What the scripts of this folder share: where the server is, a picture, a schema, and how checks are run."""

import base64
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterable

BASE_URL = os.environ["PORTBROKER_BASE_URL"]
KEY = os.environ["PORTBROKER_KEY"]
LIMITED_KEY = os.environ["PORTBROKER_LIMITED_KEY"]
MODEL = os.environ.get("PORTBROKER_MODEL", "fake")
ASKED = "say hello to the world"
ANSWER = f"fake: {ASKED}"
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def png() -> str:
    """A picture of one pixel, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff\x00\x00")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def raises(kind: type[Exception], call: Callable[[], object]) -> Exception:
    """The exception of this very class that the call raises."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def until(what: str, probe: Callable[[], bool]) -> None:
    """Asks again and again, as a client that polls."""
    deadline = time.monotonic() + 60
    while not probe():
        assert time.monotonic() < deadline, f"not {what} within a minute"
        time.sleep(0.02)


def run(checks: Iterable[Callable[[], None]]) -> None:
    """One line a check; exits 1 at the first failure."""
    for check in checks:
        try:
            check()
        except Exception as error:  # noqa: BLE001: whatever it is, it is a failed check
            print(f"FAILED {check.__name__}: {type(error).__name__}: {error}", flush=True)
            sys.exit(1)
        print(f"ok {check.__name__}", flush=True)
