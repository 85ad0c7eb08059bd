"""The text of a PDF, as far as a test needs it: what is shown, read through the fonts' own tables of
characters."""

import re
import zlib

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"\[(.*?)\]\s*TJ|(<[0-9A-Fa-f]*>|\((?:\\.|[^\\()])*\))\s*Tj", re.DOTALL)
_PIECE = re.compile(rb"<([0-9A-Fa-f]*)>|\(((?:\\.|[^\\()])*)\)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def texts_of(pdf: bytes) -> list[str]:
    """Everything shown, once for each font's table: a word is right in the text of the font it is set in."""
    streams = [_inflated(match[1]) for match in _STREAM.finditer(pdf)]
    tables = [_table(stream) for stream in streams if b"beginbfchar" in stream or b"beginbfrange" in stream]
    shown = [line for stream in streams if b" Tf" in stream for line in _lines(stream)]
    return ["\n".join(_read(line, table) for line in shown) for table in tables]


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return data


def _table(cmap: bytes) -> dict[int, str]:
    table = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            table[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, text in re.findall(rb"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            for nth, code in enumerate(range(int(first, 16), int(last, 16) + 1)):
                table[code] = chr(int(text, 16) + nth)
    return table


def _lines(content: bytes) -> list[bytes]:
    """The codes of each run of text, two bytes each."""
    return [
        b"".join(_codes(*piece) for piece in _PIECE.findall(array or single))
        for array, single in _SHOWN.findall(content)
    ]


def _codes(hexadecimal: bytes, literal: bytes) -> bytes:
    if hexadecimal:
        return bytes.fromhex(hexadecimal.decode())
    return re.sub(rb"\\([0-7]{1,3}|.)", lambda found: _unescaped(found[1]), literal, flags=re.DOTALL)


def _unescaped(text: bytes) -> bytes:
    return bytes([int(text, 8)]) if text.isdigit() else _ESCAPED.get(text, text)


def _read(line: bytes, table: dict[int, str]) -> str:
    return "".join(table.get(int.from_bytes(line[at : at + 2]), "?") for at in range(0, len(line), 2))
