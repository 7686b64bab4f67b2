/* SPDX-License-Identifier: MIT */
/* Interrupts of devices: a `struct irq` for each GSI and each MSI, and the way from a vector on a
 * CPU to it. Descriptors are never freed to the heap, so a late interrupt finds a valid one.
 *
 * Flow. Edge and MSI: EOI, then the handler. Level: the pin is masked and the EOI sent, then the
 * handler; irq_end() unmasks. So nothing stays in service while a guest thinks, and a level
 * interrupt comes once until whoever handles it says that its device is quiet. */
#pragma once

#include "base/lock.h"
#include "base/percpu.h"
#include "lib/list.h"
#include "platform/vectors.h"

struct irq;
typedef void (*irq_handler)(struct irq *irq, void *data);

/* How a kind of interrupt is programmed. Called with irq->lock held. */
struct irq_chip {
    const char *name;
    void (*set_masked)(struct irq *irq, bool masked);
    /* Directs it to a CPU's APIC id with this vector, keeping the mask. */
    void (*set_target)(struct irq *irq, uint32_t apic_id, unsigned vector);
};

struct irq {
    struct lock lock;             /* RANK_IRQ */
    const struct irq_chip *chip;  /* [I] while in use */
    unsigned number;              /* [I] GSI, or its index among MSIs */
    bool level;                   /* [lock] */
    bool configured;              /* [lock] trigger and polarity of a GSI were stated */
    bool masked;                  /* [lock] by irq_mask */
    bool pending_end;             /* [lock] level: waits for irq_end */
    unsigned cpu, vector;         /* [lock] where it comes; vector 0: nowhere */
    unsigned old_cpu, old_vector; /* [lock] where it came before, until it has arrived here */
    irq_handler handler;          /* [lock] NULL: not requested */
    void *data;                   /* [lock] */
    uint32_t running;             /* [a] CPUs in the handler: it may arrive at its old place too */
    uint64_t count;               /* [lock] */
    void *chip_data;              /* msi.c */
    struct list link;             /* free MSIs */
};

/* After the IO-APICs are known and this CPU's local APIC is on. -ENOMEM. */
int must_check irq_init(void);

/* NULL: there is no such GSI. */
struct irq *irq_of_gsi(unsigned gsi);
/* The GSI that an ISA interrupt (0-15) arrives on. */
unsigned irq_isa_to_gsi(unsigned isa_irq);
/* States trigger and polarity of a GSI (PHYSDEVOP_setup_gsi). The first caller wins: -EEXIST if
 * stated before; -EINVAL no such GSI. */
int must_check irq_gsi_setup(unsigned gsi, bool level, bool active_low);
/* A free descriptor for an MSI, masked; NULL if memory is short. `chip_data` is msi.c's. */
struct irq *irq_msi_get(const struct irq_chip *chip, void *chip_data);
/* Gives it back: released first if still requested. */
void irq_msi_put(struct irq *irq);

/* Routes it to this CPU and unmasks it. -EBUSY: has a handler; -ENOSPC: no vector is free. */
int must_check irq_request(struct irq *irq, irq_handler handler, void *data);
/* No handler starts any more. It may still be running on another CPU: irq_synchronize() waits, and
 * its caller holds no lock that the handler wants. */
void irq_release(struct irq *irq);
void irq_synchronize(struct irq *irq);

void irq_mask(struct irq *irq);
void irq_unmask(struct irq *irq);
/* The device of a level interrupt is quiet: it may come again. No effect if none waits for it. */
void irq_end(struct irq *irq);
/* From now on it comes to `cpu`. -ENOSPC; the old route then stays. */
int must_check irq_set_cpu(struct irq *irq, unsigned cpu);

/* What comes to `cpu` comes to `to` from now on. One that cannot move stays, with a line. */
void irq_leave_cpu(unsigned cpu, unsigned to);

/* Handlers of the fixed vectors (VECTOR_FIXED and above), of all CPUs. */
void irq_vector_set(unsigned vector, void (*fn)(void));
/* Every interrupt vector from 0x20 on comes here, from cpu/ with interrupts off. */
void irq_dispatch(unsigned vector);

void irq_dump(void); /* debug key */
