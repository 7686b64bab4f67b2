/* SPDX-License-Identifier: MIT */
/* Random page-table hypercalls of several domains, well aimed: most of them nearly right. Their
 * page tables, frames and grants are real; frame_audit() recounts everything now and then.
 * Preempted and abandoned calls, small budgets, domains that die.
 *
 * Besides, a model of what the processors remember (tlb_model.h). Arguments: driver.h. The same
 * seed does the same. At a mistake it says after which call, and stops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "pvguest.h"
#include "tlb_model.h"
#include "frame/table.h"
#include "grant/grant.h"

#include <xen/grant_table.h>

#define DOMAINS     3u
#define FRAMES_EACH 160u
#define CODE_AT     3072u /* in the arguments' page: an instruction */
#define GRANTS      24u

static struct pvguest *guest[DOMAINS], *g; /* g: who runs */
static unsigned vcpu;                      /* which of its vCPUs, on the CPU of that number */
static unsigned long accepted, refused, abandoned;

/* ---- choices ---- */

static bool chance(unsigned n)
{
    return pvg_random(n) == 0;
}

static struct pvguest *any_guest(void)
{
    return guest[pvg_random(DOMAINS)];
}

/* A frame's index that a call may spoil: no table of the direct map, not the arguments. */
static unsigned any_pfn(struct pvguest *of)
{
    unsigned pfn;

    /* Mostly few, so that they meet again. */
    do {
        pfn = chance(4) ? pvg_random(of->frames) : 16 + pvg_random(24);
    } while (pfn < pvg_arg_pfn + PVG_VCPUS);
    return pfn;
}

static mfn_t any_mfn(struct pvguest *of)
{
    switch (pvg_random(24)) {
    case 0:
        return mfn(pvg_random(0x120)); /* devices, and below RAM */
    case 1:
        return mfn(pvg_random(max_mfn + 16));
    case 2:
        return any_guest()->mfn[pvg_random(FRAMES_EACH)];
    case 3:
        return virt_to_mfn(of->d.shared_info);
    case 4:
        return of->mfn[pvg_random(of->tables)];
    case 5:
        return of->d.pv->perdomain_mfn;
    default:
        return of->mfn[any_pfn(of)];
    }
}

static uint64_t any_flags(void)
{
    uint64_t flags = PTE_P | PTE_U | PTE_A | PTE_D;

    if (chance(2))
        flags |= PTE_RW;
    if (chance(8))
        flags ^= 1ull << pvg_random(12);
    if (chance(8))
        flags |= 1ull << (52 + pvg_random(12));
    if (chance(100))
        flags |= 1ull << pvg_random(64);
    return flags;
}

static unsigned any_index(void)
{
    switch (pvg_random(10)) {
    case 0:
        return pvg_random(PT_ENTRIES);
    case 1:
        return 254 + pvg_random(20);
    default:
        return pvg_random(6);
    }
}

/* An entry that no call may change: those that lead to the direct map, and to the arguments. */
static bool is_protected(const struct pvguest *of, mfn_t m, unsigned index)
{
    if (mfn_eq(m, of->mfn[0]))
        return index == pt_index(PVG_DIRECT, 4);
    if (mfn_eq(m, of->mfn[1]))
        return index == pt_index(PVG_DIRECT, 3);
    if (mfn_eq(m, of->mfn[2]))
        return index < of->tables - 3;
    return mfn_eq(m, of->mfn[3]) && index < pvg_arg_pfn + PVG_VCPUS;
}

static uint64_t any_entry(struct pvguest *of, uint64_t old)
{
    if (chance(4))
        return 0;
    if (old & PTE_P && chance(2))
        return old ^ (chance(2) ? PTE_RW : 1ull << pvg_random(64));
    return pte_make(any_mfn(of), any_flags());
}

/* ---- grants: what grant/ would hold ---- */

static struct grant {
    bool used, ro;
    struct pvguest *by;
    uint64_t at;
    uint32_t flags;
    mfn_t m;
} grants[GRANTS];

static void count_grants(void)
{
    for (unsigned i = 0; i < GRANTS; i++) {
        if (!grants[i].used)
            continue;
        if (grants[i].ro)
            frame_audit_ref(grants[i].m);
        else
            frame_audit_use(grants[i].m, FRAME_WRITABLE);
    }
}

