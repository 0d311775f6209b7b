"""HDHomeRun's variables over real connections: told as they are asked, and nobody is in the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from plexbridge.clock import SteadyClock
from plexbridge.server.listener import open_listener
from plexbridge.tuner.discovery.askers import Askers
from plexbridge.tuner.discovery.packets import PacketType, Tag, decode, encode
from plexbridge.tuner.discovery.tcp import Control
from tests.service.discovery_rig import LOOPBACK, presence, variables
from tests.service.relay_setup import until

MODEL = bytes.fromhex("0004000d 030b2f7379732f6d6f64656c00 8f5b54b5")
MODEL_REPLY = bytes.fromhex(
    "0005001f 030b2f7379732f6d6f64656c00 04106864686f6d6572756e355f6174736300 1e5fd121"
)
NOPE_REPLY = bytes.fromhex(
    "0005002d 030a2f7379732f6e6f706500 051f4552524f523a20756e6b6e6f776e20676574736574207661"
    "726961626c6500 1acf57e1"
)


def request(name: str, value: str | None = None) -> bytes:
    tags = [(Tag.GETSET_NAME, name.encode() + b"\0")]
    if value is not None:
        tags.append((Tag.GETSET_VALUE, value.encode() + b"\0"))
    return encode(PacketType.GETSET_REQUEST, tags)


@contextlib.asynccontextmanager
async def control(*, idle_s: float = 60.0, connections_max: int = 32) -> AsyncIterator[Control]:
    """Listening on loopback."""
    askers = Askers((LOOPBACK,), SteadyClock().monotonic, per_second=0, total_per_second=0)
    made = Control(
        open_listener("127.0.0.1", 0),
        getset=variables,
        askers=askers,
        idle_s=idle_s,
        connections_max=connections_max,
    )
    async with asyncio.timeout(30):
        try:
            yield made
        finally:
            await made.close()


class Program:
    """One that asks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, port: int) -> "AsyncIterator[Program]":
        """Connected, and closed at the end."""
        program = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            yield program
        finally:
            program.writer.close()
            with contextlib.suppress(OSError):
                await program.writer.wait_closed()

    async def reads(self, size: int) -> bytes:
        """So many bytes."""
        return await self.reader.readexactly(size)

    async def is_cut(self) -> bool:
        """Whether the connection ends, however; what came before is read."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65_536):
                pass
        return True


async def test_variables_are_told_one_after_the_other() -> None:
    """As a program asks: the model, then what it wants, an unknown one among them."""
    async with control() as there, Program.at(there.port) as program:
        program.writer.write(MODEL)
        assert await program.reads(len(MODEL_REPLY)) == MODEL_REPLY
        program.writer.write(request("/sys/nope") + MODEL)
        assert await program.reads(len(NOPE_REPLY)) == NOPE_REPLY
        assert await program.reads(len(MODEL_REPLY)) == MODEL_REPLY


async def test_a_request_may_come_byte_by_byte() -> None:
    """And several in one segment."""
    async with control() as there, Program.at(there.port) as program:
        for at in range(len(MODEL)):
            program.writer.write(MODEL[at : at + 1])
            await program.writer.drain()
        assert await program.reads(len(MODEL_REPLY)) == MODEL_REPLY
        program.writer.write(MODEL * 50)
        assert await program.reads(50 * len(MODEL_REPLY)) == 50 * MODEL_REPLY


async def test_who_ends_its_side_still_gets_its_answer() -> None:
    """Then the connection is closed."""
    async with control() as there, Program.at(there.port) as program:
        program.writer.write(MODEL)
        program.writer.write_eof()
        assert await program.reader.read() == MODEL_REPLY


@pytest.mark.parametrize(
    "nonsense",
    [
        MODEL[:-1] + b"\0",
        b"\0\4\xff\xff",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        encode(PacketType.DISCOVER_REQUEST, []),
        encode(PacketType.GETSET_REQUEST, []),
    ],
    ids=["checksum", "64 kB", "http", "tls", "a search", "no name"],
)
async def test_nonsense_ends_its_connection_and_no_other(nonsense: bytes) -> None:
    """After it, nobody could tell where the next request begins."""
    async with (
        control() as there,
        Program.at(there.port) as bystander,
        Program.at(there.port) as program,
    ):
        program.writer.write(nonsense)
        assert await program.is_cut()
        bystander.writer.write(MODEL)
        assert await bystander.reads(len(MODEL_REPLY)) == MODEL_REPLY
        await until(lambda: there.open == 1)


async def test_who_asks_nothing_is_cut() -> None:
    """Also who sends half a request and then nothing."""
    async with control(idle_s=0.05) as there:
        async with Program.at(there.port) as silent, Program.at(there.port) as slow:
            slow.writer.write(MODEL[:10])
            assert await silent.is_cut()
            assert await slow.is_cut()
        await until(lambda: there.open == 0)


async def test_when_every_connection_is_taken_others_wait() -> None:
    """Until one is closed."""
    async with (
        control(connections_max=1) as there,
        Program.at(there.port) as second,
        Program.at(there.port) as third,
    ):
        second.writer.write(MODEL)
        assert await second.reads(len(MODEL_REPLY)) == MODEL_REPLY
        third.writer.write(MODEL)
        assert there.open == 1
        second.writer.close()
        assert await third.reads(len(MODEL_REPLY)) == MODEL_REPLY


async def test_who_does_not_read_is_cut() -> None:
    """Its answers do not pile up here."""
    async with control() as there, Program.at(there.port) as program:
        program.reader._transport.pause_reading()  # type: ignore[attr-defined]
        help_wanted = request("help") * 1_000
        while there.open:
            program.writer.write(help_wanted)
            with contextlib.suppress(OSError):
                await program.writer.drain()
            await asyncio.sleep(0)


async def test_strangers_are_cut_at_once() -> None:
    """Outside the trusted networks nothing is told."""
    askers = Askers((), SteadyClock().monotonic, per_second=0, total_per_second=0)
    there = Control(open_listener("127.0.0.1", 0), getset=variables, askers=askers)
    try:
        async with asyncio.timeout(10), Program.at(there.port) as program:
            with contextlib.suppress(OSError):
                program.writer.write(MODEL)
                assert await program.reader.read() == b""
            await until(lambda: there.open == 0)
    finally:
        await there.close()


async def test_closing_cuts_who_is_there() -> None:
    """A stop waits for no program."""
    async with presence() as there:
        there.answer_searches(variables, port=0)
        assert there.control is not None
        async with Program.at(there.control.port) as program:
            program.writer.write(request("/tuner0/lockkey", "none"))
            reply = await program.reads(4 + 21)
            assert reply[:2] == b"\0\5"
            await there.control.close()
            assert await program.is_cut()


def test_the_reply_names_what_was_asked() -> None:
    """As the vectors have it."""
    assert decode(MODEL_REPLY).first(Tag.GETSET_NAME) == b"/sys/model\0"
