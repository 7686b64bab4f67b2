# SPDX-License-Identifier: MIT
"""Argon's own faults: NMIs at random moments, in domain 0, in hypercalls and in Argon itself, machine
checks, and stacks that overflow. The emulator's monitor injects them, or its debugger moves the
stack pointer, once Argon has its descriptor tables.
"""

import os
import random
import re
import subprocess
import time

import cases
import gdb
import machine

READY = "domain 0: kernel"  # Argon has everything; domain 0's kernel is being unpacked
XEN_NMI = "gives NMIs to domain 0, whose kernel complains"


def storm(session, seconds):
    """NMIs at random moments until the machine stops; how many."""
    chance = random.Random(7)
    deadline = time.monotonic() + seconds
    count = 0
    while session.wait(chance.random() * 0.05) == machine.RUNNING and time.monotonic() < deadline:
        session.monitor("nmi")
        count += 1
    return count


def nmi(lab, **rest):
    with lab.session(lab.pc("boot", **rest)) as session:
        if not session.expect(READY, cases.BOOT_SECONDS):
            return "Argon does not come up"
        count = storm(session, cases.BOOT_SECONDS)
        ending = session.wait(0.5)
        told = len(re.findall("NMI without a known cause", session.output))
        if count < 30 or told < count // 4:
            return f"{count} NMIs, {told} arrived"
        if not re.search("test: verdict: pass", session.output):
            return f"domain 0 does not pass ({ending}) {session.errors()}"
        return "" if ending == machine.POWER_OFF else ending


@cases.case("nmi-storm", XEN_NMI)
def nmi_storm(lab):
    return nmi(lab)


@cases.case("nmi-storm-smp", XEN_NMI)
def nmi_storm_smp(lab):
    """With hidden page tables: the entry from a guest has most to do then."""
    return nmi(lab, smp=2, hv_args="xpti=yes")


@cases.case("machine-check")
def machine_check(lab):
    """An uncorrected error ends the machine, with a report."""
    with lab.session(lab.pc("console")) as session:
        if not session.expect("test: type a line", cases.BOOT_SECONDS):
            return "domain 0 did not start"
        session.monitor("mce 0 1 0xbe00000000000000 7 0x1000 0x8c")
        if not session.expect("machine check", 20):
            return "nothing is said of a machine check"
        return ""


NOT_XEN = "its symbols and stacks are its own"
BLOCK, PAGE = 16 * 4096, 4096  # hw/cpu_local.h
PRIMARY, NMI = 12, 1  # the first pages of these stacks in a CPU's block


def symbol(hv, name):
    """Address of a function of the image."""
    listing = subprocess.run(["nm", f"{hv}.elf"], check=True, capture_output=True, text=True).stdout
    return int(re.search(rf"^([0-9a-f]+) . {name}$", listing, re.MULTILINE).group(1), 16)


def overflow(lab, function, page, name, inject="", **rest):
    """When `function` is called the stack pointer goes to the end of its stack: the next calls run
    over it, into the page without memory below. The report must say so, and show where it was."""
    path = os.path.abspath(f"{lab.scratch}.gdb")
    if os.path.exists(path):
        os.unlink(path)
    with lab.session(lab.pc("console", extra=gdb.Stub.options(path), **rest)) as session:
        if not session.expect("test: type a line", cases.BOOT_SECONDS):
            return "domain 0 did not start"
        with gdb.Stub(path) as stub:
            if inject:
                session.monitor(inject)
            stub.go_to(symbol(lab.hv, function))
            rsp = stub.register(gdb.RSP)
            if rsp % BLOCK // PAGE < page:
                return f"the stack pointer {rsp:x} is below the {name} stack already"
            stub.set_register(gdb.RSP, rsp - rsp % BLOCK + page * PAGE + 8)
            stub.leave()
        complaint = cases.still(session, 20)
        return complaint or cases.said(session, f"Panic on CPU .*the {name} stack overflowed")


@cases.case("stack-overflow", NOT_XEN)
def stack_overflow(lab):
    return overflow(lab, "trap_interrupt", PRIMARY, "primary")


@cases.case("stack-overflow-smp", NOT_XEN)
def stack_overflow_smp(lab):
    """That of NMIs, with hidden page tables, on whichever of two CPUs takes it."""
    return overflow(lab, "trap_nmi", NMI, "NMI", inject="nmi", smp=2, hv_args="xpti=yes")