static void grant_give_up(struct grant *e)
{
    if (e->ro)
        frame_put(e->m);
    else
        frame_put_writable(e->m);
    e->used = false;
}

static int do_grant_map(struct grant *e)
{
    struct pvguest *from = any_guest();
    unsigned pfn = any_pfn(g);
    int rc;

    *e = (struct grant){.by = g, .m = from->mfn[any_pfn(from)], .ro = chance(2)};
    rc = e->ro ? frame_get(e->m, &from->d.memory) : frame_get_writable(e->m, &from->d.memory);
    if (rc)
        return rc;
    e->used = true;
    e->flags = GNTMAP_host_map | (e->ro ? GNTMAP_readonly : 0);
    e->at = pvg_va(chance(4) ? pfn : 100 + pvg_random(60));
    if (chance(4)) {
        e->flags |= GNTMAP_contains_pte;
        e->at = pvg_maddr(pvg_l1e(g, pfn));
        if (chance(2)) {
            mfn_t l1 = g->mfn[any_pfn(g)];

            e->at = (l1.n << PAGE_SHIFT) + 8 * any_index();
        }
    }
    rc = grant_map_ops_pv->map(current(), e->at, e->m, e->flags);
    if (rc)
        grant_give_up(e);
    return rc;
}

static int do_grant_unmap(struct grant *e)
{
    struct pvguest *by = e->by;
    uint64_t new_addr = chance(4) ? pvg_va(any_pfn(by)) : 0;
    int rc = grant_map_ops_pv->unmap(&by->v[0], e->at, e->m, e->flags, new_addr);

    if (rc)
        return rc;
    tlb_flush_mask(&by->d.memory.dirty_cpus, TLB_ALL, 0);
    grant_give_up(e);
    return 0;
}

static long do_grant(void)
{
    struct grant *e = &grants[pvg_random(GRANTS)];

    return e->used ? do_grant_unmap(e) : do_grant_map(e);
}

/* ---- the guest's own stores ---- */

/* The kernel writes to its page, if it is mapped so. */
static int store(unsigned pfn, unsigned index, uint64_t val)
{
    return hw_copy_to_guest(pvg_va(pfn) + index * 8, &val, 8) ? -EFAULT : 0;
}

static const struct {
    unsigned len;
    unsigned char code[8];
} instructions[] = {
    {3, {0x48, 0x89, 0x03}},                   /* mov %rax,(%rbx) */
    {2, {0x89, 0x03}},                         /* mov %eax,(%rbx) */
    {2, {0x88, 0x03}},                         /* mov %al,(%rbx) */
    {3, {0x48, 0x87, 0x03}},                   /* xchg %rax,(%rbx) */
    {5, {0xf0, 0x48, 0x0f, 0xb1, 0x0b}},       /* lock cmpxchg %rcx,(%rbx) */
    {6, {0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05}}, /* lock btrq $5,(%rbx) */
    {5, {0xf0, 0x48, 0x83, 0x23, 0xfd}},       /* lock andq $-3,(%rbx) */
    {3, {0x48, 0x0f, 0xc7}},                   /* not to be had */
};

/* A write to a page that is mapped read-only. */
static long do_emulated_write(void)
{
    unsigned pfn = chance(2) ? 3 : any_pfn(g), index = pfn == 3 ? any_pfn(g) : any_index(), i;
    uint64_t *pe = (uint64_t *)pvg_page(g, pfn) + index, cr2 = pvg_va(pfn) + index * 8;
    struct regs *r = &cpu_local()->guest;

    if (is_protected(g, g->mfn[pfn], index))
        return -EPERM;
    i = pvg_random(ARRAY_SIZE(instructions));
    memcpy((char *)pvg_page(g, pvg_arg_pfn + vcpu) + CODE_AT, instructions[i].code, 8);
    memset(r, 0, sizeof(*r));
    r->rip = pvg_va(pvg_arg_pfn + vcpu) + CODE_AT;
    r->rflags = RFLAGS_IF | RFLAGS_MBS;
    r->rbx = cr2 + (chance(16) ? pvg_random(8) : 0);
    r->rax = chance(2) ? *pe : any_entry(g, *pe);
    r->rcx = any_entry(g, *pe);
    return pv_ptwr_fault(current(), cr2, PFEC_P | PFEC_W | PFEC_U) ? 0 : -EFAULT;
}

