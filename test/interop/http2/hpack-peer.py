"""Other implementations of HPACK, for hpack.test.ts: PyPI's hpack, and nghttp2 through its public C interface.

Reads one JSON object from standard input, {"peer", "task", "connections"}: each connection is a list of steps, done one
after the other by one decoder or encoder. A step of task "decode" is {"settings", "block"} and answers {"fields",
"tableBytes"}; one of task "encode" is {"settings", "fields", "huffman"} and answers {"block", "tableBytes"}. "settings" are
the values of SETTINGS_HEADER_TABLE_SIZE that take effect before the block. Texts are latin1, blocks hexadecimal. An error
of the peer answers {"error"} and ends the connection.
"""

import ctypes
import json
import sys


class PythonDecoder:
    def __init__(self):
        from hpack import Decoder

        self.decoder = Decoder(max_header_list_size=2**31)

    def step(self, step):
        for size in step["settings"]:
            self.decoder.max_allowed_table_size = size
        fields = self.decoder.decode(bytes.fromhex(step["block"]), raw=True)
        return {
            "fields": [[f[0].decode("latin1"), f[1].decode("latin1"), not f.indexable] for f in fields],
            "tableBytes": self.decoder.header_table._current_size,
        }


class PythonEncoder:
    def __init__(self):
        from hpack import Encoder

        self.encoder = Encoder()

    def step(self, step):
        for size in step["settings"]:
            # The same size once more makes this encoder forget that it has to tell of the one before.
            if size != self.encoder.header_table_size:
                self.encoder.header_table_size = size
        fields = [(n.encode("latin1"), v.encode("latin1"), s) for n, v, s in step["fields"]]
        block = self.encoder.encode(fields, huffman=step["huffman"])
        return {"block": block.hex(), "tableBytes": self.encoder.header_table._current_size}


class Field(ctypes.Structure):
    """nghttp2_nv"""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("name_bytes", ctypes.c_size_t),
        ("value_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_uint8),
    ]


NO_INDEX = 1
FINAL = 1
EMIT = 2


def nghttp2():
    library = ctypes.CDLL("libnghttp2.so.14")
    for function in ("nghttp2_hd_inflate_get_dynamic_table_size", "nghttp2_hd_deflate_get_dynamic_table_size"):
        getattr(library, function).restype = ctypes.c_size_t
    library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
    library.nghttp2_hd_deflate_hd.restype = ctypes.c_ssize_t
    return library


def checked(code):
    if code < 0:
        raise ValueError("nghttp2 error %d" % code)
    return code


class Nghttp2Decoder:
    def __init__(self):
        self.library = nghttp2()
        self.inflater = ctypes.c_void_p()
        checked(self.library.nghttp2_hd_inflate_new(ctypes.byref(self.inflater)))

    def step(self, step):
        for size in step["settings"]:
            checked(self.library.nghttp2_hd_inflate_change_table_size(self.inflater, ctypes.c_size_t(size)))
        block = bytes.fromhex(step["block"])
        memory = ctypes.create_string_buffer(block, len(block) + 1)
        at = 0
        fields = []
        flags = ctypes.c_int(0)
        while not flags.value & FINAL:
            field = Field()
            flags = ctypes.c_int(0)
            at += checked(
                self.library.nghttp2_hd_inflate_hd2(
                    self.inflater,
                    ctypes.byref(field),
                    ctypes.byref(flags),
                    ctypes.byref(memory, at),
                    ctypes.c_size_t(len(block) - at),
                    1,
                )
            )
            if flags.value & EMIT:
                name = ctypes.string_at(field.name, field.name_bytes).decode("latin1")
                value = ctypes.string_at(field.value, field.value_bytes).decode("latin1")
                fields.append([name, value, bool(field.flags & NO_INDEX)])
        checked(self.library.nghttp2_hd_inflate_end_headers(self.inflater))
        size = self.library.nghttp2_hd_inflate_get_dynamic_table_size(self.inflater)
        return {"fields": fields, "tableBytes": size}


class Nghttp2Encoder:
    def __init__(self):
        self.library = nghttp2()
        self.deflater = ctypes.c_void_p()
        checked(self.library.nghttp2_hd_deflate_new(ctypes.byref(self.deflater), ctypes.c_size_t(65536)))

    def step(self, step):
        for size in step["settings"]:
            checked(self.library.nghttp2_hd_deflate_change_table_size(self.deflater, ctypes.c_size_t(size)))
        texts = [(n.encode("latin1"), v.encode("latin1"), s) for n, v, s in step["fields"]]
        fields = (Field * max(1, len(texts)))()
        for field, (name, value, sensitive) in zip(fields, texts):
            field.name = ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p)
            field.value = ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p)
            field.name_bytes = len(name)
            field.value_bytes = len(value)
            field.flags = NO_INDEX if sensitive else 0
        room = 64 + sum(len(n) + len(v) + 32 for n, v, _ in texts)
        out = ctypes.create_string_buffer(room)
        length = checked(
            self.library.nghttp2_hd_deflate_hd(
                self.deflater, out, ctypes.c_size_t(room), fields, ctypes.c_size_t(len(texts))
            )
        )
        size = self.library.nghttp2_hd_deflate_get_dynamic_table_size(self.deflater)
        return {"block": out.raw[:length].hex(), "tableBytes": size}


PEERS = {
    "hpack": {"decode": PythonDecoder, "encode": PythonEncoder},
    "nghttp2": {"decode": Nghttp2Decoder, "encode": Nghttp2Encoder},
}


def converse(peer, steps):
    answers = []
    for step in steps:
        try:
            answers.append(peer.step(step))
        except Exception as error:
            answers.append({"error": "%s: %s" % (type(error).__name__, error)})
            break
    return answers


request = json.load(sys.stdin)
make = PEERS[request["peer"]][request["task"]]
json.dump([converse(make(), steps) for steps in request["connections"]], sys.stdout)
