# SPDX-License-Identifier: MIT
"""How guests share processors: weights, caps and the time from waking to running, counted in
instructions; vCPUs that are pinned while processors go and come; 64 vCPUs. The scripts shares and vcpus
of tests/system/tools do it. tools/measure-sched makes a table of what "shares" measures.
"""

import functools
import os
import subprocess
import threading

import machine
import subcommands
from cases import HV_ARGS, Case
from toolstack import BLOCK, COUNTED, ROOT_DISK, SCRIPT_SECONDS

CASES = []
ARCHIVE_LOCK = threading.Lock()


def archive(path, program):
    """Writes the scripts and the program, compiled for any guest, to path."""
    binary = os.path.join("build", "system", program)
    subprocess.run(["gcc", "-O1", "-static", "-std=gnu11", "-Wall", "-Werror",
                    f"tests/system/programs/{program}.c", "-o", binary], check=True)
    subprocess.run(["tar", "-cf", path, "-C", os.path.join(subcommands.HERE, "tools"), ".",
                    "-C", os.path.join(machine.ROOT, "build", "system"), program], check=True)
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)


def script(lab, name, extra=(), smp=1, hv_args=""):
    disk = lab.scratch + ".tar"
    with ARCHIVE_LOCK:
        archive(disk, "wake")
    pc = machine.Machine(hv=lab.hv, hv_args=f"{HV_ARGS} dom0_mem=1G,max:1G {hv_args}",
                         kernel_args="console=hvc0 root=/dev/vda rw",
                         disks=(("virtio", ROOT_DISK), ("virtio", disk)), extra=extra, smp=smp)
    with lab.session(pc) as session:
        if not session.expect(r"root@argon[^#\n]*#", SCRIPT_SECONDS):
            return f"no root shell {session.errors()}".strip()
        session.type(f"tar -xf /dev/vdb -C /run && exec /run/{name}\n")
        ended = session.wait_end(SCRIPT_SECONDS)
        failed = [line for line in session.output.splitlines() if "tools: FAIL" in line]
        if failed or "tools: verdict: pass" not in session.output:
            return "\n".join(failed) or f"no verdict ({ended})"
        return "" if ended == machine.POWER_OFF else ended


def shares(lab):
    return script(lab, "shares", extra=COUNTED)


CASES.append(Case("shares", shares, soak=True))
CASES.append(Case("vcpus", functools.partial(script, name="vcpus", smp=2), soak=True))
