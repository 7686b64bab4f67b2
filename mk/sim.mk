# SPDX-License-Identifier: MIT
# Random hypercalls against the host build, with the audit: `make sim` runs SIM_CALLS of them, and a
# while of several CPUs at once.

SIM_CALLS := 1000000
SIM_SEED  := 1

.PHONY: sim

$(B)/sim/%: $(B)/host/tests/sim/%.o $(B)/host/libargon.a
	@mkdir -p $(@D)
	$(CC) -fsanitize=address,undefined $< -Wl,--start-group $(B)/host/libargon.a -Wl,--end-group \
	    -lpthread -o $@

sim: $(B)/sim/random $(B)/sim/race
	$(B)/sim/random --calls $(SIM_CALLS) --seed $(SIM_SEED)
	$(B)/sim/race --seed $(SIM_SEED)
