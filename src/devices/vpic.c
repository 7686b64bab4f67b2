/* SPDX-License-Identifier: MIT */
/* See vpic.h. Terms are the data sheet's: IRR requests, ISR in service, IMR masks; priorities run
 * upwards from the input that has the highest one. */
#include "devices/vpic.h"

#include "base/refuse.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MASTER  0
#define SLAVE   1
#define CASCADE 2u /* the master's input that the slave is on */
#define NONE    8u

#define ICW1           0x10
#define ICW1_IC4       0x01
#define ICW1_SNGL      0x02
#define ICW4_AEOI      0x02
#define ICW4_SFNM      0x10
#define OCW3           0x08
#define OCW3_RIS       0x01
#define OCW3_RR        0x02
#define OCW3_POLL      0x04
#define OCW3_SMM       0x20
#define OCW3_ESMM      0x40
#define OCW2_EOI       0x20
#define OCW2_SL        0x40
#define OCW2_R         0x80
#define POLL_INTERRUPT 0x80

/* init_state of the public record. */
#define INIT_STEP 0x3
#define INIT_IC4  0x4
#define INIT_SNGL 0x8

static const uint8_t elcr_mask[2] = {0xf8, 0xde}; /* 0, 1, 2, 8 and 13 are always edges */

/* The distance of the highest of `bits` from the input of highest priority. */
static unsigned rank(const struct hvm_hw_vpic *c, uint8_t bits)
{
    for (unsigned i = 0; i < NONE; i++)
        if (bits >> ((i + c->priority_add) & 7) & 1)
            return i;
    return NONE;
}

static unsigned at_rank(const struct hvm_hw_vpic *c, unsigned i)
{
    return (i + c->priority_add) & 7;
}

/* The input that asks and is let through; NONE. */
static unsigned asking(const struct hvm_hw_vpic *c)
{
    unsigned i = rank(c, c->irr & (uint8_t)~c->imr);
    uint8_t busy = c->isr;

    if (c->special_mask_mode)
        busy &= (uint8_t)~c->imr;
    if (c->special_fully_nested_mode && c->is_master)
        busy &= (uint8_t) ~(1u << CASCADE);
    return i < rank(c, busy) ? at_rank(c, i) : NONE;
}

static void update(struct vpic *p)
{
    struct hvm_hw_vpic *m = &p->chip[MASTER], *s = &p->chip[SLAVE];
    bool high;

    s->int_output = asking(s) != NONE;
    m->irr = (uint8_t)((m->irr & ~(1u << CASCADE)) | (unsigned)s->int_output << CASCADE);
    high = asking(m) != NONE;
    if (high != m->int_output) {
        m->int_output = high;
        p->output(p->owner, high);
    }
}

void vpic_input(struct vpic *p, unsigned irq, bool high)
{
    struct hvm_hw_vpic *c = &p->chip[irq >> 3 & 1];
    uint8_t *input = &p->input[irq >> 3 & 1], bit = (uint8_t)(1u << (irq & 7));

    if (irq == CASCADE)
        return;
    if (high && (!(*input & bit) || (c->elcr & bit)))
        c->irr |= bit;
    if (!high && (c->elcr & bit))
        c->irr &= (uint8_t)~bit;
    *input = (uint8_t)(high ? *input | bit : *input & ~bit);
    update(p);
}

bool vpic_pending(const struct vpic *p)
{
    return p->chip[MASTER].int_output;
}

bool vpic_waits(const struct vpic *p, unsigned irq)
{
    const struct hvm_hw_vpic *c = &p->chip[irq >> 3 & 1];

    return (c->irr & (uint8_t)~c->imr) >> (irq & 7) & 1;
}

static void take(struct hvm_hw_vpic *c, unsigned n)
{
    uint8_t bit = (uint8_t)(1u << n);

    if (!(c->elcr & bit))
        c->irr &= (uint8_t)~bit;
    if (!c->auto_eoi)
        c->isr |= bit;
    else if (c->rotate_on_auto_eoi)
        c->priority_add = (n + 1) & 7;
}

/* INTA to one chip: a request that has gone meanwhile counts as input 7, not in service. */
static unsigned acknowledge(struct hvm_hw_vpic *c)
{
    unsigned n = asking(c);

    if (n == NONE)
        return 7;
    take(c, n);
    return n;
}

uint8_t vpic_acknowledge(struct vpic *p)
{
    struct hvm_hw_vpic *m = &p->chip[MASTER], *s = &p->chip[SLAVE];
    bool asked = asking(m) != NONE;
    unsigned n = acknowledge(m);
    uint8_t vector = (uint8_t)(m->irq_base + n);

    if (asked && n == CASCADE)
        vector = (uint8_t)(s->irq_base + acknowledge(s));
    update(p);
    return vector;
}

/* ---- command words ---- */

static void write_icw1(struct vpic *p, unsigned chip, uint8_t val)
{
    struct hvm_hw_vpic *c = &p->chip[chip];

    c->irr = p->input[chip] & c->elcr; /* edges that came are forgotten */
    c->imr = c->isr = 0;
    c->priority_add = 0;
    c->readsel_isr = c->poll = c->special_mask_mode = c->rotate_on_auto_eoi = 0;
    if (!(val & ICW1_IC4))
        c->auto_eoi = c->special_fully_nested_mode = 0;
    c->init_state =
        1 | (val & ICW1_IC4 ? INIT_IC4 : 0) | (val & ICW1_SNGL ? INIT_SNGL : 0); /* ICW2 next */
}

