# SPDX-License-Identifier: MIT
"""Domain 0 under load: stress-ng over the kernel's classes, and processes at the edge of the processor.

The load is tests/system/dom0/load in build/dom0/load.img. ARGON_LOAD_SECONDS makes it longer. At the
end, with everything still there, Argon's frame audit must find no mistake.
"""

import os

import cases
import machine

IMAGE = "build/dom0/load.img"
SECONDS = int(os.environ.get("ARGON_LOAD_SECONDS", "20"))


def audit(session):
    """"" when the debug key finds every frame's owner, references and type right."""
    session.type(cases.SWITCH)
    if not session.expect(cases.HV_LINE + "(input|keys)", 20):
        return "no line says that input goes to the hypervisor"
    start = len(session.output)
    session.type("x")
    if not session.expect("frame audit: .*no mistake", 60, start):
        return "the frame audit found mistakes, or did not end"
    session.type(cases.SWITCH)
    return ""


def load(lab, seconds, **rest):
    pc = lab.pc("load", kernel_args=f"vsyscall=emulate argon.load={seconds}", initrd=IMAGE, **rest)
    with lab.session(pc) as session:
        if not session.expect(r"test: the load is over\s*\n", cases.BOOT_SECONDS + 6 * seconds):
            return "the load does not end"
        complaint = "" if machine.is_reference(lab.hv) else audit(session)
        session.type("\n")
        if not session.expect("test: verdict: pass", 30):
            return complaint or "domain 0 complains"
        ending = session.wait(30)
        return complaint or ("" if ending == machine.POWER_OFF else ending)


@cases.case("load")
def load_amd(lab):
    return load(lab, SECONDS, memory="2G")


@cases.case("processes-intel", "RDTSCP, which the vDSO reads the clock with, is #UD there on this model")
def processes_intel(lab):
    """32-bit processes enter by SYSENTER here, by SYSCALL on the other."""
    return load(lab, 0, memory="2G", cpu="Skylake-Server")
