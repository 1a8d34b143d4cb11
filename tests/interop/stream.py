"""Messages that tell who sent them, their place, and whether they arrived as they were sent.

The same as peer/stream.h: a head of 12 bytes (sender, number, CRC-32 of the frame lengths, the first
8 bytes and all behind the head), alone in its frame if multipart. Every 16th message is empty.
"""

import struct
import zlib

HEAD = struct.Struct("<II")
CRC = struct.Struct("<I")
PLANT_SEQ = 1234
UNIT = bytes((i * 31 + (i >> 8) * 7) & 255 for i in range(1 << 16))


class Wrong(Exception):
    """A message that isn't what it should be."""


def crc_of(frames):
    """The head's first 8 bytes are at the start of frames[0]; its last 4 are the CRC itself."""
    lengths = b"".join(CRC.pack(len(f)) for f in frames)
    crc = zlib.crc32(frames[0][:8], zlib.crc32(lengths))
    crc = zlib.crc32(memoryview(frames[0])[12:], crc)
    for frame in frames[1:]:
        crc = zlib.crc32(frame, crc)
    return crc


class Stream:
    """Makes messages. size: "mixed" or the bytes behind the head."""

    def __init__(self, multipart=False, size="mixed", sender=0, no_empty=False, plant=None):
        self.multipart = multipart
        self.size = size
        self.sender = sender
        self.no_empty = no_empty
        self.plant = plant
        self.filler = UNIT * (8 if size == "mixed" else (size >> 16) + 2)

    def is_empty_place(self, seq):
        return not self.no_empty and seq % 16 == 7

    def body_len(self, seq):
        if self.size != "mixed":
            return self.size
        mix = ((seq * 2654435761) & 0xffffffff) >> 8
        if seq % 1999 == 11:
            return 300000 + mix % 100000
        if seq % 97 == 5:
            return 12000 + mix % 60000
        if seq % 7 == 3:
            return 180 + mix % 120
        return mix % 64

    def cut(self, body, cnt, seq):
        frames = []
        for i in range(cnt):
            part = len(body) if i + 1 == cnt else len(body) // (cnt - i)
            if i == 1 and cnt > 2 and seq % 3 == 0:
                part = 0
            frames.append(body[:part])
            body = body[part:]
        return frames

    def planted(self, seq):
        if self.plant == "drop" and seq >= PLANT_SEQ:
            return seq + 1
        if self.plant == "swap" and seq in (PLANT_SEQ, PLANT_SEQ + 1):
            return 2 * PLANT_SEQ + 1 - seq
        if self.plant == "twice" and seq == PLANT_SEQ + 1:
            return PLANT_SEQ
        return seq

    def make(self, seq):
        """The frames of message seq."""
        seq = self.planted(seq)
        if self.is_empty_place(seq):
            return [b""] * (3 if self.multipart else 1)
        start = seq % 251
        body = self.filler[start:start + self.body_len(seq)]
        head = HEAD.pack(self.sender, seq)
        if self.multipart:
            frames = [head + bytes(4)] + self.cut(body, 1 + seq % 4, seq)
        else:
            frames = [head + bytes(4) + body]
        crc = crc_of(frames)
        if self.plant == "flip" and seq == PLANT_SEQ:
            crc ^= 1
        frames[0] = head + CRC.pack(crc) + frames[0][12:]
        return frames


class Check:
    """Takes messages of `senders` streams, each in its order; or of one in any order."""

    def __init__(self, multipart=False, senders=1, no_empty=False, unordered=False):
        self.multipart = multipart
        self.no_empty = no_empty or senders > 1 or unordered
        self.unordered = unordered
        self.next_seq = [0] * senders
        self.seen = set()
        self.taken = 0

    def wrong(self, text):
        raise Wrong(f"message {self.taken}: {text}")

    def take_empty(self, frames):
        expected = self.next_seq[0]
        if self.no_empty or expected % 16 != 7:
            self.wrong(f"empty, where {expected} was expected")
        if len(frames) != (3 if self.multipart else 1):
            self.wrong(f"{len(frames)} empty frames")
        self.next_seq[0] += 1

    def take_number(self, sender, seq):
        if sender >= len(self.next_seq):
            self.wrong(f"sender {sender}")
        if self.unordered:
            if seq in self.seen:
                self.wrong(f"number {seq} again")
            self.seen.add(seq)
            return
        if seq != self.next_seq[sender]:
            self.wrong(f"number {seq} of sender {sender}, expected was {self.next_seq[sender]}")
        if not self.no_empty and seq % 16 == 7:
            self.wrong(f"number {seq} isn't empty")
        self.next_seq[sender] += 1

    def take(self, frames):
        if not any(frames):
            self.take_empty(frames)
            self.taken += 1
            return
        first = len(frames[0])
        if first < 12 or (self.multipart and first != 12):
            self.wrong(f"a first frame of {first} bytes")
        if len(frames) < 2 if self.multipart else len(frames) != 1:
            self.wrong(f"{len(frames)} frames")
        if crc_of(frames) != CRC.unpack_from(frames[0], 8)[0]:
            self.wrong("the hash differs")
        self.take_number(*HEAD.unpack_from(frames[0]))
        self.taken += 1
