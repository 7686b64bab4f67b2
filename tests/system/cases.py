# SPDX-License-Identifier: MIT
"""The system tests in which domain 0 comes up: the matrix, how it ends, consoles, kernels, images.

A case is a function that takes a Lab and returns "" (pass) or what was wrong. All boot the small
initial ram disk, whose scripts are in tests/system/dom0/.
"""

import dataclasses
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
import typing

import kernels
import machine
import tour

BOOT_SECONDS = 180
HV_ARGS = "com1=115200,8n1 console=com1,vga loglvl=all guest_loglvl=all"

# The start of a line that the hypervisor itself wrote.
HV_LINE = r"^\(?(argon|xen)\)?:? .*"
LAST_LINES = 60  # a message with its registers, page-table walk and stack


@dataclasses.dataclass
class Case:
    name: str
    function: typing.Callable
    not_on_xen: str = ""  # why the reference does not take it
    soak: bool = False  # long: only by name, or with --soak


CASES = []


def case(name, not_on_xen="", soak=False):
    def register(function):
        CASES.append(Case(name, function, not_on_xen, soak))
        return function
    return register


class Lab:
    """What a case works with: the hypervisor under test, a scratch path, and the output so far, which
    is also in a file."""

    def __init__(self, hv, scratch):
        self.hv = hv
        self.scratch = scratch  # prefix for files of this case
        self.output = ""
        self._log = open(scratch + ".log", "w", buffering=1)

    def echo(self, text):
        self.output += text
        self._log.write(text)

    def pc(self, test="", hv_args="", kernel_args="", modules=False, **rest):
        """A Machine that runs one test script; without kernel modules unless asked for."""
        words = ["console=hvc0", kernel_args]
        if test:
            words.append(f"argon.test={test}")
        if not modules:
            words.append("argon.modules=no")
        return machine.Machine(hv=self.hv, hv_args=f"{HV_ARGS} {hv_args}",
                               kernel_args=" ".join(word for word in words if word), **rest)

    def session(self, pc):
        return machine.Session(pc, echo=self.echo)

    def boots(self, pc, expected="test: verdict: pass", ending=machine.POWER_OFF):
        """Boots pc to its end: the expected text must appear, and the machine must end so."""
        with self.session(pc) as session:
            ended = session.wait_end(BOOT_SECONDS)
            if not re.search(expected, session.output, re.MULTILINE | re.IGNORECASE):
                return f"no '{expected}' ({ended}) {session.errors()}".strip()
            return "" if ended == ending else f"{ended}, expected: {ending}"

    def stops(self, pc, expected, seconds=BOOT_SECONDS):
        """Boots pc: it must come to stand still, not reset, with a line that matches expected."""
        with self.session(pc) as session:
            return still(session, seconds) or said(session, expected)


def said(session, expected):
    """"" when one of the last lines matches."""
    last = "\n".join(session.output.splitlines()[-LAST_LINES:])
    found = re.search(expected, last, re.MULTILINE | re.IGNORECASE)
    return "" if found else f"no line '{expected}' {session.errors()}".strip()


