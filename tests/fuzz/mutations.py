"""Damage to a file's bytes, drawn at random."""

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random], bytes]


def damaged(data: bytes, draw: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Return the bytes with one to three kinds of damage, never the bytes themselves.

    Args:
        data: an intact file.
        draw: where the choices come from.
        words: what this kind of file gives a meaning to; put in at random places.
    """
    kinds = [*_ANY, *([_word_in(words)] * len(_ANY) if words else [])]
    result = data
    while result == data:
        result = data
        for _ in range(draw.randint(1, 3)):
            result = draw.choice(kinds)(result, draw)
    return result


def _flip(data: bytes, draw: random.Random) -> bytes:
    if not data:
        return b"\0"
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _lose(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 2, 30)) + data[end:]


def _blank(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + draw.choice((b"\0", b"\xff", b" ")) * (end - start) + data[end:]


def _noise(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + draw.randbytes(end - start) + data[end:]


def _append(data: bytes, draw: random.Random) -> bytes:
    return data + draw.randbytes(draw.randint(1, 400))


def _exchange(data: bytes, draw: random.Random) -> bytes:
    first, second = _span(data, draw), _span(data, draw)
    start, middle, end = sorted((first[0], second[0], second[1]))
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _number(data: bytes, draw: random.Random) -> bytes:
    """Overwrite four bytes by a number that sizes and counts choke on."""
    if len(data) < 4:
        return data
    value = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00010000))
    order = draw.choice(("little", "big"))
    place = draw.randrange(min(len(data) - 3, draw.choice((64, len(data)))) or 1)
    return data[:place] + value.to_bytes(4, order) + data[place + 4 :]  # type: ignore[arg-type]


def _word_in(words: Sequence[bytes]) -> Mutation:
    def put(data: bytes, draw: random.Random) -> bytes:
        start, end = _span(data, draw)
        end = draw.choice((start, start, end))
        return data[:start] + draw.choice(words) + data[end:]

    return put


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 2, 4, 16, 64, 512)))


_ANY: tuple[Mutation, ...] = (
    *(_flip, _cut, _lose, _repeat, _blank, _noise, _append, _exchange, _number),
)
