# SPDX-License-Identifier: MIT
"""Domain-0 kernels and ram disks in other forms than Debian's, made from Debian's, in build/system/.

A bzImage is: a boot sector whose byte 0x1f1 counts the set-up sectors, those sectors with the set-up
header (Linux's boot protocol: payload_offset at 0x248 and payload_length at 0x24c, relative to the
protected-mode code), then that code with the compressed ELF kernel in it. A hypervisor looks only at
the header and the payload, so another payload in the same frame is a kernel in another compression.
"""

import gzip
import lzma
import os
import struct
import subprocess
import threading

VMLINUZ = "build/dom0/vmlinuz"
INITRD = "build/dom0/initrd.img"
DIRECTORY = "build/system"
LARGE_BLOCKS = 70000  # of 4 KiB: 273 MiB

FORMS = ("elf", "gzip", "zstd")
LOCK = threading.Lock()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(name, data):
    """Writes a file of DIRECTORY, complete or not at all, and returns its path."""
    os.makedirs(DIRECTORY, exist_ok=True)
    path = os.path.join(DIRECTORY, name)
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)
    return path


def split(image):
    """(offset, length) of the payload in a bzImage, counted from the start of the file."""
    code = (image[0x1f1] + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    return code + offset, length


def with_payload(image, payload):
    """The bzImage with another payload."""
    start, _ = split(image)
    data = bytearray(image[:start] + payload)
    struct.pack_into("<I", data, 0x24c, len(payload))
    code = len(data) - (image[0x1f1] + 1) * 512
    struct.pack_into("<I", data, 0x1f4, (code + 15) // 16)
    return bytes(data) + bytes(-code % 16)


def vmlinux(image):
    """The ELF kernel in Debian's bzImage (XZ, then four bytes of length)."""
    start, length = split(image)
    return lzma.LZMADecompressor().decompress(image[start:start + length])


def fresh(name, source):
    path = os.path.join(DIRECTORY, name)
    return os.path.exists(path) and os.path.getmtime(path) > os.path.getmtime(source)


def make(form):
    """The path of Debian's kernel in one of FORMS."""
    name = f"vmlinuz-{form}"
    with LOCK:
        if fresh(name, VMLINUZ):
            return os.path.join(DIRECTORY, name)
        image = read(VMLINUZ)
        elf = vmlinux(image)
        if form == "elf":
            return write(name, elf)
        if form == "gzip":
            return write(name, with_payload(image, gzip.compress(elf, 1, mtime=0)))
        packed = subprocess.run(["zstd", "-q", "-3", "-c"], input=elf, stdout=subprocess.PIPE,
                                check=True).stdout
        return write(name, with_payload(image, packed + struct.pack("<I", len(elf))))


def cpio_file(name, data):
    """One file of a newc archive (cpio(5)), and the archive's end."""
    def entry(path, mode, body):
        fields = [0, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path) + 1, 0]
        head = b"070701" + "".join(f"{field:08x}" for field in fields).encode()
        head += path.encode() + b"\0"
        return head + bytes(-len(head) % 4) + body + bytes(-len(body) % 4)
    return entry(name, 0o100644, data) + entry("TRAILER!!!", 0, b"")


def large_initrd():
    """The small initial ram disk with a file "large" of LARGE_BLOCKS numbered blocks."""
    name = "initrd-large.img"
    with LOCK:
        if fresh(name, INITRD):
            return os.path.join(DIRECTORY, name)
        blocks = b"".join(str(number).encode().ljust(4096, b"\0")
                          for number in range(LARGE_BLOCKS))
        return write(name, read(INITRD) + cpio_file("large", blocks))
