# SPDX-License-Identifier: MIT
"""Every subcommand of xl and every program of xen-utils, on Argon and on Debian's Xen.

tests/system/tools/subcommands runs them in domain 0 and prints a row for each: exit code and shape
of the output. What Xen gave is kept in tests/system/subcommands.xen. A row that differs on Argon
fails the test, unless tests/system/subcommands.notes explains it by name; and so does a note on a
row that does not differ. A run of all rows writes the table in docs/COMPATIBILITY.md. ROWS="'xl list'
xentop" in the environment chooses rows.

On the reference the same run compares with what is kept; without that file it writes it.
"""

import dataclasses
import os
import re
import subprocess
import threading

import machine
from cases import HV_ARGS, Case

CASES = []
SHELL_SECONDS = 180
SCRIPT_SECONDS = 1800
BLOCK = 512
HERE = os.path.join(machine.ROOT, "tests", "system")
RECORD = os.path.join(HERE, "subcommands.xen")
NOTES = os.path.join(HERE, "subcommands.notes")
PAGE = os.path.join(machine.ROOT, "docs", "COMPATIBILITY.md")
PAGE_LOCK = threading.Lock()
BEGIN, END = "<!-- written by tests/system/subcommands.py -->", "<!-- to here -->"
MOST_SHOWN = 12


@dataclasses.dataclass
class Row:
    """One command: "exit N" first, then the lines of its shape."""

    name: str
    lines: list

    def worked(self):
        return self.lines[:1] == ["exit 0"]


def parse(text):
    """The rows between the markers, and the names of all that the packages ship."""
    rows, shipped = [], []
    for line in text.splitlines():
        word, _, rest = line.partition(": ")
        if word == "has":
            shipped.append(rest)
        elif word == "row":
            rows.append(Row(rest, []))
        elif word == "exit" and rows:
            rows[-1].lines.append(f"exit {rest}")
        elif word == "line" and rows:
            rows[-1].lines.append(rest)
    return rows, shipped


def read_record(path):
    """The form kept in the tree: a name at the margin, its lines indented below it."""
    rows = []
    with open(path) as file:
        for line in file.read().splitlines():
            if line.startswith("    "):
                rows[-1].lines.append(line[4:])
            elif line and not line.startswith("#"):
                rows.append(Row(line, []))
    return rows


def write_record(path, rows):
    with open(path, "w") as file:
        file.write("# SPDX-License-Identifier: MIT\n"
                   "# What tests/system/tools/subcommands gives on Debian's Xen; written by\n"
                   "# tests/system/run --hv build/ref/xen subcommands, when this file is not there.\n")
        for row in rows:
            file.write("\n".join([row.name] + [f"    {line}" for line in row.lines]) + "\n")


def read_notes(path=NOTES):
    """{row: note}, from lines "row = note"."""
    notes = {}
    with open(path) as file:
        for line in file.read().splitlines():
            if line and not line.startswith("#"):
                name, _, note = line.partition(" = ")
                notes[name] = note
    return notes


def missing(rows, shipped):
    """What the packages ship and no row tries."""
    text = [row.name for row in rows]
    return [f"no row tries {name}" for name in shipped
            if not any(name == row or row.startswith((name + " ", name + ":")) for row in text)]


def difference(xen, argon):
    lines = [f"{argon.name}:"]
    lines += [f"    only on Xen:   {line}" for line in xen.lines if line not in argon.lines]
    lines += [f"    only on Argon: {line}" for line in argon.lines if line not in xen.lines]
    if len(lines) == 1:
        lines.append("    the same lines, in another order")
    return "\n".join(lines[:MOST_SHOWN])


def compare(xen, argon, notes):
    complaints = []
    kept = {row.name: row for row in xen}
    for row in argon:
        if row.name not in kept:
            complaints.append(f"{row.name}: not in {os.path.basename(RECORD)}")
        elif row.lines != kept[row.name].lines and row.name not in notes:
            complaints.append(difference(kept[row.name], row))
        elif row.lines == kept[row.name].lines and row.name in notes:
            complaints.append(f"{row.name}: has a note, and no difference")
    return complaints


