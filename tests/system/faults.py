# SPDX-License-Identifier: MIT
"""Argon's own faults: NMIs at random moments, in domain 0, in hypercalls and in Argon itself, and
machine checks. The emulator's monitor injects them, once Argon has its descriptor tables.
"""

import random
import re
import time

import cases
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