/* ---- hypercalls ---- */

static long do_mmu_update(void)
{
    struct pvguest *tables = chance(12) ? any_guest() : g, *pages = chance(8) ? any_guest() : g;
    unsigned n = chance(4) ? 1 + pvg_random(60) : 1;
    uint32_t foreigndom = pages == g ? DOMID_SELF : pages->d.id;
    struct mmu_update u[64];
    long rc;

    if (chance(64))
        foreigndom = chance(2) ? DOMID_IO : DOMID_XEN;
    if (tables != g || chance(32))
        foreigndom |= (tables->d.id + 1u) << 16;
    for (unsigned i = 0; i < n; i++) {
        unsigned index, pfn = any_pfn(tables);
        mfn_t m;
        uint64_t *pe;

        do {
            if (chance(2)) { /* of the direct map */
                pe = pvg_l1e(tables, any_pfn(tables));
            } else {
                m = tables->mfn[chance(4) ? pvg_random(tables->tables) : pfn];
                pe = (uint64_t *)mfn_to_virt(m) + any_index();
            }
            m = virt_to_mfn(pe);
            index = ((uintptr_t)pe & ~PAGE_MASK) / 8;
        } while (is_protected(tables, m, index));
        u[i].ptr = pvg_maddr(pe);
        u[i].val = any_entry(pages, *pe);
        if (pe == pvg_l1e(tables, pfn) && chance(2))
            u[i].val = pte_make(tables->mfn[pfn], any_flags());
        if (chance(6))
            u[i].ptr |= MMU_PT_UPDATE_PRESERVE_AD;
        else if (chance(16))
            u[i] = (struct mmu_update){any_mfn(pages).n << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn};
        if (chance(64))
            u[i].ptr += pvg_random(8);
    }
    rc = pvg_mmu_update(u, n, NULL, foreigndom);
    if (!rc && !g->d.privileged && (tables != g || (uint16_t)foreigndom < DOMAINS))
        sim_flaw("domain %u has worked on another's page tables", g->d.id);
    return rc;
}

static long do_update_va(void)
{
    unsigned pfn = any_pfn(g);
    uint64_t val = any_entry(g, *pvg_l1e(g, pfn)), va = pvg_va(pfn);
    uint64_t flags = pvg_random(chance(16) ? 4 : 3) | (chance(2) ? UVMF_ALL : 0);

    if (chance(3))
        val = pte_make(g->mfn[pfn], any_flags());
    if (chance(8)) { /* tables that the guest made */
        va = PVG_DIRECT + ((uint64_t)any_index() << 30) + ((uint64_t)any_index() << 21) +
             any_index() * PAGE_SIZE;
        if (is_protected(g, g->mfn[3], pt_index(va, 1)))
            return -EPERM;
    }
    if (chance(16))
        return pv_update_va_mapping_otherdomain(va, val, flags, any_guest()->d.id);
    return pv_update_va_mapping(va, val, flags);
}

static long refresh(unsigned pfn);

static bool clear_page(unsigned pfn)
{
    return hw_clear_guest(pvg_va(pfn), PAGE_SIZE) == 0;
}

/* The page is plain, writable and empty at the end, if that can be had. */
static bool make_plain(unsigned pfn)
{
    uint64_t want = pte_make(g->mfn[pfn], PTE_P | PTE_RW);

    if (frame_owner_of(g->mfn[pfn]) != &g->d.memory)
        return refresh(pfn) == 0;
    if (frame_is_pinned(g->mfn[pfn]))
        pvg_ext(MMUEXT_UNPIN_TABLE, g->mfn[pfn].n);
    return pv_update_va_mapping(pvg_va(pfn), want, 0) == 0 && clear_page(pfn);
}

