# SPDX-License-Identifier: MIT
# Fuzzers: each tests/fuzz/<name>.c is one libFuzzer target over the host build of the sources, made
# by clang. `make fuzz-short` runs each for FUZZ_SECONDS; `make fuzz FUZZ=<name>` runs one until it
# finds something. tests/fuzz/<name>.seeds, if there is one, fills the start corpus it is given.

FUZZ_SECONDS := 5
FUZZ_CFLAGS  := -std=gnu11 -g -O1 -MMD -MP -Wall -Wextra -Wno-unused-parameter -DARGON_HOST \
                -Itests/host $(INCLUDE) -fno-strict-aliasing -fno-omit-frame-pointer \
                -fno-sanitize-recover=all
FUZZ_O       := $(HOST_C:%.c=$(B)/fuzz/%.o)
FUZZ_BIN     := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))

.PHONY: fuzz fuzz-short

$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -c $< -o $@

$(B)/fuzz/libargon.a: $(FUZZ_O)
	@rm -f $@
	ar rcs $@ $^

$(FUZZ_BIN): $(B)/fuzz/%: $(B)/fuzz/tests/fuzz/%.o $(B)/fuzz/libargon.a
	clang -fsanitize=fuzzer,address,undefined $(filter %.o,$^) $(FUZZ_LINK) -Wl,--start-group \
	    $(B)/fuzz/libargon.a -Wl,--end-group -o $@

$(B)/fuzz/world $(B)/fuzz/shared: $(patsubst %.c,$(B)/fuzz/%.o,$(wildcard tests/sim/world*.c) \
                   tests/sim/driver.c tests/sim/tlb_model.c)
$(B)/fuzz/world $(B)/fuzz/shared: FUZZ_LINK = $(SIM_NO_WRAP)

# The last line counts the targets.
fuzz-short: $(FUZZ_BIN)
	@tools/together $(FUZZ_BIN:%='tests/fuzz/run % $(FUZZ_SECONDS)')

fuzz: $(B)/fuzz/$(FUZZ)
	@mkdir -p $(B)/fuzz/kept/$(FUZZ)
	if [ -x tests/fuzz/$(FUZZ).seeds ]; then tests/fuzz/$(FUZZ).seeds $(B)/fuzz/kept/$(FUZZ); fi
	$< -artifact_prefix=$(B)/fuzz/$(FUZZ)- $(B)/fuzz/kept/$(FUZZ)