/* ICW2 to ICW4, those of them that ICW1 spoke of. */
static void write_icw(struct hvm_hw_vpic *c, uint8_t val)
{
    unsigned step = c->init_state & INIT_STEP, next = step + 1;

    if (step == 1)
        c->irq_base = val & 0xf8;
    if (step == 3) {
        c->special_fully_nested_mode = !!(val & ICW4_SFNM);
        c->auto_eoi = !!(val & ICW4_AEOI);
    }
    if (next == 2 && (c->init_state & INIT_SNGL))
        next = 3;
    if (next == 3 && !(c->init_state & INIT_IC4))
        next = 4;
    c->init_state = next > 3 ? 0 : (c->init_state & ~INIT_STEP & 0xf) | next;
}

static void write_ocw2(struct hvm_hw_vpic *c, uint8_t val)
{
    unsigned n = val & 7, i;

    if (!(val & OCW2_EOI)) {
        if (val & OCW2_SL)
            c->priority_add = val & OCW2_R ? (n + 1) & 7 : c->priority_add;
        else
            c->rotate_on_auto_eoi = !!(val & OCW2_R);
        return;
    }
    if (!(val & OCW2_SL)) {
        i = rank(c, c->special_mask_mode ? c->isr & (uint8_t)~c->imr : c->isr);
        if (i == NONE)
            return;
        n = at_rank(c, i);
    }
    c->isr &= (uint8_t) ~(1u << n);
    if (val & OCW2_R)
        c->priority_add = (n + 1) & 7;
}

static void write_ocw3(struct hvm_hw_vpic *c, uint8_t val)
{
    if (val & OCW3_ESMM)
        c->special_mask_mode = !!(val & OCW3_SMM);
    if (val & OCW3_POLL)
        c->poll = 1;
    else if (val & OCW3_RR)
        c->readsel_isr = val & OCW3_RIS;
}

void vpic_write(struct vpic *p, unsigned chip, unsigned port, uint8_t val)
{
    struct hvm_hw_vpic *c = &p->chip[chip & 1];

    if (!port && (val & ICW1))
        write_icw1(p, chip & 1, val);
    else if (!port && (val & OCW3))
        write_ocw3(c, val);
    else if (!port)
        write_ocw2(c, val);
    else if (c->init_state)
        write_icw(c, val);
    else
        c->imr = val;
    update(p);
}

/* A poll takes the interrupt as INTA would. */
static uint8_t poll(struct vpic *p, struct hvm_hw_vpic *c)
{
    unsigned n = asking(c);

    c->poll = 0;
    if (n == NONE)
        return 0;
    take(c, n);
    update(p);
    return (uint8_t)(POLL_INTERRUPT | n);
}

uint8_t vpic_read(struct vpic *p, unsigned chip, unsigned port)
{
    struct hvm_hw_vpic *c = &p->chip[chip & 1];

    if (c->poll)
        return poll(p, c);
    if (port)
        return c->imr;
    return c->readsel_isr ? c->isr : c->irr;
}

uint8_t vpic_read_elcr(const struct vpic *p, unsigned chip)
{
    return p->chip[chip & 1].elcr;
}

void vpic_write_elcr(struct vpic *p, unsigned chip, uint8_t val)
{
    struct hvm_hw_vpic *c = &p->chip[chip & 1];

    val &= elcr_mask[chip & 1];
    c->irr &= (uint8_t) ~(val | c->elcr);
    c->irr |= p->input[chip & 1] & val; /* a level, not what came before */
    c->elcr = val;
    update(p);
}

/* ---- life ---- */

void vpic_reset(struct vpic *p)
{
    memset(p->chip, 0, sizeof(p->chip));
    memset(p->input, 0, sizeof(p->input));
    p->chip[MASTER].is_master = 1;
}

int vpic_check(unsigned chip, const struct hvm_hw_vpic *r)
{
    if (chip > SLAVE)
        return refuse(-EINVAL, "PIC %u: there are two", chip);
    if (r->is_master != (chip == MASTER) || r->priority_add > 7 || (r->irq_base & 7) ||
        (r->init_state && !(r->init_state & INIT_STEP)))
        return refuse(-EINVAL, "PIC %u: master %u, priorities %u, vectors %#x", chip, r->is_master,
                      r->priority_add, r->irq_base);
    return 0;
}

void vpic_load(struct vpic *p, unsigned chip, const struct hvm_hw_vpic *r)
{
    p->chip[chip] = *r;
    p->chip[chip].elcr &= elcr_mask[chip];
    p->chip[chip].int_output = 0; /* follows from the rest */
    update(p);
}

void vpic_resync(struct vpic *p, uint16_t inputs)
{
    for (unsigned chip = MASTER; chip <= SLAVE; chip++) {
        struct hvm_hw_vpic *c = &p->chip[chip];

        p->input[chip] = (uint8_t)(inputs >> chip * 8);
        c->irr = (uint8_t)((c->irr & ~c->elcr) | (p->input[chip] & c->elcr));
    }
    update(p);
}
