# SPDX-License-Identifier: MIT
# The domain-0 system around the hypervisor: making it, booting it, testing it as a whole.
#
#   make run        Argon with Debian as domain 0: a shell on a terminal, else the tour
#   make xen-run    the same system on Debian's Xen
#   make iso        build/argon.iso, which boots by BIOS and by UEFI
#   make test-system
#   make test-load LOAD_SECONDS=3600
#
# run and xen-run take CPU=, MACHINE=q35|pc, MEM=, SMP=, HVARGS=, KARGS=, and ROOT=none to stay in
# the small initial ram disk. What is made here is under build/, whatever B is.

.PHONY: run xen-run iso setup dom0 test-system test-system-soak test-load

DOM0 := build/dom0

build/setup.stamp: tools/setup
	@mkdir -p build
	@tools/setup
	@touch $@

$(DOM0)/vmlinuz: tools/mkdom0 | build/setup.stamp
	@echo "  DOM0    kernel"
	@tools/mkdom0 kernel

$(DOM0)/initrd.img: tools/mkdom0 tools/dom0/init tools/dom0/modules tools/dom0/tour \
                    tools/dom0/guest $(wildcard tests/system/dom0/*) $(DOM0)/vmlinuz | build/setup.stamp
	@echo "  DOM0    initrd"
	@tools/mkdom0 initrd

$(DOM0)/load.img: $(DOM0)/initrd.img $(wildcard tests/system/programs/*.c)
	@echo "  DOM0    load"
	@tools/mkdom0 load

$(DOM0)/disk.img: tools/mkdom0 $(wildcard tools/dom0/*) $(DOM0)/initrd.img | build/setup.stamp
	@echo "  DOM0    disk (the first time takes a minute or two)"
	@tools/mkdom0 disk

$(DOM0)/mirror.img: tools/mkmirror $(DOM0)/disk.img
	@echo "  DOM0    mirror"
	@tools/mkmirror

setup: build/setup.stamp
dom0: $(DOM0)/initrd.img $(DOM0)/disk.img

RUN_OPTIONS = $(if $(CPU),--cpu $(CPU)) $(if $(MACHINE),--machine $(MACHINE)) \
              $(if $(MEM),--mem $(MEM)) $(if $(SMP),--smp $(SMP)) $(if $(ROOT),--root $(ROOT)) \
              $(if $(HVARGS),--hv-args "$(HVARGS)") $(if $(KARGS),--kernel-args "$(KARGS)")
RUN_NEEDS   = $(DOM0)/initrd.img $(if $(filter none,$(ROOT)),,$(DOM0)/disk.img)

# The compiler itself may be missing before setup, so the rest is made by a second make.
run: build/setup.stamp
	@$(MAKE) -s --no-print-directory $(B)/argon $(RUN_NEEDS)
	@tools/run --hv $(B)/argon $(RUN_OPTIONS)

xen-run: build/setup.stamp
	@$(MAKE) -s --no-print-directory $(RUN_NEEDS)
	@tools/run --hv $$(tools/xen-ref) $(RUN_OPTIONS)

$(DOM0)/root.squashfs: $(DOM0)/disk.img
	@tools/mkdom0 live

build/argon.iso: $(B)/argon $(DOM0)/initrd.img $(DOM0)/root.squashfs tools/mkiso
	@tools/mkiso $(B)/argon $@ "com1=115200,8n1 console=com1,vga $(HVARGS)" \
	    "console=tty0 console=hvc0 $(KARGS)" $(DOM0)/root.squashfs

iso: build/setup.stamp
	@$(MAKE) -s --no-print-directory build/argon.iso
	@echo "build/argon.iso: for a CD, a USB stick, or qemu-system-x86_64 -cdrom"

# The same with the long cases: `make soak`.
test-system-soak: build/setup.stamp
	@$(MAKE) -s --no-print-directory $(B)/argon dom0 guest-kernels $(DOM0)/root.squashfs \
	    $(DOM0)/mirror.img
	@tests/system/run --soak --hv $(B)/argon

# A suite for tools/tally: needs what is made, and prints "N passed, N failed" last.
test-system: build/setup.stamp
	@$(MAKE) -s --no-print-directory $(B)/argon dom0 guest-kernels $(DOM0)/root.squashfs \
	    $(DOM0)/load.img
	@tests/system/run --hv $(B)/argon

# Domain 0 under load alone, for as long as one likes.
LOAD_SECONDS := 20
test-load: build/setup.stamp
	@$(MAKE) -s --no-print-directory $(B)/argon $(DOM0)/load.img
	@ARGON_LOAD_SECONDS=$(LOAD_SECONDS) tests/system/run --hv $(B)/argon load processes-intel
