# SPDX-License-Identifier: MIT
# Random hypercalls against the host build, with the audit: `make sim` runs twenty million of them,
# and a while of several CPUs at once, and the scheduler in virtual time. `make mutants` lets the
# simulations find faults that were put in.

SIM_CALLS := 500000
SIM_BULK  := 10000000
SIM_SEED  := 1

.PHONY: sim tsan mutants mutants-short

# Allocations fail by chance: the simulations stand between the allocator and its users.
SIM_WRAP := buddy_alloc
SIM_LINK = -fsanitize=address,undefined $(filter %.o,$^) @ -Wl,--start-group \
    $(B)/host/libargon.a -Wl,--end-group $(SIM_WRAP:%=-Wl,--wrap=%) -lpthread

$(B)/sim/%: $(B)/host/tests/sim/%.o $(B)/host/libargon.a
	@mkdir -p $(@D)
	$(Q)echo '$(CC) $(SIM_LINK)' > $@.link
	$(Q)$(CC) $(subst @,,$(SIM_LINK)) -o $@

$(B)/sim/race $(B)/sim/sched: SIM_WRAP :=
$(B)/sim/sched: $(B)/host/tests/sim/sched_machine.o
$(B)/sim/whole: SIM_WRAP += heap_alloc heap_zalloc heap_page heap_free heap_page_free
$(B)/sim/whole: $(patsubst %.c,$(B)/host/%.o,$(wildcard tests/sim/world*.c)) \
    $(addprefix $(B)/host/tests/sim/,driver.o tlb_model.o)
$(B)/sim/random: $(addprefix $(B)/host/tests/sim/,driver.o tlb_model.o)

SIM_ROUNDS := 500

# SIM_BULK calls by each of two worlds without sanitizers, SIM_CALLS of each program with them.
sim: $(B)/sim/whole $(B)/sim/random $(B)/sim/race $(B)/sim/interleave $(B)/sim/sched \
     $(B)/fast/whole $(B)/fast/random
	@tools/together '$(B)/fast/whole --calls $(SIM_BULK) --audit 4000 --seed 1$(SIM_SEED)' \
	    '$(B)/fast/whole --calls $(SIM_BULK) --audit 4000 --seed 2$(SIM_SEED)' \
	    '$(B)/sim/whole --calls $(SIM_CALLS) --seed $(SIM_SEED)' \
	    '$(B)/fast/random --calls $(SIM_BULK) --audit 4000 --seed 1$(SIM_SEED)' \
	    '$(B)/sim/random --calls $(SIM_CALLS) --seed $(SIM_SEED)' '$(B)/sim/race --seed $(SIM_SEED)' \
	    '$(B)/sim/interleave --calls $(SIM_ROUNDS) --seed $(SIM_SEED)' $(B)/sim/sched \
	    > $(B)/sim/log; status=$$?; cat $(B)/sim/log; \
	awk '$$2 == "hypercalls" { n += $$1 } END { print n, "hypercalls by whole domains" }' \
	    $(B)/sim/log; tail -1 $(B)/sim/log; exit $$status

# The same programs without sanitizers and optimised: the bulk of the calls. What fails here fails in
# the other build too, by the same seed, and says more there.
FAST_CFLAGS = $(filter-out -fsanitize% -fno-sanitize% -O1 -g,$(HOST_CFLAGS)) -O2 \
              -Wno-maybe-uninitialized
