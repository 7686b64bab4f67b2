# SPDX-License-Identifier: MIT
# Random hypercalls against the host build, with the audit: `make sim` runs SIM_CALLS of them, and a
# while of several CPUs at once. `make mutants` lets the simulations find faults that were put in.

SIM_CALLS := 1000000
SIM_SEED  := 1

.PHONY: sim mutants mutants-short

# Allocations fail by chance: the simulations stand between the allocator and its users.
SIM_WRAP := buddy_alloc
SIM_LINK = -fsanitize=address,undefined $(filter %.o,$^) @ -Wl,--start-group \
    $(B)/host/libargon.a -Wl,--end-group $(SIM_WRAP:%=-Wl,--wrap=%) -lpthread

$(B)/sim/%: $(B)/host/tests/sim/%.o $(B)/host/libargon.a
	@mkdir -p $(@D)
	$(Q)echo '$(CC) $(SIM_LINK)' > $@.link
	$(Q)$(CC) $(subst @,,$(SIM_LINK)) -o $@

$(B)/sim/race: SIM_WRAP :=
$(B)/sim/whole: SIM_WRAP += heap_alloc heap_zalloc heap_page heap_free heap_page_free
$(B)/sim/whole: $(patsubst %.c,$(B)/host/%.o,$(wildcard tests/sim/world*.c)) \
    $(addprefix $(B)/host/tests/sim/,driver.o tlb_model.o)
$(B)/sim/random: $(addprefix $(B)/host/tests/sim/,driver.o tlb_model.o)

sim: $(B)/sim/whole $(B)/sim/random $(B)/sim/race
	$(B)/sim/whole --calls $(SIM_CALLS) --seed $(SIM_SEED)
	$(B)/sim/random --calls $(SIM_CALLS) --seed $(SIM_SEED)
	$(B)/sim/race --seed $(SIM_SEED)

SIM_ALL := $(B)/sim/whole $(B)/sim/random $(B)/sim/race

mutants: $(SIM_ALL)
	tests/mutants/run $(B) '$(CC) $(HOST_CFLAGS)'
mutants-short: $(SIM_ALL)
	tests/mutants/run --fast $(B) '$(CC) $(HOST_CFLAGS)'
