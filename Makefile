# SPDX-License-Identifier: MIT
# Argon. `make run` boots Debian as domain 0, `make test` runs every test. See README.md.

.DEFAULT_GOAL := all
B := build
V ?= 0
Q := $(if $(filter 0,$(V)),@) # V=1 shows the commands

CC      := gcc
WARN    := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef \
           -Wno-unused-parameter -Werror
INCLUDE := -Isrc -D__XEN_TOOLS__ -include lib/types.h
COMMON  := -std=gnu11 -g -MMD -MP $(WARN) -fno-strict-aliasing -fno-common

# The hypervisor: freestanding, linked at a fixed address outside the top 2 GiB (which belongs to
# the guest kernel), so compiled position independent and with hidden symbols. No frame of a function
# may step over the guard below a stack (hw/cpu_local.h).
HV_CFLAGS := $(COMMON) -O2 $(INCLUDE) -ffreestanding -fpie -fvisibility=hidden \
             -mno-red-zone -mgeneral-regs-only -mpreferred-stack-boundary=3 -fno-stack-protector \
             -fno-asynchronous-unwind-tables -fcf-protection=none -fno-omit-frame-pointer \
             -mindirect-branch=thunk-extern -mindirect-branch-register \
             -mfunction-return=thunk-extern -ffunction-sections -Wframe-larger-than=3072

# The same sources as an ordinary process: tests/host stands in for the instructions of src/hw/.
HOST_CFLAGS := $(COMMON) -O1 -DARGON_HOST -Itests/host $(INCLUDE) \
               -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

HV_C   := $(wildcard src/*/*.c)
HV_S   := $(wildcard src/*/*.S)
HV_O   := $(HV_C:src/%.c=$(B)/hv/%.o) $(HV_S:src/%.S=$(B)/hv/%.S.o)

# What needs the real machine stays out of the host library; see tests/host/README.
HOST_SKIP := $(wildcard src/hw/*.c) $(file < tests/host/skip)
HOST_C    := $(filter-out $(HOST_SKIP),$(HV_C)) $(wildcard tests/host/*.c)
HOST_O    := $(patsubst %.c,$(B)/host/%.o,$(HOST_C))

UNIT_C   := $(wildcard tests/unit/*.c)
UNIT_BIN := $(UNIT_C:tests/unit/%.c=$(B)/unit/%)

.PHONY: all clean soak test unit
all: $(B)/argon.gz

-include $(wildcard mk/*.mk)

$(B)/hv/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -c $< -o $@

$(B)/host/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -c $< -o $@

$(B)/host/libargon.a: $(HOST_O)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/unit/%: $(B)/host/tests/unit/%.o $(B)/host/libargon.a
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined $< -Wl,--start-group $(B)/host/libargon.a -Wl,--end-group \
	    -lcmocka -o $@

unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do $$t; done

# How what tests need is built.
J := -j$(shell nproc)

# Every test there is, in order of price; the last line is the total.
test: build/setup.stamp
	@tools/tally "$(MAKE) check" "$(MAKE) $(J) sim" \
	    "$(MAKE) $(J) mutants-short" "$(MAKE) $(J) fuzz-short" "$(MAKE) $(J) test-guest-xen" \
	    "$(MAKE) test-system"

# The long form of what runs in the host process, and an hour of domain 0 under load; with a report:
# hours. SOAK_BULK calls by each of two worlds: a billion.
SOAK_CALLS  := 20000000
SOAK_BULK   := 500000000
SOAK_LOAD   := 3600
soak:
	@tools/tally "$(MAKE) $(J) sim SIM_CALLS=$(SOAK_CALLS) SIM_BULK=$(SOAK_BULK)" \
	    "$(MAKE) $(J) mutants" \
	    "$(MAKE) $(J) fuzz-short FUZZ_SECONDS=60" "$(MAKE) test-load LOAD_SECONDS=$(SOAK_LOAD)" \
	    "$(MAKE) test-system-soak"

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
