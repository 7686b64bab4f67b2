/* SPDX-License-Identifier: MIT */
/* The pair of 8259A interrupt controllers of a PC, the slave on the master's input 2, with the
 * edge/level registers of the PIIX. Intel 8259A data sheet; 82371AB, 4.2.5.
 *
 * The public save record is the whole state but for the levels of the inputs. The owner (virq.h)
 * holds the lock. */
#pragma once

#include <xen/hvm/save.h>
#include "lib/types.h"

struct vpic {
    struct hvm_hw_vpic chip[2]; /* master, slave */
    uint8_t input[2];
    /* The master's output has changed. */
    void (*output)(void *owner, bool high);
    void *owner;
};

void vpic_reset(struct vpic *p);
/* The level of an input, 0 to 15; 2 is the slave's. */
void vpic_input(struct vpic *p, unsigned irq, bool high);
/* Does the master ask the processor? And the answer to its INTA cycles: a vector. */
bool vpic_pending(const struct vpic *p);
uint8_t vpic_acknowledge(struct vpic *p);
/* Is `irq` requested, not masked, and not yet taken? */
bool vpic_waits(const struct vpic *p, unsigned irq);

/* The guest's accesses: `port` 0 (command) or 1 (mask) of a chip. */
uint8_t vpic_read(struct vpic *p, unsigned chip, unsigned port);
void vpic_write(struct vpic *p, unsigned chip, unsigned port, uint8_t val);
uint8_t vpic_read_elcr(const struct vpic *p, unsigned chip);
void vpic_write_elcr(struct vpic *p, unsigned chip, uint8_t val);

/* A saved state: -EINVAL: no chip can be in that. And taking over one that it can be in. */
int must_check vpic_check(unsigned chip, const struct hvm_hw_vpic *r);
void vpic_load(struct vpic *p, unsigned chip, const struct hvm_hw_vpic *r);
/* After loading: the levels of all inputs, from which edges are not taken. */
void vpic_resync(struct vpic *p, uint16_t inputs);
