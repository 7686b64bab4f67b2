/* SPDX-License-Identifier: MIT */
/* What is shown of a PV vCPU that crashed, or on a debug key: its registers, how the page tables
 * translate the addresses in question, the top of its stack.
 *
 * A crash can come at any moment, with the page-table lock held: so nothing here takes a lock, and
 * guest memory is read by walking the tables in RAM, never through them. What is shown may be
 * changing; every frame number is checked before it is followed. */
#include "pv/pv.h"

#include "base/log.h"
#include "base/panic.h"
#include "lib/printf.h"
#include "lib/strutil.h"
#include "memory/layout.h"

#define STACK_WORDS    32u
#define WORDS_PER_LINE 4u

struct walk {
    uint64_t entry[5]; /* of level 1-4 */
    unsigned level;    /* of the last entry that was read */
    paddr_t address;   /* where va lies; valid if `found` */
    bool found, ram;
};

/* 64-bit PV guests have no large pages, but the M2P in their address space does. */
static void walk(mfn_t root, uint64_t va, struct walk *w)
{
    mfn_t m = root;

    *w = (struct walk){.level = 5};
    while (w->level > 1 && m.n < max_mfn && frame_is_ram(m)) {
        const uint64_t *table = mfn_to_virt(m);
        uint64_t e;

        w->level--;
        e = read_once(table[pt_index(va, w->level)]);
        w->entry[w->level] = e;
        if (!(e & PTE_P))
            return;
        m = pte_mfn(e);
        if (w->level == 1 || (w->level < 4 && (e & PTE_PSE))) {
            uint64_t in_page = BIT(PT_SHIFT(w->level)) - 1;

            w->address = ((m.n << PAGE_SHIFT) & ~in_page) | (va & in_page);
            m = mfn(w->address >> PAGE_SHIFT);
            w->ram = m.n < max_mfn && frame_is_ram(m);
            w->found = true;
            return;
        }
    }
}

static mfn_t root_of(const struct vcpu *v)
{
    return v->pv->in_kernel ? v->pv->kernel_l4 : v->pv->user_l4;
}

/* Not of the hypervisor's own slots: what lies there is no guest's business. */
static bool guest_word(mfn_t root, uint64_t va, uint64_t *word)
{
    struct walk w;

    if (va % sizeof(*word) || !guest_range_ok(va, sizeof(*word)))
        return false;
    walk(root, va, &w);
    if (!w.found || !w.ram)
        return false;
    *word = read_once(*(uint64_t *)paddr_to_virt(w.address));
    return true;
}

static void dump_walk(mfn_t root, const char *what, uint64_t va)
{
    struct walk w;

    log_key("Page tables for %s %016lx, L4 at frame %lx:", what, va, root.n);
    walk(root, va, &w);
    for (unsigned level = 4; level >= w.level && level; level--) {
        uint64_t e = w.entry[level];
        mfn_t m = pte_mfn(e);
        bool ram = (e & PTE_P) && m.n < max_mfn && frame_is_ram(m);

        log_key("  L%u[%03x] = %016lx  %s%s%s  pfn %lx", level, pt_index(va, level), e,
                e & PTE_P ? "P" : "-", e & PTE_RW ? "W" : "-", e & PTE_U ? "U" : "-",
                ram ? read_once(M2P[m.n]) : ~0ul);
    }
}

static void dump_stack(mfn_t root, uint64_t sp)
{
    char line[WORDS_PER_LINE * 17 + 1];
    uint64_t word;

    log_key("Guest stack from rsp %016lx:", sp);
    sp &= ~7ull;
    for (unsigned i = 0; i < STACK_WORDS; i += WORDS_PER_LINE) {
        size_t at = 0;

        for (unsigned k = 0; k < WORDS_PER_LINE; k++, sp += sizeof(word)) {
            if (!guest_word(root, sp, &word)) {
                log_key("  %s", at ? line : "(ends here)");
                return;
            }
            at +=
                (size_t)fmt_snprintf(line + at, sizeof(line) - at, "%s%016lx", k ? " " : "", word);
        }
        log_key("  %s", line);
    }
}

void pv_vcpu_dump(struct vcpu *v)
{
    struct pv_vcpu *pv = v->pv;
    struct regs *r = vcpu_regs(v);
    const struct vcpu_info *info = v->info;

    log_key("Domain %u vCPU %u, in %s mode:", v->domain->id, v->id,
            pv->in_kernel ? "kernel" : "user");
    regs_print(r);
    log_key("kernel L4 %lx, user L4 %lx; kernel stack %04x:%016lx; virtual iopl %u%s",
            pv->kernel_l4.n, pv->user_l4.n, pv->kernel_ss, pv->kernel_sp, pv->iopl,
            pv->ts ? "; TS" : "");
    log_key("callbacks: event %lx failsafe %lx syscall %lx", pv->event.address,
            pv->failsafe.address, pv->syscall.address);
    if (info)
        log_key("upcall pending %u, mask %u; its cr2 %016lx",
                read_once(info->evtchn_upcall_pending), read_once(info->evtchn_upcall_mask),
                read_once(info->arch.cr2));
    dump_stack(root_of(v), r->rsp);
}

/* Whoever drives the machine is shown always; another's crash is its own business, and anyone who
 * may make domains could fill the log with it. */
void pv_crash_dump(struct vcpu *v)
{
    const struct regs *r = vcpu_regs(v);
    mfn_t root;

    if (!v->pv || !(v->domain->hardware || log_guest_enabled(LOG_DEBUG)))
        return;
    root = root_of(v);
    pv_vcpu_dump(v);
    dump_walk(root, "rip", r->rip);
    dump_walk(root, "rsp", r->rsp);
    if (r->entry_vector == VEC_PF)
        dump_walk(root, "cr2", read_cr2());
}
