# SPDX-License-Identifier: MIT
"""What Debian's tools cost the hypervisor, by instructions: bench/dom0 says what is done.

QEMU's plugin bench/count.c tells the hypervisor's instructions from those of domain 0. Time goes by
instructions too, so a busy host changes little.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tools"))
import machine  # noqa: E402

ROOT_DISK = "build/dom0/disk.img"
HV_ARGS = "com1=115200,8n1 console=com1 dom0_mem=1G,max:1G"
SHELL_SECONDS = 600  # on a busy host; a tenth of it on an idle one
SCRIPT_SECONDS = 1200
BLOCK = 512


def run(*argv):
    subprocess.run(argv, check=True)


def archive(build, path):
    """All that domain 0 is given, as a tar archive in whole blocks."""
    with tempfile.TemporaryDirectory() as tree:
        run("cp", "-r", os.path.join(ROOT, "tests", "system", "tools") + "/.", tree)
        run("cp", os.path.join(HERE, "dom0"), os.path.join(tree, "bench"))
        run("cp", os.path.join(build, "guest", "bench.elf"), os.path.join(tree, "kernel.elf"))
        run("gcc", "-static", "-nostdlib", os.path.join(HERE, "mark.S"), "-o", os.path.join(tree, "mark"))
        run("tar", "-C", tree, "-cf", path, ".")
    os.truncate(path, -(-os.path.getsize(path) // BLOCK) * BLOCK)


def measure(image, build, name):
    """{operation: the hypervisor's instructions}; the console is left in build/bench/NAME.log."""
    scratch = os.path.join(build, "bench")
    os.makedirs(scratch, exist_ok=True)
    plugin, disk, marks = (os.path.join(scratch, file) for file in ("count.so", "disk.tar", "marks"))
    run("gcc", "-std=gnu11", "-O2", "-Wall", "-Werror", "-shared", "-fPIC",
        os.path.join(HERE, "count.c"), "-o", plugin)
    archive(build, disk)
    pc = machine.Machine(hv=image, hv_args=HV_ARGS, kernel_args="console=hvc0 root=/dev/vda rw",
                         disks=(("virtio", ROOT_DISK), ("virtio", ROOT_DISK), ("virtio", disk)),
                         extra=("-icount", "shift=0,sleep=off", "-plugin", f"{plugin},out={marks}"))
    log = os.path.join(scratch, f"{name}.log")
    with open(log, "w", encoding="utf-8", buffering=1) as out:
        with machine.Session(pc, echo=out.write) as session:
            if session.expect(r"root@argon[^#\n]*#", SHELL_SECONDS):
                session.type("tar -xf /dev/vdc -C /run && exec /run/bench\n")
                session.wait_end(SCRIPT_SECONDS)
            if "tools: verdict: pass" not in session.output:
                print(f"{image}: the tools have not done all, see {log}", file=sys.stderr)
            names = re.findall(r"^bench: (\S+)$", session.output, re.MULTILINE)
    with open(marks, encoding="utf-8") as text:
        counts = [int(line.split()[2]) for line in text]
    found = {name: counts[2 * i + 1] - counts[2 * i]
             for i, name in enumerate(names) if len(counts) > 2 * i + 1}
    nothing = found.pop("nothing", 0)
    return {name: count - nothing for name, count in found.items()}