static long do_pin(void)
{
    struct pvguest *of = chance(16) ? any_guest() : g;
    struct mmuext_op op = {.cmd = chance(2) ? MMUEXT_UNPIN_TABLE : pvg_random(4)};
    unsigned pfn = any_pfn(of);

    if (of == g && chance(2))
        (void)make_plain(pfn);

    op.arg1.mfn = of->mfn[pfn].n;
    /* Well aimed: as the kind it already is, or not writable first. */
    if (op.cmd != MMUEXT_UNPIN_TABLE && of == g && chance(2))
        (void)!pv_update_va_mapping(pvg_va(pfn), pte_make(g->mfn[pfn], PTE_P), 0);
    for (unsigned i = 0; i < 20 && op.cmd == MMUEXT_UNPIN_TABLE && !frame_is_pinned(of->mfn[pfn]);
         i++) {
        pfn = any_pfn(of);
        op.arg1.mfn = of->mfn[pfn].n;
    }
    if (chance(40))
        op.arg1.mfn = any_mfn(of).n;
    if (op.arg1.mfn == of->mfn[0].n)
        return -EPERM; /* the pin we stand on */
    return pvg_mmuext(&op, 1, NULL, of == g ? DOMID_SELF : of->d.id);
}

static long do_base(void)
{
    mfn_t m = chance(8) ? any_mfn(g) : g->mfn[chance(3) ? 0 : any_pfn(g)];
    long rc;

    if (chance(2))
        return pvg_ext(MMUEXT_NEW_USER_BASEPTR, chance(3) ? 0 : m.n);
    rc = pvg_ext(MMUEXT_NEW_BASEPTR, m.n);
    tlb_model_check();
    for (unsigned i = 0; i < 8 && !rc; i++)
        tlb_model_touch(((uint64_t)any_index() << 39) + ((uint64_t)any_index() << 30) +
                        ((uint64_t)any_index() << 21) + any_index() * PAGE_SIZE);
    /* Back to the tables that map the arguments. */
    while (pv_new_kernel_l4(current(), g->mfn[0]) == -ERESTART)
        ;
    return rc;
}

static long do_other_ext(void)
{
    static const uint8_t cmds[] = {
        MMUEXT_TLB_FLUSH_LOCAL,
        MMUEXT_INVLPG_LOCAL,
        MMUEXT_TLB_FLUSH_MULTI,
        MMUEXT_INVLPG_MULTI,
        MMUEXT_TLB_FLUSH_ALL,
        MMUEXT_INVLPG_ALL,
        MMUEXT_CLEAR_PAGE,
        MMUEXT_COPY_PAGE,
        MMUEXT_MARK_SUPER,
        14,
        200,
    };
    struct mmuext_op op = {.cmd = cmds[pvg_random(ARRAY_SIZE(cmds))]};

    op.arg1.mfn = op.cmd == MMUEXT_CLEAR_PAGE || op.cmd == MMUEXT_COPY_PAGE ? g->mfn[any_pfn(g)].n
                                                                            : pvg_va(any_pfn(g));
    op.arg2.src_mfn = op.cmd == MMUEXT_COPY_PAGE ? any_mfn(g).n : pvg_va(any_pfn(g));
    return pvg_mmuext(&op, 1, NULL, DOMID_SELF);
}

/* A tree on purpose: tables of plain pages, each with some entries to the ones before; then made
 * read-only and the last pinned, or linked in. */
static long do_build(void)
{
    unsigned pfn[8], n = 1 + pvg_random(8), level[8];
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};

    for (unsigned i = 0; i < n; i++) {
        pfn[i] = any_pfn(g);
        for (unsigned j = 0; j < i; j++)
            if (pfn[j] == pfn[i])
                return -EBUSY;
        if (!make_plain(pfn[i]) && store(pfn[i], 0, 0))
            return -EFAULT;
        level[i] = 1 + i * 4 / n;
        for (unsigned k = 0; k < 4; k++) {
            uint64_t e = pte_make(any_mfn(g), any_flags());
            unsigned below = i ? pvg_random(i) : 0;

            if (level[i] > 1 && (level[below] == level[i] - 1 || chance(16)))
                e = pte_make(g->mfn[pfn[below]], PTE_P | PTE_U | PTE_RW);
            else if (level[i] > 1 || !chance(12))
                e = pte_make(g->mfn[any_pfn(g)], PTE_P | PTE_A | (chance(4) ? PTE_RW : 0));
            if (level[i] > 1 && !chance(32) && !(level[below] == level[i] - 1))
                e = 0;
            if (store(pfn[i], any_index(), e))
                return -EFAULT;
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (pv_update_va_mapping(pvg_va(pfn[i]), chance(4) ? 0 : pte_make(g->mfn[pfn[i]], PTE_P),
                                 chance(2) ? UVMF_TLB_FLUSH | UVMF_ALL : 0))
            return -EBUSY;
    op.cmd += level[n - 1] - 1;
    op.arg1.mfn = g->mfn[pfn[n - 1]].n;
    return pvg_mmuext(&op, 1, NULL, DOMID_SELF);
}

/* ---- memory comes and goes ---- */

/* Linked in the place of the allocator: it has nothing left now and then. */
int __real_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out);
int __wrap_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out);
static bool may_fail;

