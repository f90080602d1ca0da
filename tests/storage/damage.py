"""Damage to files, as disks and networks do it."""


def flipped(content: bytes, bit: int) -> bytes:
    """Return a file's content with one bit changed."""
    place, offset = divmod(bit, 8)
    return content[:place] + bytes([content[place] ^ (1 << offset)]) + content[place + 1 :]
