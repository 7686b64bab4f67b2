# SPDX-License-Identifier: MIT
"""The system tests with bad input: one clear line says what is wrong, then the machine stops.

Stopped means: the processor in HLT with interrupts off, no reset, no triple fault, no more output.
"""

import os
import random
import re
import struct

import kernels
from cases import BOOT_SECONDS, HV_LINE, Case, still

CASES = []
XEN = "its words differ"


def bad(name, not_on_xen=XEN):
    def register(function):
        CASES.append(Case(f"bad-{name}", function, not_on_xen))
        return function
    return register


def noise(length):
    return random.Random(1).randbytes(length)


def broken_kernels():
    """{name: (bytes, what the line must speak of)}: kernels that are none."""
    image = kernels.read(kernels.VMLINUZ)
    start, length = kernels.split(image)
    middle = start + length // 2
    elf = kernels.vmlinux(image)
    wild = bytearray(elf)
    first = struct.unpack_from("<Q", elf, 32)[0]
    struct.pack_into("<Q", wild, first + 32, 1 << 60)  # file size of the first segment
    no_notes = re.sub(rb"(\x04\0\0\0.\0\0\0.\0\0\0)Xen\0", rb"\1Nex\0", elf, flags=re.DOTALL)
    garbage = noise(1 << 20) + struct.pack("<I", len(elf))  # of a length that is believable
    huge = bytearray(image)
    struct.pack_into("<II", huge, 0x248, 0xfffff000, 0xfffff000)
    return {
        "truncated": (image[:len(image) // 2], "outside|damaged|decompressed"),
        "truncated-header": (image[:600], "neither|outside|short"),
        "empty": (b"x", "neither|short"),
        "corrupt": (image[:middle] + noise(64) + image[middle + 64:], "decompressed|damaged"),
        "garbage-xz": (kernels.with_payload(image, b"\xfd7zXZ\0" + garbage),
                       "decompressed|damaged"),
        "garbage-gzip": (kernels.with_payload(image, b"\x1f\x8b\x08\0" + garbage),
                         "decompressed|damaged"),
        "garbage-zstd": (kernels.with_payload(image, b"\x28\xb5\x2f\xfd" + garbage),
                         "decompressed|damaged"),
        "unknown-compression": (kernels.with_payload(image, noise(1 << 20)), "neither"),
        "payload-outside": (bytes(huge), "outside"),
        "wrong-format": (noise(1 << 16), "neither"),
        "text": (b"#!/bin/sh\necho not a kernel\n" * 100, "neither"),
        "elf-wild-segment": (bytes(wild), "segment"),
        "elf-truncated": (elf[:len(elf) // 3], "outside"),
        "elf-no-notes": (no_notes, "notes"),
    }


NAMES = ("truncated", "truncated-header", "empty", "corrupt", "garbage-xz", "garbage-gzip",
         "garbage-zstd", "unknown-compression", "payload-outside", "wrong-format", "text",
         "elf-wild-segment", "elf-truncated", "elf-no-notes")


def kernel(name):
    """(path, words) of a broken kernel; all are made at once, the first time."""
    with kernels.LOCK:
        path = os.path.join(kernels.DIRECTORY, f"bad-{name}")
        made = broken_kernels() if not hasattr(kernel, "made") else kernel.made
        kernel.made = made
        data, words = made[name]
        return kernels.write(os.path.basename(path), data), words


def register_kernels():
    for name in NAMES:
        def boot(lab, name=name):
            path, words = kernel(name)
            return lab.stops(lab.pc(kernel=path), HV_LINE + f"kernel.*({words})")
        bad(f"kernel-{name}")(boot)


register_kernels()


@bad("no-module")
def no_module(lab):
    pc = lab.pc(kernel="", initrd="")
    return lab.stops(pc, HV_LINE + "no kernel.*module")


@bad("dom0-mem-beyond-memory")
def dom0_mem_beyond(lab):
    pc = lab.pc("boot", hv_args="dom0_mem=4G", memory="512M")
    return lab.stops(pc, HV_LINE + "too little memory.*dom0_mem")


@bad("dom0-mem-below-kernel")
def dom0_mem_below(lab):
    pc = lab.pc("boot", hv_args="dom0_mem=8M,max:8M", memory="1G")
    return lab.stops(pc, HV_LINE + "too little memory.*dom0_mem")


@bad("memory-too-small")
def memory_too_small(lab):
    pc = lab.pc("boot", memory="48M")
    return lab.stops(pc, HV_LINE + "too little memory")


@bad("cpu-without-long-mode")
def cpu_without_long_mode(lab):
    return lab.stops(lab.pc("boot", cpu="qemu32"), HV_LINE + "(long mode|64-bit)")


@bad("cpu-without-nx")
def cpu_without_nx(lab):
    return lab.stops(lab.pc("boot", cpu="qemu64,-nx"), HV_LINE + r"\b(nx|execute)")


def lying_tables(lab):
    """ACPI tables with bodies of nonsense: an HPET that is nowhere, a PCI window that wraps."""
    def table(name, signature, body):
        length = 36 + len(body)
        head = struct.pack("<4sIBB6s8sI4sI", signature, length, 1, 0, b"LIARS ", b"LIARTABL", 1,
                           b"LIAR", 1)
        data = bytearray(head + body)
        data[9] = -sum(data) & 0xff
        return kernels.write(f"{os.path.basename(lab.scratch)}.{name}", bytes(data))
    hpet = table("hpet", b"HPET", struct.pack("<IBBBBQBHB", 0xffffffff, 0, 255, 255, 255,
                                              0xfffffffffffff000, 255, 0xffff, 255))
    mcfg = table("mcfg", b"MCFG", bytes(8) + struct.pack("<QHBBI", 0xfffffffff0000fff, 0xffff,
                                                         255, 0, 0) + b"\x01\x02\x03")
    dmar = table("dmar", b"DMAR", struct.pack("<BB10xHH", 255, 255, 0, 0))
    return ("-acpitable", f"file={hpet}", "-acpitable", f"file={mcfg}",
            "-acpitable", f"file={dmar}")


@bad("acpi-lies", "it panics")
def acpi_lies(lab):
    """The boot goes on without what the lying tables describe."""
    return lab.boots(lab.pc("boot", machine="pc,hpet=off", extra=lying_tables(lab)))


@bad("acpi-none", "it panics")
def acpi_none(lab):
    """Without any table there may be a boot, or one line that refuses and a machine that stops."""
    with lab.session(lab.pc("halt", machine="pc,acpi=off")) as session:
        if not session.expect("^test: halting|" + HV_LINE + "ACPI", BOOT_SECONDS):
            return f"neither booted nor refused ({session.wait(0.1)})"
        session.expect("^test: halting", 40)
        return still(session)
