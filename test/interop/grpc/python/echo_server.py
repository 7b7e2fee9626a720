"""The gRPC service of the tests on Python's grpc.aio. Prints its port; ends when its standard input does."""

import asyncio
import json
import sys

import grpc

SERVICE = "outrigger.test.Echo"
LIMITS = [("grpc.max_receive_message_length", 1 << 24), ("grpc.max_send_message_length", 1 << 24)]
KEEPALIVE = [("grpc.keepalive_time_ms", 1000), ("grpc.http2.min_ping_interval_without_data_ms", 500)]
# The proxy may ask too, as often as it likes.
PERMISSIVE = [("grpc.http2.max_ping_strikes", 0), ("grpc.keepalive_permit_without_calls", 1)]

seen = {"calls": 0, "cancelled": 0, "active": 0, "deadlineMs": 0}


def message_bytes(size, index):
    return bytes((i * 31 + index * 7 + (i >> 8)) & 0xFF for i in range(size))


class Call:
    """Counts a call, sends its headers, and ends it as its metadata says."""

    def __init__(self, context):
        self.context = context
        self.metadata = {}
        self.copied = []
        for name, value in context.invocation_metadata():
            self.metadata[name] = value
            if name in ("x-data-bin", "x-text"):
                self.copied.append((name, value))

    async def __aenter__(self):
        seen["calls"] += 1
        seen["active"] += 1
        remaining = self.context.time_remaining()
        if remaining is not None and remaining < 1e6:
            seen["deadlineMs"] = round(remaining * 1000)
        if self.metadata.get("x-wait") != "silent":
            await self.context.send_initial_metadata(self.copied)
        self.context.set_trailing_metadata(self.copied)
        return self

    async def __aexit__(self, kind, error, trace):
        seen["active"] -= 1
        # Between two replies a cancelled call ends its generator, or the write of the next one fails.
        if kind in (asyncio.CancelledError, GeneratorExit) or (kind is not None and self.context.cancelled()):
            seen["cancelled"] += 1

    async def end(self):
        if "x-wait" in self.metadata:
            await asyncio.sleep(1000)
        if "x-code" in self.metadata:
            codes = {code.value[0]: code for code in grpc.StatusCode}
            code = codes[int(self.metadata["x-code"])]
            await self.context.abort(code, self.metadata.get("x-message", ""), tuple(self.copied))


async def unary(request, context):
    async with Call(context) as call:
        await call.end()
        return request


async def client_stream(requests, context):
    async with Call(context) as call:
        size = 0
        async for message in requests:
            size += len(message)
        if context.cancelled():
            raise asyncio.CancelledError
        await call.end()
        return str(size).encode()


async def server_stream(request, context):
    async with Call(context) as call:
        size = int(call.metadata.get("x-reply-bytes", 10))
        for i in range(int(call.metadata.get("x-replies", 3))):
            yield message_bytes(size, i)
        await call.end()


async def bidi(requests, context):
    async with Call(context) as call:
        async for message in requests:
            yield message
        await call.end()


async def seen_so_far(request, context):
    return json.dumps(seen).encode()


async def main():
    server = grpc.aio.server(options=LIMITS + KEEPALIVE + PERMISSIVE)
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
        "Seen": grpc.unary_unary_rpc_method_handler(seen_so_far),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


asyncio.run(main())
