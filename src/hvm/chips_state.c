/* SPDX-License-Identifier: MIT */
/* The saved state of a fully virtual domain's chips: which records there are, and whose they are.
 * Public arch-x86/hvm/save.h. */
#include "hvm/chips.h"

#include "lib/errno.h"
#include "lib/string.h"

/* A domain has the records of the lines if it has any chip. */
#define ANY (~XEN_X86_EMU_LAPIC)

static const struct hvm_chip_record records[] = {
    {HVM_SAVE_CODE(PIC), 2, HVM_SAVE_LENGTH(PIC), XEN_X86_EMU_PIC},
    {HVM_SAVE_CODE(IOAPIC), 1, HVM_SAVE_LENGTH(IOAPIC), XEN_X86_EMU_IOAPIC},
    {HVM_SAVE_CODE(PCI_IRQ), 1, HVM_SAVE_LENGTH(PCI_IRQ), ANY},
    {HVM_SAVE_CODE(ISA_IRQ), 1, HVM_SAVE_LENGTH(ISA_IRQ), ANY},
    {HVM_SAVE_CODE(PCI_LINK), 1, HVM_SAVE_LENGTH(PCI_LINK), ANY},
    {HVM_SAVE_CODE(PIT), 1, HVM_SAVE_LENGTH(PIT), XEN_X86_EMU_PIT},
    {HVM_SAVE_CODE(RTC), 1, HVM_SAVE_LENGTH(RTC), XEN_X86_EMU_RTC},
    {HVM_SAVE_CODE(HPET), 1, HVM_SAVE_LENGTH(HPET), XEN_X86_EMU_HPET},
    {HVM_SAVE_CODE(PMTIMER), 1, HVM_SAVE_LENGTH(PMTIMER), XEN_X86_EMU_PM},
};

union state {
    struct hvm_hw_vpic pic;
    struct hvm_hw_vioapic ioapic;
    struct hvm_hw_pci_irqs pci;
    struct hvm_hw_isa_irqs isa;
    struct hvm_hw_pci_link link;
    struct hvm_hw_pit pit;
    struct hvm_hw_rtc rtc;
    struct hvm_hw_hpet hpet;
    struct hvm_hw_pmtimer pm;
};

const struct hvm_chip_record *hvm_chip_record(const struct domain *d, unsigned n)
{
    const struct hvm_chips *c = d->hvm_domain->chips;

    for (unsigned i = 0; c && i < ARRAY_SIZE(records); i++)
        if ((records[i].chip & c->present) && n-- == 0)
            return &records[i];
    return NULL;
}

void hvm_chip_get(struct domain *d, const struct hvm_chip_record *r, unsigned instance,
                  void *record)
{
    struct hvm_chips *c = d->hvm_domain->chips;
    union state s;

    memset(&s, 0, sizeof(s));
    switch (r->code) {
    case HVM_SAVE_CODE(PIC):
        virq_save_pic(&c->irqs, instance, &s.pic);
        break;
    case HVM_SAVE_CODE(IOAPIC):
        virq_save_ioapic(&c->irqs, &s.ioapic);
        break;
    case HVM_SAVE_CODE(PCI_IRQ):
        virq_save_pci(&c->irqs, &s.pci);
        break;
    case HVM_SAVE_CODE(ISA_IRQ):
        virq_save_isa(&c->irqs, &s.isa);
        break;
    case HVM_SAVE_CODE(PCI_LINK):
        virq_save_link(&c->irqs, &s.link);
        break;
    case HVM_SAVE_CODE(PIT):
        vpit_save(&c->pit, &s.pit);
        break;
    case HVM_SAVE_CODE(RTC):
        vrtc_save(&c->rtc, &s.rtc);
        break;
    case HVM_SAVE_CODE(HPET):
        vhpet_save(&c->hpet, &s.hpet);
        break;
    default:
        vpm_save(&c->pm, &s.pm);
        break;
    }
    memcpy(record, &s, r->length);
}

int hvm_chip_check(const struct hvm_chip_record *r, unsigned instance, const void *record)
{
    union state s;

    memcpy(&s, record, r->length);
    switch (r->code) {
    case HVM_SAVE_CODE(PIC):
        return vpic_check(instance, &s.pic);
    case HVM_SAVE_CODE(IOAPIC):
        return vioapic_check(&s.ioapic);
    case HVM_SAVE_CODE(PCI_IRQ):
        return 0;
    case HVM_SAVE_CODE(ISA_IRQ):
        return virq_check_isa(&s.isa);
    case HVM_SAVE_CODE(PCI_LINK):
        return virq_check_link(&s.link);
    case HVM_SAVE_CODE(PIT):
        return vpit_check(&s.pit);
    case HVM_SAVE_CODE(RTC):
        return vrtc_check(&s.rtc);
    case HVM_SAVE_CODE(HPET):
        return vhpet_check(&s.hpet);
    default:
        return vpm_check(&s.pm);
    }
}

void hvm_chip_set(struct domain *d, const struct hvm_chip_record *r, unsigned instance,
                  const void *record)
{
    struct hvm_chips *c = d->hvm_domain->chips;
    union state s;

    memcpy(&s, record, r->length);
    switch (r->code) {
    case HVM_SAVE_CODE(PIC):
        virq_load_pic(&c->irqs, instance, &s.pic);
        break;
    case HVM_SAVE_CODE(IOAPIC):
        virq_load_ioapic(&c->irqs, &s.ioapic);
        break;
    case HVM_SAVE_CODE(PCI_IRQ):
        virq_load_pci(&c->irqs, &s.pci);
        break;
    case HVM_SAVE_CODE(ISA_IRQ):
        virq_load_isa(&c->irqs, &s.isa);
        break;
    case HVM_SAVE_CODE(PCI_LINK):
        virq_load_link(&c->irqs, &s.link);
        break;
    case HVM_SAVE_CODE(PIT):
        vpit_load(&c->pit, &s.pit);
        break;
    case HVM_SAVE_CODE(RTC):
        vrtc_load(&c->rtc, &s.rtc);
        break;
    case HVM_SAVE_CODE(HPET):
        vhpet_load(&c->hpet, &s.hpet);
        break;
    default:
        vpm_load(&c->pm, &s.pm);
        break;
    }
}
