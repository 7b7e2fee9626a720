"""A gRPC client on Python's grpc.aio. Reads one call per line as JSON, prints its results as one line of JSON."""

import asyncio
import base64
import hashlib
import json
import sys

import grpc

SERVICE = "outrigger.test.Echo"
OPTIONS = [
    ("grpc.max_receive_message_length", 1 << 24),
    ("grpc.max_send_message_length", 1 << 24),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


def message_bytes(size, index):
    return bytes((i * 31 + index * 7 + (i >> 8)) & 0xFF for i in range(size))


def plain(metadata):
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in metadata or ()
    }


class Gate:
    """Holds everybody back until so many have come."""

    def __init__(self, count):
        self.missing = count
        self.open = asyncio.Event()

    async def arrive(self):
        self.missing -= 1
        if self.missing == 0:
            self.open.set()
        await self.open.wait()


async def one(channel, spec, gate):
    path = f"/{SERVICE}/{spec['method']}"
    sizes = spec.get("sizes", [10])
    metadata = list(spec.get("metadata", {}).items())
    metadata += [(name, base64.b64decode(value)) for name, value in spec.get("binary", {}).items()]
    deadline = spec["deadlineMs"] / 1000 if "deadlineMs" in spec else None
    kind = {"ClientStream": "stream_unary", "ServerStream": "unary_stream", "Bidi": "stream_stream"}
    callable = getattr(channel, kind.get(spec["method"], "unary_unary"))(path)
    cancel_after = spec.get("cancelAfter")
    messages = []

    def take(message):
        messages.append((len(message), hashlib.sha1(message).hexdigest()))
        if len(messages) == cancel_after:
            call.cancel()

    streams_up = spec["method"] in ("ClientStream", "Bidi")
    streams_down = spec["method"] in ("ServerStream", "Bidi")
    argument = [] if streams_up else [message_bytes(sizes[0], 0)]
    call = callable(*argument, timeout=deadline, metadata=metadata)

    async def send():
        for i, size in enumerate(sizes):
            await call.write(message_bytes(size, i))
        if cancel_after is None:
            await call.done_writing()

    async def ping_pong():
        for i, size in enumerate(sizes):
            await call.write(message_bytes(size, i))
            take(await call.read())
            if i == 0:
                await gate.arrive()
        await call.done_writing()

    async def receive():
        if not streams_down:
            take(await call)
            return
        while (message := await call.read()) is not grpc.aio.EOF:
            take(message)

    if cancel_after == 0:
        asyncio.get_running_loop().call_later(0.2, call.cancel)
    work = []
    if spec.get("pingPong"):
        await asyncio.gather(ping_pong(), return_exceptions=True)
    elif streams_up:
        work.append(send())
    await asyncio.gather(*work, receive(), return_exceptions=True)
    return {
        "code": (await call.code()).value[0],
        "details": await call.details() or "",
        "messages": messages,
        "headers": plain(await call.initial_metadata()),
        "trailers": plain(await call.trailing_metadata()),
    }


async def main():
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sys.argv[1]}", options=OPTIONS) as channel:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            spec = json.loads(line)
            await asyncio.sleep(spec.get("idleMs", 0) / 1000)
            count = spec.get("parallel", 1)
            gate = Gate(count)
            results = await asyncio.gather(*(one(channel, spec, gate) for _ in range(count)))
            print(json.dumps(results), flush=True)


asyncio.run(main())