int __wrap_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out)
{
    return may_fail && chance(16) ? -ENOMEM : __real_buddy_alloc(order, addr_bits, out);
}

static long do_memory(void)
{
    unsigned pfn = any_pfn(g);

    if (chance(2)) {
        if (chance(2)) { /* as a kernel does it: unmapped first */
            (void)!pv_update_va_mapping(pvg_va(pfn), 0, 0);
        }
        return frame_release(&g->d.memory, g->mfn[pfn]);
    }
    return refresh(pfn);
}

/* A new frame in the place of the old one. */
static long refresh(unsigned pfn)
{
    mfn_t m;
    int rc = frame_alloc(&g->d.memory, 0, 0, &m);

    if (rc)
        return rc;
    for (const uint64_t *p = mfn_to_virt(m); p < (uint64_t *)mfn_to_virt(m) + PT_ENTRIES; p++)
        if (*p)
            sim_flaw("frame %lx is new and not empty", (unsigned long)m.n);
    frame_m2p_set(m, pfn);
    /* What was there is given back if it is still the domain's. */
    (void)!frame_release(&g->d.memory, g->mfn[pfn]);
    g->mfn[pfn] = m;
    return pv_update_va_mapping(pvg_va(pfn), pte_make(m, PTE_P | PTE_RW), 0);
}

static long do_claim(void)
{
    return frame_claim(&g->d.memory, chance(2) ? 0 : pvg_random(64));
}

/* A frame of another domain is mapped and known, its owner gives it up, the mapping goes last. */
static long do_foreign(void)
{
    struct pvguest *of = any_guest();
    unsigned pfn = any_pfn(of), at = any_pfn(g);
    uint64_t *pe = pvg_l1e(g, at);
    struct mmu_update u = {pvg_maddr(pe), pte_make(of->mfn[pfn], PTE_P | PTE_RW)};
    long rc;

    if (of == g || !g->d.privileged)
        return -EPERM;
    rc = pvg_mmu_update(&u, 1, NULL, of->d.id);
    if (rc)
        return rc;
    tlb_model_touch(pvg_va(at));
    if (chance(2))
        (void)!frame_release(&of->d.memory, of->mfn[pfn]);
    tlb_model_touch(pvg_va(at));
    u.val = 0;
    return pvg_mmu_update(&u, 1, NULL, DOMID_SELF);
}

static void wake(unsigned n)
{
    vcpu = n;
    host_cpu_select(n);
    if (current() != &g->v[n]) /* else its translations stay */
        pvg_run(g, n);
}

/* ---- the run ---- */

/* Grants of or to `of` (NULL: all) end. False: one that another domain mapped and overwrote itself
 * stays, as it would for good. */
static bool end_grants(const struct pvguest *of)
{
    for (unsigned j = 0; j < GRANTS; j++) {
        struct grant *e = &grants[j];

        if (!e->used || (of && e->by != of && frame_owner_of(e->m) != &of->d.memory))
            continue;
        if (grant_map_ops_pv->unmap(&e->by->v[0], e->at, e->m, e->flags, 0) && of && e->by != of)
            return false;
        tlb_flush_mask(&cpus_online, TLB_ALL, 0);
        grant_give_up(e);
    }
    return true;
}

static void all_die(void)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        pvg_kill(guest[i]); /* after which no entry is left that a grant is needed for */
    end_grants(NULL);
    for (unsigned i = 0; i < DOMAINS; i++)
        pvg_free(guest[i]);
}

