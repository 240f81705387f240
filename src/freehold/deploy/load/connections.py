"""Keep-alive connections to this machine, taken and given back."""

from __future__ import annotations

import asyncio
import json

from freehold.deploy.load.requests import request
from freehold.model.load import LoadAnswer, LoadAsk

NOTHING = LoadAnswer(0, None, {})


class Connections:
    """Connections to one server, at most so many at a time; whoever needs one more waits.

    Args:
        host, port: where to.
        most: open at a time.
    """

    def __init__(self, host: str, port: int, most: int) -> None:
        self._host, self._port = host, port
        self._turns = asyncio.Semaphore(most)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, ask: LoadAsk) -> LoadAnswer:
        """Send a request and read its answer; status 0 when it does not come in time, or the connection breaks."""
        async with self._turns:
            try:
                if ask.patience <= 0:
                    return await self._hang_up(ask)
                async with asyncio.timeout(ask.patience):
                    return await self._exchange(ask)
            except (TimeoutError, OSError, EOFError):
                return NOTHING

    async def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _hang_up(self, ask: LoadAsk) -> LoadAnswer:
        _, writer = await self._open()
        writer.write(_bytes(ask))
        await writer.drain()
        writer.close()
        return NOTHING

    async def _exchange(self, ask: LoadAsk) -> LoadAnswer:
        reader, writer = await self._take()
        try:
            writer.write(_bytes(ask))
            answer = await _read(reader)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return answer

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is idle and that the server has not closed meanwhile, or a new one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await self._open()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)


def _bytes(ask: LoadAsk) -> bytes:
    return request(ask.method, ask.path, body=ask.body, headers=ask.headers)


async def _read(reader: asyncio.StreamReader) -> LoadAnswer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return LoadAnswer(int(first[9:12]), json.loads(content) if content else None, headers)
