# SPDX-License-Identifier: MIT
"""Debian's toolstack as it is, in domain 0 on the disk image: the scripts of tests/system/tools say
what it does. They come on the third disk, as a tar archive, and one is started from the root shell. The
host's web server is the world that guests reach.
"""

import functools
import os
import subprocess

import machine
import tour
from cases import HV_ARGS, Case

CASES = []
ROOT_DISK = "build/dom0/disk.img"  # domain 0's, and once more for guests
SHELL_SECONDS = 180
SCRIPT_SECONDS = 1500  # on a busy machine; a tenth of it on an idle one
BLOCK = 512

# Time counted in instructions: the tools' own time limits do not depend on how busy the host is.
# Guests with several vCPUs take this emulator ten times as long then.
COUNTED = ("-icount", "shift=1")


def archive(path):
    """Writes the scripts to path, in whole blocks."""
    here = os.path.join(machine.ROOT, "tests", "system", "tools")
    subprocess.run(["tar", "-C", here, "-cf", path, "."], check=True)
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)


def tools(lab, script, extra=()):
    disk = lab.scratch + ".tar"
    archive(disk)
    pc = machine.Machine(hv=lab.hv, hv_args=f"{HV_ARGS} dom0_mem=1G,max:1G",
                         kernel_args="console=hvc0 root=/dev/vda rw",
                         disks=(("virtio", ROOT_DISK), ("virtio", ROOT_DISK), ("virtio", disk)),
                         nics=("virtio-net-pci",), extra=extra)
    with tour.Server() as world, lab.session(pc) as session:
        if not session.expect(r"root@argon[^#\n]*#", SHELL_SECONDS):
            return f"no root shell {session.errors()}".strip()
        facts = f"{world.port} {world.checksum}"
        session.type(f"tar -xf /dev/vdc -C /run && exec /run/{script} {facts}\n")
        ended = session.wait_end(SCRIPT_SECONDS)
        failed = [line for line in session.output.splitlines() if "tools: FAIL" in line]
        if failed or "tools: verdict: pass" not in session.output:
            return "\n".join(failed) or f"no verdict ({ended})"
        return "" if ended == machine.POWER_OFF else ended


CASES.append(Case("toolstack", functools.partial(tools, script="guests", extra=COUNTED),
                  soak=True))
CASES.append(Case("toolstack-save", functools.partial(tools, script="save"), soak=True))
