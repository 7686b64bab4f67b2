# SPDX-License-Identifier: MIT
"""Debian's toolstack as it is, in domain 0 on the disk image: the scripts of tests/system/tools say
what it does. They come on the third disk, as a tar archive, and one is started from the root shell. The
host's web server is the world that guests reach.

A script says which row of the table in docs/COMPATIBILITY.md its next steps decide; a run that comes to
its verdict writes its rows there, in the column of its hypervisor. Steps that fail on Xen are named in
tests/system/toolstack.notes. PARTS="two 'cycles 3'" in the environment chooses parts of the script
"guests"; other rows stay as they are then.
"""

import functools
import os
import re
import subprocess
import tempfile

import machine
import subcommands
import tour
from cases import HV_ARGS, Case

CASES = []
ROOT_DISK = "build/dom0/disk.img"  # domain 0's, and once more for guests
MIRROR = "build/dom0/mirror.img"  # packages, for xen-create-image
SHELL_SECONDS = 180
SCRIPT_SECONDS = 3000  # on a very busy machine; a tenth of it on an idle one
BLOCK = 512

# Time counted in instructions: the tools' own time limits do not depend on how busy the host is.
# Guests with several vCPUs take this emulator ten times as long then.
COUNTED = ("-icount", "shift=1")

NOTES = os.path.join(subcommands.HERE, "toolstack.notes")
BEGIN = "<!-- written by tests/system/toolstack.py -->"
HEAD = ["| what | Xen | Argon | test | note |", "|---|---|---|---|---|"]


def archive(path, command):
    """Writes the scripts to path, the attacks of tests/guest, and the command as a script "go", in
    whole blocks."""
    here = os.path.join(subcommands.HERE, "tools")
    with open(os.path.join(here, "lives")) as file:
        names = re.search('^attacks="([^"]*)"', file.read(), re.MULTILINE).group(1).split()
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(scratch, "go"), "w") as file:
            file.write(command)
        subprocess.run(["tar", "-cf", path, "-C", here, ".", "-C", scratch, "go", "-C",
                        os.path.join(machine.ROOT, "build", "guest"), "--transform",
                        r"s,^\(.*\.elf\),attacks/\1,"] + [name + ".elf" for name in names],
                       check=True)
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)


def rows_of(output):
    """{row: its steps that failed}, in the order in which the script came to them."""
    rows, row = {}, None
    for line in output.splitlines():
        found = re.match(r"tools: (row|FAIL): (.*)", line)
        if found and found.group(1) == "row":
            row = rows.setdefault(found.group(2), [])
        elif found and row is not None:
            row.append(found.group(2))
    return rows


def write_rows(case, rows, reference, notes, whole):
    """Puts the rows of a case into the table: this hypervisor's column, the other as it was. Rows that
    a whole run does not have any more go."""
    with subcommands.PAGE_LOCK:
        table = [re.split(r" *\| *", line)[1:-1]
                 for line in subcommands.read_page(BEGIN).splitlines() if line not in HEAD]
        known = {(row[3], row[0]): row[1:3] for row in table}
        kept = [row for row in table if row[3] != case]
        place = next((i for i, row in enumerate(table) if row[3] == case), len(kept))
        new = {} if whole else {row[0]: row for row in table if row[3] == case}
        for name, failed in rows.items():
            columns = list(known.get((case, name), ["-", "-"]))
            columns[0 if reference else 1] = "fails" if failed else "works"
            new[name] = [name, *columns, case, notes.get(name, "")]
        table = kept[:place] + list(new.values()) + kept[place:]
        subcommands.write_page(BEGIN, "\n".join(
            HEAD + [f"| {' | '.join(row)} |" for row in table]))


def judge(case, rows, reference, whole):
    """Writes the rows, and says what is wrong with them."""
    notes = subcommands.read_notes(NOTES)
    write_rows(case, rows, reference, notes, whole)
    excused = notes if reference else {}
    complaints = [f"{name}: {step}" for name, failed in rows.items() if name not in excused
                  for step in failed]
    complaints += [f"{name}: has a note, and works" for name, failed in rows.items()
                   if name in excused and not failed]
    return "\n".join(complaints)


# Xen takes an RDTSCP of a fully virtual guest for another instruction in this emulator.
PVH_CPU = "EPYC,-rdtscp"


def tools(lab, script, parts="", mib=8, extra=(), memory="2G", disks=(), kind="pv", cpu="EPYC"):
    chosen = os.environ.get("PARTS", "") if script == "guests" else ""
    disk = lab.scratch + ".tar"
    pc = machine.Machine(hv=lab.hv, hv_args=f"{HV_ARGS} dom0_mem=1G,max:1G", memory=memory,
                         kernel_args="console=hvc0 root=/dev/vda rw",
                         disks=(("virtio", ROOT_DISK), ("virtio", ROOT_DISK), ("virtio", disk)) + disks,
                         nics=("virtio-net-pci",), cpu=cpu, extra=extra)
    with tour.Server(mib << 20) as world:
        archive(disk, f"export MIB={mib} KIND={kind}\n"
                f"exec /run/{script} {world.port} {world.checksum} {chosen or parts}\n")
        return run(lab, pc, chosen)


def run(lab, pc, chosen):
    with lab.session(pc) as session:
        if not session.expect(r"root@argon[^#\n]*#", SHELL_SECONDS):
            return f"no root shell {session.errors()}".strip()
        session.type("tar -xf /dev/vdc -C /run && . /run/go\n")
        ended = session.wait_end(SCRIPT_SECONDS)
        if "tools: verdict: " not in session.output:
            return f"no verdict ({ended})"
        complaint = judge(os.path.basename(lab.scratch), rows_of(session.output),
                          machine.is_reference(lab.hv), not chosen)
        return complaint or ("" if ended == machine.POWER_OFF else ended)


def register(name, script="guests", soak=False, **rest):
    CASES.append(Case(name, functools.partial(tools, script=script, **rest), soak=soak))


register("toolstack", soak=True, extra=COUNTED)
register("toolstack-guests", parts="two ends wild busy_disks grants 'cycles 5' channel", soak=True)
register("toolstack-pvh", parts="life two saved disks networks", kind="pvh", cpu=PVH_CPU, soak=True)
register("toolstack-own-disk", parts="'own_disk 2' driver_domain", soak=True)
register("toolstack-save", script="save", soak=True)
register("toolstack-image", parts="image", disks=(("virtio", MIRROR),), soak=True)
register("toolstack-long", parts="'own_disk 10' 'cycles 100' networks grants", mib=100, memory="6G",
         soak=True)
