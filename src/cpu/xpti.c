/* SPDX-License-Identifier: MIT */
/* Which copy of which L4 a CPU leaves by, and when it is made anew. Slots 0-255 and 272-511 and the
 * domain's own slot come from the guest's L4; the others never change (cpu/xpti_tables.c). */
#include "cpu/xpti.h"

#include "base/panic.h"
#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "hw/pte.h"
#include "lib/string.h"
#include "memory/heap.h"
#include "memory/layout.h"
#include "memory/tlb.h"

struct copy {
    uint64_t *l4; /* [I] */
    mfn_t of;     /* the L4 it is a copy of */
    bool filled;
};

/* [p] */
struct xpti_cpu {
    struct copy copy[2];
    unsigned which; /* the one that the exit loads */
};
static DEFINE_PER_CPU(struct xpti_cpu, xpti_cpu);

bool xpti_active;

/* ---- option "pcid" ---- */

static bool use_pcid = true;

/* Domains without hidden tables run without PCIDs: "no-xpti", for these alone, is none at all. */
static int parse_pcid(const char *value, bool negated)
{
    int on = negated                         ? 0
             : strcmp(value, "xpti") == 0    ? 1
             : strcmp(value, "no-xpti") == 0 ? 0
                                             : param_parse_bool(value);

    if (on < 0)
        return on;
    use_pcid = on;
    return 0;
}
PARAM_CUSTOM("pcid", parse_pcid);

bool xpti_wants_pcid(void)
{
    return xpti_active && use_pcid && cpu_has(X86_FEATURE_PCID) && cpu_has(X86_FEATURE_INVPCID);
}

/* ---- copies ---- */

void xpti_cpu_init(uint64_t *l4)
{
    struct xpti_cpu *x = this_cpu_ptr(xpti_cpu);

    x->copy[0].l4 = l4;
    x->copy[1].l4 = heap_page();
    if (!x->copy[1].l4)
        panic("too little memory for the tables of processor %u", cpu_id());
    memcpy(x->copy[1].l4, l4, PAGE_SIZE);
    xpti_forget();
}

void xpti_load(mfn_t l4, unsigned which)
{
    struct xpti_cpu *x = this_cpu_ptr(xpti_cpu);
    struct cpu_local *cpu = cpu_local();
    struct copy *c = &x->copy[which];

    if (!mfn_eq(c->of, l4)) {
        c->of = l4;
        c->filled = false;
    }
    if (!c->filled)
        __atomic_fetch_or(&cpu->shadow_stale, XPTI_STALE_THIS, __ATOMIC_RELAXED);
    x->which = which;
    cpu->hv_cr3 = l4.n << PAGE_SHIFT;
    cpu->exit_cr3 = virt_to_paddr(c->l4);
    if (tlb_pcid) {
        cpu->hv_cr3 |= PCID_REAL(which) | CR3_NOFLUSH;
        cpu->exit_cr3 |= PCID_HIDDEN(which) | CR3_NOFLUSH;
    }
    write_cr3(cpu->hv_cr3);
}

void xpti_unload(void)
{
    cpu_local()->hv_cr3 = 0;
    cpu_local()->exit_cr3 = 0;
}

void xpti_forget(void)
{
    __atomic_fetch_or(&cpu_local()->shadow_stale, XPTI_STALE_ALL, __ATOMIC_RELAXED);
}

void xpti_l4_changed(const struct cpu_mask *cpus)
{
    unsigned cpu;

    if (likely(!xpti_active))
        return;
    /* Pairs with xpti_refill(): the entry was changed before. */
    bitmap_for_each (cpu, cpus->bits, MAX_CPUS) {
        __atomic_fetch_or(&cpu_locals[cpu]->shadow_stale, XPTI_STALE_ALL, __ATOMIC_SEQ_CST);
    }
}

void xpti_refill(void)
{
    struct xpti_cpu *x = this_cpu_ptr(xpti_cpu);
    struct copy *c = &x->copy[x->which];
    const uint64_t *from;

    /* First the mark goes, then the L4 is read: a change after that marks it again. */
    if (__atomic_exchange_n(&cpu_local()->shadow_stale, 0, __ATOMIC_SEQ_CST) & XPTI_STALE_ALL)
        x->copy[0].filled = x->copy[1].filled = false;
    if (c->filled || !cpu_local()->exit_cr3)
        return;
    from = mfn_to_virt(c->of);
    hw_copy(c->l4, from, L4_HV_FIRST * sizeof(*from));
    hw_copy(&c->l4[L4_HV_LAST + 1], &from[L4_HV_LAST + 1],
            (PT_ENTRIES - L4_HV_LAST - 1) * sizeof(*from));
    c->l4[L4_PERDOMAIN] = from[L4_PERDOMAIN];
    c->filled = true;
    if (tlb_pcid)
        hw_invpcid(INVPCID_CONTEXT, PCID_HIDDEN(x->which), 0);
}
