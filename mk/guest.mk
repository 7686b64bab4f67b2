# SPDX-License-Identifier: MIT
# Small PV kernels of ours that boot as domain 0 (tests/guest), and the benchmark kernel (bench).
# guest-kernels builds them, test-guest runs them on Argon, test-guest-xen on Debian's Xen as well,
# bench prints the table of both.

GUEST_CFLAGS := -std=gnu11 -g -O2 -MMD -MP -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla \
                -Wno-unused-parameter -Werror -Itests/guest -ffreestanding -fno-pic -fno-pie \
                -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
                -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing \
                -D__XEN_INTERFACE_VERSION__=0x00040e00 -D__XEN_TOOLS__
GUEST_LIB_O  := $(patsubst tests/guest/lib/%,$(B)/guest/lib/%.o,$(filter-out tests/guest/lib/notes_%, \
                $(wildcard tests/guest/lib/*.c tests/guest/lib/*.S)))
GUEST_TESTS  := $(patsubst tests/guest/%.c,$(B)/guest/%.elf,$(wildcard tests/guest/*.c))
BENCHES      := $(addprefix $(B)/guest/,bench.elf domains.elf hvm/bench.elf)
GUEST_LINK    = ld -m elf_x86_64 -static -nostdlib -z max-page-size=4096 --no-warn-rwx-segments \
                -T tests/guest/lib/link.ld -o $@ $(filter %.o,$^)

# Fully virtual kernels (tests/guest/hvm) share the console and the verdicts with the others.
GUEST_HVM_CFLAGS := $(filter-out -mcmodel=kernel,$(GUEST_CFLAGS)) -mcmodel=small -DGUEST_HVM
GUEST_HVM_LIB_O  := $(addprefix $(B)/guest/hvm/lib/,console.o result.o hvm.o start.o)
GUEST_HVM_TESTS  := $(patsubst tests/guest/hvm/%.c,$(B)/guest/hvm/%.elf,$(wildcard tests/guest/hvm/*.c))

# Variants of the ELF notes: a test that needs one is named here.
$(B)/guest/start_hcpage.elf: $(B)/guest/lib/notes_hcpage.S.o
$(B)/guest/start_p2m.elf: $(B)/guest/lib/notes_p2m.S.o

.PHONY: guest-kernels test-guest test-guest-xen bench
.SECONDARY:

guest-kernels: $(GUEST_TESTS) $(GUEST_HVM_TESTS) $(BENCHES)

$(B)/guest/hvm/bench.o: bench/hvm.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_HVM_CFLAGS) -c $< -o $@

$(B)/guest/hvm/lib/%.o: tests/guest/lib/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_HVM_CFLAGS) -c $< -o $@

$(B)/guest/hvm/lib/%.o: tests/guest/hvm/lib/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_HVM_CFLAGS) -c $< -o $@

$(B)/guest/hvm/lib/%.o: tests/guest/hvm/lib/%.S
	@mkdir -p $(@D)
	$(CC) $(GUEST_HVM_CFLAGS) -D__ASSEMBLY__ -c $< -o $@

$(B)/guest/hvm/%.o: tests/guest/hvm/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_HVM_CFLAGS) -c $< -o $@

$(B)/guest/hvm/%.elf: $(B)/guest/hvm/%.o $(GUEST_HVM_LIB_O) tests/guest/hvm/lib/link.ld
	ld -m elf_x86_64 -static -nostdlib -z max-page-size=4096 --no-warn-rwx-segments \
	    -T tests/guest/hvm/lib/link.ld -o $@ $(filter %.o,$^)

$(B)/guest/%.c.o: tests/guest/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(B)/guest/lib/%.S.o: tests/guest/lib/%.S
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -D__ASSEMBLY__ -c $< -o $@

$(B)/guest/bench.c.o $(B)/guest/domains.c.o: $(B)/guest/%.c.o: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(B)/guest/%.elf: $(B)/guest/%.c.o $(GUEST_LIB_O) tests/guest/lib/link.ld
	$(GUEST_LINK)

test-guest: $(B)/argon guest-kernels
	tests/guest/run --build $(B) --hv argon

test-guest-xen: $(B)/argon guest-kernels
	tests/guest/run --build $(B) --hv both

bench: $(B)/argon $(BENCHES) $(B)/dom0/disk.img
	bench/run --build $(B)
