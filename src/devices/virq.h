/* SPDX-License-Identifier: MIT */
/* The interrupt lines of a fully virtual domain: from the pins of devices to the inputs of the PICs
 * and of the IO-APIC, which are part of it.
 *
 * A line is a global system interrupt. 0 to 15 are those of the ISA bus: they lead to both
 * controllers, line 0 to pin 2 of the IO-APIC. 16 to 47 are PCI's and lead to the IO-APIC alone:
 * pin X of device D to line 16 + (4 D + D / 8 + X) % 32, as the firmware's ACPI tables tell the
 * guest. A PCI pin is also on link (D + X) % 4 of the PCI-ISA router, and so on the ISA line that
 * is programmed for it (public hvm/save.h, struct hvm_hw_pci_link). A line is high while any of its
 * sources holds it. */
#pragma once

#include "base/lock.h"
#include "devices/vbus.h"
#include "devices/vioapic.h"
#include "devices/vpic.h"

#define VIRQ_LINES   VIOAPIC_NUM_PINS
#define VIRQ_ISA     16u
#define VIRQ_LINKS   4u
#define VIRQ_PIT     0u
#define VIRQ_CASCADE 2u
#define VIRQ_RTC     8u
#define VIRQ_SCI     9u

/* Who holds lines. */
enum virq_source {
    VIRQ_MODEL,                                 /* the device model: ISA devices */
    VIRQ_CHIP,                                  /* chips of this directory */
    VIRQ_HPET,                                  /* HPET_TIMER_NUM of them */
    VIRQ_CALLBACK = VIRQ_HPET + HPET_TIMER_NUM, /* event channels */
    VIRQ_SOURCES,
};

struct virq_ops {
    /* A message of the IO-APIC, under the lock: `icr` as in a local APIC. False: nobody took it. */
    bool (*message)(void *owner, uint32_t icr, uint8_t dest);
    /* The PICs' output changes, under the lock. */
    void (*intr)(void *owner, bool high);
    /* Does a vector of such a message still wait somewhere to be taken? */
    bool (*message_waits)(void *owner, uint32_t icr, uint8_t dest);
};

struct virqs {
    struct lock lock;              /* RANK_VIRQ: [V] */
    const struct virq_ops *ops;    /* [I] */
    void *owner;                   /* [I] for ops */
    bool has_pic, has_ioapic;      /* [I] */
    struct vpic pic;               /* [V] */
    struct vioapic ioapic;         /* [V] */
    uint64_t source[VIRQ_SOURCES]; /* [V] the lines that each holds */
    uint64_t pci[2];               /* [V] pins: 4 * device + pin */
    uint8_t route[VIRQ_LINKS];     /* [V] ISA line of each link, 0: none */
    bool legacy_replaced;          /* [V] HPET instead of PIT and RTC */
    uint64_t high;                 /* [V] what follows of all that */
};

void virq_init(struct virqs *q, const struct virq_ops *ops, void *owner, bool pic, bool ioapic);
/* The controllers' registers: `ports` and `memory` of the domain. */
void virq_attach(struct virqs *q, struct vbus *ports, struct vbus *memory);

/* ---- lines ---- */
void virq_set(struct virqs *q, enum virq_source s, unsigned line, bool high);
/* An edge: the line goes up and down, if nobody holds it. */
void virq_pulse(struct virqs *q, enum virq_source s, unsigned line);
void virq_replace_legacy(struct virqs *q, bool replace);
/* -EINVAL: there is no such pin, link or line. */
int must_check virq_set_isa(struct virqs *q, unsigned irq, bool high); /* the device model's */
int must_check virq_set_pci(struct virqs *q, unsigned device, unsigned pin, bool high);
int must_check virq_set_link(struct virqs *q, unsigned link, unsigned irq);
/* Which line is a PCI pin on? device < 32, pin < 4. */
unsigned virq_pci_line(unsigned device, unsigned pin);
/* Has an interrupt come by an ISA line that the guest could take, and has not yet? */
bool virq_waits(struct virqs *q, unsigned line);

/* ---- to the processors ---- */
/* Do the PICs ask? From any CPU, without the lock. */
bool virq_intr(const struct virqs *q);
/* INTA: the vector; -1: they do not ask any more. */
int virq_acknowledge(struct virqs *q);
/* A local APIC has seen the end of a level-triggered interrupt. */
void virq_eoi(struct virqs *q, uint8_t vector);

/* ---- saved state, by the public records; vpic_check() and vioapic_check() are the others ---- */
int must_check virq_check_isa(const struct hvm_hw_isa_irqs *r);
int must_check virq_check_link(const struct hvm_hw_pci_link *r);
void virq_save_pic(struct virqs *q, unsigned chip, struct hvm_hw_vpic *r);
void virq_load_pic(struct virqs *q, unsigned chip, const struct hvm_hw_vpic *r);
void virq_save_ioapic(struct virqs *q, struct hvm_hw_vioapic *r);
void virq_load_ioapic(struct virqs *q, const struct hvm_hw_vioapic *r);
void virq_save_isa(struct virqs *q, struct hvm_hw_isa_irqs *r);
void virq_load_isa(struct virqs *q, const struct hvm_hw_isa_irqs *r);
void virq_save_pci(struct virqs *q, struct hvm_hw_pci_irqs *r);
void virq_load_pci(struct virqs *q, const struct hvm_hw_pci_irqs *r);
void virq_save_link(struct virqs *q, struct hvm_hw_pci_link *r);
void virq_load_link(struct virqs *q, const struct hvm_hw_pci_link *r);
