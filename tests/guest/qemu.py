# SPDX-License-Identifier: MIT
"""Boots a small PV kernel as domain 0 in QEMU and reads its serial line until something final.

Shared by tests/guest/run and bench/run. QEMU is ended as soon as the last line is seen, so the guest's
way of leaving the machine does not matter; a machine that says nothing final runs into the timeout.
"""
import os
import re
import selectors
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACHINE = ["-M", "q35", "-m", "512M", "-accel", "tcg", "-nographic", "-no-reboot"]
# Time goes by executed instructions, eight nanoseconds each, so a busy host changes nothing.
STEADY = ["-icount", "shift=3,sleep=off"]
CPU = "EPYC,-smap,-smep,-monitor"
OPTIONS = "com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all cpuidle=0"
CRASHED = re.compile(r"\bdom(ain)? ?0\b.*\bcrash", re.IGNORECASE)
PANIC = re.compile(r"\bpanic\b", re.IGNORECASE)


def hypervisor(name, build):
    """Path of the image of 'argon' or 'xen'; fetches the reference when it is not there yet."""
    if name == "argon":
        return os.path.join(build, "argon")
    out = subprocess.run([os.path.join(ROOT, "tools", "xen-ref")], check=True,
                         stdout=subprocess.PIPE, text=True)
    return out.stdout.strip().splitlines()[-1]


def boot(image, kernel, final, timeout, extra=(), options="", cpu=CPU):
    """Run until a line matches one of the patterns in final, QEMU ends, or timeout seconds pass.

    Returns the console text and why it ended: 'final', 'exit' or 'timeout'.
    """
    command = ["qemu-system-x86_64", *MACHINE, "-cpu", cpu, *extra, "-kernel", image,
               "-append", f"{OPTIONS} {options}".strip(), "-initrd", kernel]
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    os.set_blocking(qemu.stdout.fileno(), False)
    deadline = time.monotonic() + timeout
    text, checked, ended = "", 0, "timeout"
    with selectors.DefaultSelector() as selector:
        selector.register(qemu.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            data = qemu.stdout.read()
            if not data:
                ended = "exit"
                break
            text += data.decode("utf-8", "replace").replace("\r", "")
            whole = text.rfind("\n") + 1
            if any(p.search(line) for line in text[checked:whole].splitlines() for p in final):
                ended = "final"
                break
            checked = whole
    qemu.kill()
    qemu.wait()
    qemu.stdout.close()
    return text, ended