static void all_live(void)
{
    for (unsigned i = 0; i < DOMAINS; i++)
        guest[i] = pvg_new(i, FRAMES_EACH, i == 0);
    g = guest[0];
    wake(0);
}

static void die_and_be_born(void)
{
    unsigned i = 1 + pvg_random(DOMAINS - 1);

    bool alone;

    pvg_kill(guest[i]);
    if (frame_audit())
        sim_flaw("the audit disagrees after the end of domain %u", i);
    alone = end_grants(guest[i]);
    if (alone && frame_owner_is_empty(&guest[i]->d.memory)) {
        pvg_free(guest[i]);
        guest[i] = pvg_new(i, FRAMES_EACH, false);
        g = guest[i];
        wake(0);
    } else { /* another maps frames of it */
        all_die();
        all_live();
    }
}

static const struct kind {
    const char *name;
    long (*run)(void);
    unsigned weight;
} kinds[] = {
    {"mmu_update", do_mmu_update, 20},
    {"update_va", do_update_va, 10},
    {"pin", do_pin, 8},
    {"build", do_build, 6},
    {"write", do_emulated_write, 7},
    {"base", do_base, 3},
    {"other", do_other_ext, 2},
    {"memory", do_memory, 3},
    {"claim", do_claim, 1},
    {"grant", do_grant, 4},
    {"foreign", do_foreign, 2},
};

static unsigned long kind_done[ARRAY_SIZE(kinds)], kind_refused[ARRAY_SIZE(kinds)];

static long step(void)
{
    unsigned at = 0, all = 0;
    long rc;

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        all += kinds[i].weight;
    all = pvg_random(all);
    while (all >= kinds[at].weight)
        all -= kinds[at++].weight;
    sim_doing(kinds[at].name);
    may_fail = true;
    rc = kinds[at].run();
    may_fail = false;
    if (rc)
        kind_refused[at]++;
    else
        kind_done[at]++;
    return rc;
}

static bool known(long rc)
{
    return rc == 0 || rc == -EINVAL || rc == -EPERM || rc == -EBUSY || rc == -EFAULT ||
           rc == -ESRCH || rc == -ENOMEM || rc == -E2BIG || rc == -EOPNOTSUPP || rc == -ENOSYS ||
           rc == -ERESTART;
}

static void one(void)
{
    long rc;

    if (chance(16)) {
        g = any_guest();
        wake(pvg_random(2));
    }
    if (chance(32))
        frame_budget = chance(2) ? 68 + (int)pvg_random(8) : 4096;
    if (chance(3))
        tlb_model_touch(chance(3) ? pvg_va(any_pfn(g))
                                  : PVG_DIRECT + ((uint64_t)(chance(2) ? 0 : any_index()) << 30) +
                                        ((uint64_t)any_index() << 21) + any_index() * PAGE_SIZE);
    rc = step();
    accepted += rc == 0;
    abandoned += rc == -ERESTART;
    refused += rc != 0 && rc != -ERESTART;
    if (!known(rc))
        sim_flaw("a call returned %ld", rc);
    tlb_model_check();
    if (chance(5000))
        die_and_be_born();
}

static void audit(void)
{
    if (frame_audit()) {
        sim_flaw("the audit disagrees");
        fputs(host_log(), stderr);
    }
}

static void begin(void)
{
    static struct frame_audit_source source = {.name = "grants of the test", .count = count_grants};

    pvg_machine(8u << 20, 2);
    frame_audit_register(&source);
    tlb_model_reset();
    pvg_preempt = 2;
    pvg_abandon = 6;
    all_live();
}

static void end(void)
{
    all_die();
    audit();
}

static void report(void)
{
    if (sim_verbose) {
        refuse_dump_sites();
        fputs(host_log(), stdout);
    }
    printf("random: %lu done, %lu refused, %lu abandoned, %u continuations\n", accepted, refused,
           abandoned, pvg_continued);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        printf("    %-10s %8lu done %8lu refused\n", kinds[i].name, kind_done[i], kind_refused[i]);
}

int main(int argc, char **argv)
{
    static const struct sim random_calls = {"random", begin, one, audit, end, report};

    return sim_main(&random_calls, argc, argv);
}