$(B)/fast/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(FAST_CFLAGS) -c $< -o $@
$(B)/fast/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(FAST_CFLAGS) -c $< -o $@
$(B)/fast/libargon.a: $(HOST_C:%.c=$(B)/fast/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

SIM_WRAP_random := buddy_alloc
SIM_WRAP_whole  := buddy_alloc heap_alloc heap_zalloc heap_page heap_free heap_page_free
FAST_OBJECTS_random := $(addprefix $(B)/fast/tests/sim/,random.o driver.o tlb_model.o)
FAST_OBJECTS_whole  := $(patsubst %.c,$(B)/fast/%.o,$(wildcard tests/sim/world*.c)) \
    $(addprefix $(B)/fast/tests/sim/,whole.o driver.o tlb_model.o)

FAST_LINK = $(FAST_OBJECTS_$(@F)) @ -Wl,--start-group $(B)/fast/libargon.a -Wl,--end-group \
    $(SIM_WRAP_$(@F):%=-Wl,--wrap=%) -lpthread

$(B)/fast/whole: $(FAST_OBJECTS_whole)
$(B)/fast/random: $(FAST_OBJECTS_random)
$(B)/fast/whole $(B)/fast/random: $(B)/fast/%: $(B)/fast/libargon.a
	$(Q)echo '$(CC) $(FAST_LINK)' > $@.link
	$(Q)echo '$(CC) $(FAST_CFLAGS)' > $@.compile
	$(Q)$(CC) $(subst @,,$(FAST_LINK)) -o $@

# CPUs as threads, under ThreadSanitizer: fails on any data race.
tsan: $(B)/sim/threads
	$(B)/sim/threads --calls $(SIM_ROUNDS) --seed $(SIM_SEED)

SIM_ALL := $(B)/sim/whole $(B)/sim/interleave $(B)/sim/random $(B)/sim/race $(B)/sim/sched \
           $(B)/fast/whole $(B)/fast/random

mutants: $(SIM_ALL)
	tests/mutants/run $(B) '$(CC) $(HOST_CFLAGS)'
mutants-short: $(SIM_ALL)
	tests/mutants/run --fast $(B) '$(CC) $(HOST_CFLAGS)'

# The same sources compiled for ThreadSanitizer. Linked with its runtime, CPUs are threads and data
# races are found; linked with ours (interleave.c), every atomic access is a place where the next CPU
# may go on, by the seed. The machine's doubles and the simulations themselves are left alone.
TSAN_CFLAGS = $(filter-out -fsanitize% -fno-sanitize%,$(HOST_CFLAGS)) -fsanitize=thread \
              --param=tsan-distinguish-volatile=1 -Wno-tsan
PLAIN_CFLAGS = $(filter-out -fsanitize% -fno-sanitize%,$(HOST_CFLAGS))
TSAN_O     := $(HOST_C:%.c=$(B)/tsan/%.o)

$(B)/tsan/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(TSAN_CFLAGS) -c $< -o $@

$(B)/tsan/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(PLAIN_CFLAGS) -c $< -o $@

$(B)/tsan/libargon.a: $(TSAN_O)
	@rm -f $@
	$(Q)ar rcs $@ $^

# Where nothing stands between the allocator and its users.
SIM_NO_WRAP := $(foreach f,buddy_alloc heap_alloc heap_free heap_page_free,-Wl,--defsym=__real_$(f)=$(f))
THREADS_O   := $(patsubst tests/%.c,$(B)/tsan/tests/%.o,$(wildcard tests/sim/world*.c) \
                 $(addprefix tests/sim/,threads.c driver.c tlb_model.c))

THREADS_LINK = $(filter %.o,$^) @ -Wl,--start-group $(B)/tsan/libargon.a -Wl,--end-group \
    $(SIM_NO_WRAP) -lpthread

$(B)/sim/threads: $(B)/tsan/tests/sim/free.o $(THREADS_O) $(B)/tsan/libargon.a
	@mkdir -p $(@D)
	$(Q)echo '$(CC) -fsanitize=thread $(THREADS_LINK)' > $@.link
	$(Q)$(CC) -fsanitize=thread $(subst @,,$(THREADS_LINK)) -o $@
$(B)/sim/interleave: $(B)/tsan/tests/sim/interleave.o $(THREADS_O) $(B)/tsan/libargon.a
	@mkdir -p $(@D)
	$(Q)echo '$(CC) -Wl,--wrap=cpu_pause $(THREADS_LINK)' > $@.link
	$(Q)echo '$(CC) $(TSAN_CFLAGS)' > $@.compile
	$(Q)$(CC) -Wl,--wrap=cpu_pause $(subst @,,$(THREADS_LINK)) -o $@

# How much of the rooms that guests reach the simulations execute, by line and branch.
COV_DIRS := pv frame grant event domain hypercall
COV_O    := $(patsubst %.c,$(B)/cov/%.o,$(filter $(COV_DIRS:%=src/%/%),$(HOST_C)))
.PHONY: coverage

$(B)/cov/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -O2,$(FAST_CFLAGS)) --coverage -c $< -o $@

$(B)/cov/whole $(B)/cov/random: $(B)/cov/%: $(B)/fast/% $(COV_O)
	$(Q)$(CC) --coverage $(COV_O) $(filter-out $(COV_O),$(FAST_OBJECTS_$*)) -Wl,--start-group \
	    $(B)/fast/libargon.a -Wl,--end-group $(SIM_WRAP_$*:%=-Wl,--wrap=%) -lpthread -o $@

coverage: $(B)/cov/whole $(B)/cov/random
	find $(B)/cov -name '*.gcda' -delete
	$(B)/cov/whole --calls $(SIM_CALLS) --seed $(SIM_SEED) > $(B)/cov/whole.log
	$(B)/cov/random --calls $(SIM_CALLS) --seed $(SIM_SEED) > $(B)/cov/random.log
	tools/coverage $(B)/cov $(COV_DIRS)
