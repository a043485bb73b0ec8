"""Holds up what a network sends late: a process at the far end of a cable. Frames that come to it go back into the cable a while later, each
after another time, so that some overtake others, to the node that their address names. It needs packet sockets only, which whoever
may make a network has. Standard library only.

It runs until its standard input ends and says then how many frames it held up.
"""
import contextlib
import heapq
import os
import random
import select
import socket
import sys
import time

SECONDS = (0.1, 0.2)  # the shortest and the longest delay
HARDWARE = bytes.fromhex("02000000fffe")  # where frames are sent that shall come late
HAND_OVER = 10  # bytes of the header below
FRAME_BYTES = 1 << 17  # more than any has
IPV4 = bytes.fromhex("0800")
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15  # before each frame, what is left to do for it: to sum it up, to divide it when it is longer than a cable takes


def hardware(number):
    """The hardware address of the node whose address ends with this number."""
    return bytes((2, 0, 0, 0, 0, number))


def redirected(packet):
    """A frame and the header before it, from here to the node that it is for. None for what nobody sent here, such as what goes to all."""
    header, frame = packet[:HAND_OVER], packet[HAND_OVER:]
    if frame[:6] != HARDWARE or frame[12:14] != IPV4:
        return None
    return header + hardware(frame[33]) + HARDWARE + frame[12:]


class Late:
    """What is held up, and until when."""

    def __init__(self, rng):
        self.rng = rng
        self.held = []
        self.count = 0  # of all that ever were

    def hold(self, packet, now):
        self.count += 1
        heapq.heappush(self.held, (now + self.rng.uniform(*SECONDS), self.count, packet))

    def wait(self, now):
        """Seconds until the next is due; None when there is none."""
        return max(0, self.held[0][0] - now) if self.held else None

    def due(self, now):
        while self.held and self.held[0][0] <= now:
            yield heapq.heappop(self.held)[2]


def run(device):
    """How many frames it held up."""
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    cable.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    cable.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    cable.bind((device, ETH_P_ALL))
    print("ready", flush=True)
    late = Late(random.Random())
    while True:
        readable, _, _ = select.select([cable, sys.stdin], [], [], late.wait(time.monotonic()))
        if sys.stdin in readable:
            return late.count
        if cable in readable:
            packet, where = cable.recvfrom(FRAME_BYTES)
            if where[2] != socket.PACKET_OUTGOING and (packet := redirected(packet)) is not None:
                late.hold(packet, time.monotonic())
        for packet in late.due(time.monotonic()):
            try:
                cable.send(packet)
            except OSError:
                pass  # lost, as frames may be where a queue is full


if __name__ == "__main__":
    count = run(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):  # who began this has ended
        os.write(sys.stdout.fileno(), b"%d\n" % count)
