# A network of its own with a DNS server, for the process that entered its namespaces: resolver.py DIRECTORY QUERIES. Its loopback is up, its /etc says
# that 127.0.0.1 is asked. Each query adds a line to the file QUERIES; each answer is another address.
import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import sys

directory, queries = pathlib.Path(sys.argv[1]), sys.argv[2]


def up(name):
    import fcntl
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("16sh14x", name.encode(), 0x41)  # IFF_UP | IFF_RUNNING
    fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def put(name, text):
    path = directory / name
    path.write_text(text)
    subprocess.run(["mount", "--bind", str(path), f"/etc/{name}"], check=True)


def question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack(">H", packet[at + 1:at + 3])[0], packet[12:at + 5]


def answer(packet, count):
    name, kind, asked = question(packet)
    with open(queries, "a") as f:
        f.write(f"{name} {kind}\n")
    known = name in ("answer.test", "1.2.0.192.in-addr.arpa")
    data = b""
    if name == "answer.test" and kind == 1:
        data = bytes([192, 0, 2, count % 250 + 1])
    if name == "1.2.0.192.in-addr.arpa" and kind == 12:
        data = b"\x04name" + bytes([1, ord("a") + count % 26]) + b"\x04test\0"
    flags = 0x8580 | (0 if known else 3)  # 3: no such name
    head = packet[:2] + struct.pack(">HHHHH", flags, 1, 1 if data else 0, 0, 0)
    return head + asked + (b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data if data else b"")


up("lo")
put("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1\n")
put("hosts", "127.0.0.1 localhost\n")
put("nsswitch.conf", "hosts: files dns\n")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: not longer than the test
print("ready", flush=True)
count = 0
while True:
    packet, source = server.recvfrom(512)
    server.sendto(answer(packet, count), source)
    count += 1