def still(session, seconds=10):
    """"" when the machine, within some seconds, has stopped for good, and is not reset."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ending = session.wait(0.5)
        if ending != machine.RUNNING:
            return f"{ending}, expected: standing still"
        if session.halted():
            before = len(session.output)
            ending = session.wait(2)
            if ending != machine.RUNNING:
                return f"{ending}, expected: standing still"
            if session.halted() and len(session.output) == before:
                return ""
    return "the processor has not halted"


# --- The matrix: the tour on each kind of processor, machine and memory size ----------------------

MATRIX = [
    ("qemu64", "q35", "512M"), ("qemu64", "pc", "2G"),
    ("Nehalem", "q35", "2G"), ("Nehalem", "pc", "8G"),
    ("EPYC", "q35", "8G"), ("EPYC", "pc", "512M"),
    ("Skylake-Server", "q35", "512M"), ("Skylake-Server", "pc", "2G"),
    ("max", "q35", "2G"), ("max", "pc", "8G"),
]


def register_matrix():
    for cpu, board, memory in MATRIX:
        def take(lab, cpu=cpu, board=board, memory=memory):
            pc = lab.pc(modules=True, cpu=cpu, machine=board, memory=memory)
            return tour.take(pc, BOOT_SECONDS, echo=lab.echo)
        CASES.append(Case(f"tour-{cpu}-{board}-{memory}", take))


register_matrix()


@case("boot-16G")
def boot_16g(lab):
    pc = lab.pc("boot", memory="16G")
    return lab.boots(pc) or memory_of(lab, 14 << 20, 16 << 20)


def memory_of(lab, low, high):
    """"" when the KiB that domain 0 saw are between low and high."""
    found = re.search(r"^memory: (\d+) KiB", lab.output, re.MULTILINE)
    kib = int(found.group(1)) if found else 0
    return "" if low <= kib <= high else f"domain 0 has {kib} KiB, expected {low} to {high}"


@case("boot-dom0-mem")
def boot_dom0_mem(lab):
    pc = lab.pc("boot", hv_args="dom0_mem=600M,max:600M", memory="4G")
    return lab.boots(pc) or memory_of(lab, 420 << 10, 600 << 10)


@case("boot-unknown-options")
def boot_unknown_options(lab):
    words = "frobnicate=3 dom0_max_vcpus=banana dom0_mem=oops maxcpus= -- argon.word=moved"
    complaint = lab.boots(lab.pc("boot", hv_args=words))
    if complaint or machine.is_reference(lab.hv):
        return complaint
    for word in ("frobnicate", "dom0_max_vcpus", "dom0_mem"):
        if not re.search(HV_LINE + word, lab.output, re.MULTILINE | re.IGNORECASE):
            return f"no line names {word}"
    if not re.search(r"^command line: .*argon\.word=moved", lab.output, re.MULTILINE):
        return "what stands after -- is not on domain 0's command line"
    return ""


@case("boot-spec-ctrl-off")
def boot_spec_ctrl_off(lab):
    return lab.boots(lab.pc("boot", hv_args="spec-ctrl=no", cpu="Skylake-Server"))


# Each processor works for domain 0, leaves it and comes back.
for number in (2, 4):
    case(f"boot-smp-{number}")(
        lambda lab, number=number:
        lab.boots(lab.pc("cpus", smp=number, kernel_args=f"argon.cpus={number}")))


# --- How it ends ----------------------------------------------------------------------------------


@case("end-reboot")
def end_reboot(lab):
    return lab.boots(lab.pc("reboot"), "^test: rebooting", machine.RESET)


@case("end-halt")
def end_halt(lab):
    return lab.stops(lab.pc("halt"), HV_LINE + "halt")


@case("end-crash")
def end_crash(lab):
    pc = lab.pc("crash", kernel_args="xen_legacy_crash")
    return lab.boots(pc, HV_LINE + "crash", machine.RESET) or crash_report(lab)


@case("end-crash-noreboot")
def end_crash_noreboot(lab):
    pc = lab.pc("crash", hv_args="noreboot", kernel_args="xen_legacy_crash")
    return lab.stops(pc, HV_LINE + "crash") or crash_report(lab)


def crash_report(lab):
    """Domain 0 crashed when it was told to, and Argon shows its registers."""
    if "test: crashing" not in lab.output:
        return "it crashed before its time"
    if machine.is_reference(lab.hv):
        return ""
    own = "\n".join(line for line in lab.output.splitlines()
                    if re.match(HV_LINE, line, re.IGNORECASE))
    missing = [word for word in ("rip", "rsp", "cr3") if word not in own.lower()]
    return f"the crash report lacks {', '.join(missing)}" if missing else ""


# --- Consoles and keyboard ------------------------------------------------------------------------

SWITCH = "\x01\x01\x01"


@case("console-input")
def console_input(lab):
    with lab.session(lab.pc("console")) as session:
        for word in ("first line", "second"):
            start = len(session.output)
            prompt = "test: type a line" if word == "first line" else "test: domain 0 read"
            if not session.expect(prompt, BOOT_SECONDS):
                return f"no '{prompt}'"
            session.type(word + "\n")
            if not session.expect(f"test: domain 0 read '{word}'", 20, start):
                return f"domain 0 did not read '{word}'"
        ending = session.wait(30)
        return "" if ending == machine.POWER_OFF else ending


@case("console-paste", not_on_xen="keeps 128 characters of what domain 0 has not read yet")
def console_paste(lab):
    """More than domain 0 takes at once, typed at once."""
    with lab.session(lab.pc("console")) as session:
        if not session.expect("test: type a line", BOOT_SECONDS):
            return "domain 0 did not start"
        session.type("pasted " * 200 + "end\n")
        if not session.expect("test: domain 0 read '(pasted ){200}end'", 20):
            return "of what was pasted something is lost"
        session.type("end\n")
        ending = session.wait(30)
        return "" if ending == machine.POWER_OFF else ending


@case("console-debug-keys")
def console_debug_keys(lab):
    with lab.session(lab.pc("console")) as session:
        if not session.expect(r"test: type a line\s*\n", BOOT_SECONDS):
            return "domain 0 did not start"
        session.type(SWITCH)
        if not session.expect(HV_LINE + "(input|keys)", 10):
            return "no line says that input goes to the hypervisor"
        start = len(session.output)
        session.type("h")
        if not session.expect(r"key.*(?:\n.*){8}", 10, start):
            return "the key h lists no keys"
        for key in "*" if machine.is_reference(lab.hv) else listed_keys(session.output[start:]):
            start = len(session.output)
            session.type(key)
            if not session.expect(HV_LINE, 20, start):
                return f"the key {key} shows nothing"
            time.sleep(1)
        if re.search("frame audit: (?!.*no mistake)", session.output):
            return "the audit found mistakes, or could not run"
        session.type(SWITCH)
        if not session.expect(HV_LINE + "(input|dom)", 10, len(session.output) - 1):
            time.sleep(1)
        session.type("back\nend\n")
        if not session.expect("test: domain 0 read 'back'", 30):
            return "after switching back, domain 0 does not read what is typed"
        ending = session.wait(30)
        return "" if ending == machine.POWER_OFF else ending


def listed_keys(text):
    """The keys that the list of h shows, but for those that end the run."""
    keys = re.findall(r"^\(Argon\)\s+'?([a-zA-Z0-9*])'?[ :]+(.*)$", text, re.MULTILINE)
    return [key for key, purpose in keys
            if not re.search("reboot|restart|panic|crash|reset|halt", purpose, re.IGNORECASE)]


@case("keyboard-usb")
def keyboard_usb(lab):
    pc = lab.pc("keyboard", modules=True, keyboard=True)
    with lab.session(pc) as session:
        if not session.expect("test: press a key", BOOT_SECONDS):
            return "domain 0 did not start"
        for _ in range(10):
            session.monitor("sendkey a")
            if session.expect("test: the key arrived", 2):
                ending = session.wait(30)
                return "" if ending == machine.POWER_OFF else ending
        return "the key did not arrive"


@case("console-vga")
def console_vga(lab):
    """Text reaches the VGA screen: read from its memory after a stop."""
    pc = lab.pc("halt", hv_args="console=vga,com1")
    picture = os.path.abspath(lab.scratch + ".vga")
    with lab.session(pc) as session:
        lit = 0
        for _ in range(BOOT_SECONDS):
            if session.wait(1) != machine.RUNNING:
                return "the machine did not stay up"
            session.monitor(f'pmemsave 0xb8000 4000 "{picture}"')
            if os.path.exists(picture):
                with open(picture, "rb") as file:
                    screen = file.read()[::2].decode("latin-1")
                name = "Xen" if machine.is_reference(lab.hv) else "Argon"
                lit = max(lit, screen.count(name))
                if lit:
                    return ""
            if "test: halting" in session.output:
                break
        return "the hypervisor's name was never on the text screen"


# --- Kernels and initial ram disks ----------------------------------------------------------------


def register_kernels():
    for form in kernels.FORMS:
        def boot(lab, form=form):
            return lab.boots(lab.pc("boot", kernel=kernels.make(form)))
        CASES.append(Case(f"kernel-{form}", boot))


register_kernels()


@case("initrd-large")
def initrd_large(lab):
    pc = lab.pc("initrd", initrd=kernels.large_initrd(), memory="2G")
    return lab.boots(pc, "test: large is whole")


@case("initrd-none")
def initrd_none(lab):
    """Without a ram disk the kernel finds no root and says so; the hypervisor reports the end."""
    pc = lab.pc(initrd="", kernel_args="xen_legacy_crash")
    return lab.boots(pc, "unable to mount root", machine.RESET)


# --- The command itself, on Debian's root file system ----------------------------------------------


@case("run-tour")
def run_tour(lab):
    """tools/run without a terminal: the tour on Debian, and exit code 0."""
    done = subprocess.run(["tools/run", "--hv", lab.hv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lab.echo(done.stdout.decode("utf-8", "replace"))
    return "" if done.returncode == 0 else f"tools/run ended with exit code {done.returncode}"


@case("run-terminal")
def run_terminal(lab):
    """tools/run on a terminal: a root shell of Debian, on which poweroff ends it with code 0."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["tools/run", "--hv", lab.hv], stdin=theirs, stdout=theirs,
                               stderr=theirs, start_new_session=True)
    os.close(theirs)
    script = [(r"root@argon:~# ?$", "echo I am $(id -un) on $(uname -s)\n"),
              ("I am root on Linux", "poweroff\n")]
    try:
        deadline = time.monotonic() + BOOT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                try:
                    lab.echo(os.read(ours, 65536).decode("utf-8", "replace").replace("\r", ""))
                except OSError:  # the terminal has closed
                    break
            if script and re.search(script[0][0], lab.output):
                os.write(ours, script.pop(0)[1].encode())
        code = process.wait(max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"it did not end; still to type: {[text for _, text in script]}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        os.close(ours)
    return "" if code == 0 and not script else f"exit code {code}, not typed: {script}"


# --- Through GRUB ---------------------------------------------------------------------------------

ISO_LOCK = threading.Lock()


def iso(lab, test):
    """A GRUB image that runs a test script, or with "live" a Debian; once for each hypervisor."""
    path = f"build/system/{test}-{os.path.basename(lab.hv)}.iso"
    root = "build/dom0/root.squashfs"
    sources = [lab.hv, "build/dom0/initrd.img", "build/dom0/vmlinuz", "tools/mkiso", root]
    words = "console=tty0 console=hvc0 " + (f"argon.test={test}" if test != "live" else "")
    with ISO_LOCK:
        if not os.path.exists(path) or any(os.path.getmtime(source) > os.path.getmtime(path)
                                           for source in sources):
            subprocess.run(["tools/mkiso", lab.hv, path, HV_ARGS, words] +
                           ([root] if test == "live" else []), check=True)
    return path


@case("iso-bios")
def iso_bios(lab):
    return lab.boots(lab.pc(cdrom=iso(lab, "boot"))) or placeholder(lab)


@case("iso-uefi")
def iso_uefi(lab):
    return lab.boots(lab.pc(cdrom=iso(lab, "boot"), uefi=True)) or placeholder(lab)


@case("iso-uefi-stick-pc")
def iso_uefi_stick(lab):
    return lab.boots(lab.pc(cdrom=iso(lab, "boot"), stick=True, uefi=True, machine="pc",
                            cpu="qemu64"))


@case("iso-live-bios")
def iso_live_bios(lab):
    return live(lab, lab.pc(cdrom=iso(lab, "live")))


@case("iso-live-uefi-stick")
def iso_live_uefi_stick(lab):
    return live(lab, lab.pc(cdrom=iso(lab, "live"), stick=True, uefi=True))


def live(lab, pc):
    """Debian comes up from the boot image, to a root shell that can write."""
    with lab.session(pc) as session:
        if not session.expect("root@argon:~# ?", BOOT_SECONDS):
            return "no shell"
        session.type("echo live > /etc/test && cat /etc/test && findmnt -n -o FSTYPE / \n")
        if not session.expect("^overlay", 30):
            return "the shell does not work"
        session.type("poweroff\n")
        ending = session.wait(90)
        return "" if ending == machine.POWER_OFF else ending


def placeholder(lab):
    """GRUB's word stays the first of domain 0's command line."""
    found = re.search(r"^command line: placeholder ", lab.output, re.MULTILINE)
    return "" if found else "domain 0's command line does not begin with 'placeholder'"