def table(xen, argon, notes):
    kept = {row.name: row for row in xen}
    lines = ["| what | Xen | Argon | note |", "|---|---|---|---|"]
    for row in argon:
        reference = kept[row.name]
        same = row.lines == reference.lines
        verdicts = ["works" if one.worked() else "refuses" for one in (reference, row)]
        if same:
            verdicts[1] = "the same"
        lines.append(f"| `{row.name}` | {verdicts[0]} | {verdicts[1]} | {notes.get(row.name, '')} |")
    return "\n".join(lines)


def split_page(begin):
    """The page up to the mark, what is written by tests behind it, and the rest."""
    with open(PAGE) as file:
        before, mark, rest = file.read().partition(begin)
    text, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{PAGE} has no place for the table")
    return before + mark, text, end + after


def read_page(begin):
    return split_page(begin)[1].strip()


def write_page(begin, text):
    before, old, after = split_page(begin)
    if old.strip() != text:
        with open(PAGE, "w") as file:
            file.write(f"{before}\n\n{text}\n\n{after}")


def archive(path):
    """Writes the script to path as a tar archive, in whole blocks."""
    subprocess.run(["tar", "-C", os.path.join(HERE, "tools"), "-cf", path, "subcommands"],
                   check=True)
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)


def run(lab, arguments="", cpus=1):
    """Boots and runs the script: its rows, and the names of all that is shipped; or None."""
    disk = lab.scratch + ".tar"
    archive(disk)
    # No SVM: fully virtual guests are not compared here.
    pc = machine.Machine(hv=lab.hv, hv_args=f"{HV_ARGS} dom0_mem=1G,max:1G", cpu="EPYC,-svm", smp=cpus,
                         kernel_args="console=hvc0 root=/dev/vda rw",
                         disks=(("virtio", "build/dom0/disk.img"), ("virtio", disk)))
    with lab.session(pc) as session:
        if not session.expect(r"root@argon[^#\n]*#", SHELL_SECONDS):
            return None
        session.type("stty -echo; dmesg -n 1; tar -xf /dev/vdb -C /run && "
                     f"/run/subcommands {arguments}; poweroff -f\n")
        session.wait_end(SCRIPT_SECONDS)
        found = re.search(r"^subcommands: begin$(.*)^subcommands: end$", session.output,
                          re.MULTILINE | re.DOTALL)
        return parse(found.group(1)) if found else None


def subcommands(lab):
    names = os.environ.get("ROWS", "")
    runs = [run(lab, names)] + ([] if names else [run(lab, "--pools", cpus=2)])
    if None in runs:
        return "the script did not come to its end"
    rows = [row for result in runs for row in result[0]]
    complaints = [] if names else missing(rows, runs[0][1])
    reference = machine.is_reference(lab.hv)
    if reference and not os.path.exists(RECORD):
        write_record(RECORD, rows)
    xen = read_record(RECORD)
    notes = {} if reference else read_notes()
    complaints += compare(xen, rows, notes)
    if not reference and not names:
        with PAGE_LOCK:
            write_page(BEGIN, table(xen, rows, notes))
    return "\n".join(complaints)


# Rows in which the store has a part.
STORE_ROWS = [
    "xl list", "xl list -l", "xl uptime", "xl vcpu-set", "xl domid", "xl domname", "xl rename",
    "xl rename: taken", "xl create", "xl create: taken", "xl destroy", "xl console", "xl mem-set",
    "xl mem-max", "xl sysrq", "xl block-attach", "xl block-list", "xl block-detach",
    "xl network-attach", "xl network-list", "xl network-detach", "xentop", "xenstore-ls",
    "xenstore-write", "xenstore-read", "xenstore-read: nothing", "xenstore-list", "xenstore-exists",
    "xenstore-chmod", "xenstore-watch", "xenstore-rm", "test-xenstore", "xl reboot", "xl shutdown",
    "xl destroy last",
]


def c_xenstored(lab):
    """The same with the store daemon in C, which maps the rings of guests by grants."""
    result = run(lab, "--store /usr/lib/xen-4.17/bin/xenstored " +
                 " ".join(f"'{name}'" for name in STORE_ROWS))
    if result is None:
        return "the script did not come to its end"
    if not re.search("^subcommands: the store is xenstored", lab.output, re.MULTILINE):
        return "the store daemon is another"
    notes = {} if machine.is_reference(lab.hv) else read_notes()
    return "\n".join(compare(read_record(RECORD), result[0], notes))


CASES.append(Case("subcommands", subcommands, soak=True))
CASES.append(Case("subcommands-xenstored", c_xenstored))
