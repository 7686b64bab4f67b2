/* SPDX-License-Identifier: MIT */
/* What the kernels of the world do to their page tables and their memory. */
#include <string.h>

#include "pv/internal.h"
#include "world.h"

#include <xen/memory.h>

/* ---- page tables ---- */

static uint64_t any_entry(struct world_dom *of, uint64_t old)
{
    if (chance(4))
        return 0;
    if (old & PTE_P && chance(2))
        return old ^ (chance(2) ? PTE_RW : 1ull << pvg_random(64));
    return pte_make(any_mfn(of), any_flags());
}

/* What stands there, whoever's the frame is by now. */
static uint64_t __attribute__((no_sanitize_address)) peek(const uint64_t *pe)
{
    return read_once(*pe);
}

static uint64_t *any_place(struct world_dom *of)
{
    mfn_t m = chance(6) ? of->mfn[pvg_random(PFN_USER_L4 + 1)] : of->mfn[any_pfn()];

    if (chance(2))
        return world_l1e(of, any_pfn());
    /* The entries that all hang from are left alone, mostly. */
    if (mfn_eq(m, of->mfn[PFN_L4]) && !chance(50))
        return (uint64_t *)mfn_to_virt(m) + 256 + pvg_random(16);
    return (uint64_t *)mfn_to_virt(m) + (chance(3) ? any_index() : 1 + any_index());
}

static long do_mmu_update(void)
{
    struct world_dom *tables = chance(12) ? any_dom() : me, *pages = chance(8) ? any_dom() : me;
    unsigned n = chance(4) ? 1 + pvg_random(40) : 1;
    uint32_t foreign = pages == me ? DOMID_SELF : pages->d->id, done = 0;
    struct mmu_update u[40];
    bool asked = tables != me || pages != me, privileged = me->d->privileged;
    uint64_t pdone;
    long rc;

    if (chance(64)) {
        foreign = chance(2) ? DOMID_IO : DOMID_XEN;
        asked = tables != me;
    }
    if (tables != me || chance(32))
        foreign |= (tables->d->id + 1u) << 16;
    for (unsigned i = 0; i < n; i++) {
        uint64_t *pe = any_place(tables);

        u[i].ptr = virt_to_paddr(pe) & ~7ull;
        u[i].val = any_entry(pages, peek(pe));
        if (chance(6))
            u[i].ptr |= MMU_PT_UPDATE_PRESERVE_AD;
        else if (chance(16))
            u[i] = (struct mmu_update){any_mfn(pages).n << PAGE_SHIFT | MMU_MACHPHYS_UPDATE,
                                       any_pfn()};
        if (chance(64))
            u[i].ptr += pvg_random(8);
    }
    pdone = chance(3) ? 0 : put(&done, sizeof(done));
    rc = hcall(__HYPERVISOR_mmu_update, put_list(u, n * sizeof(*u)), n, pdone, foreign);
    if (!rc && asked && !privileged)
        world_flaw("domain %u, unprivileged, has worked on another's page tables",
                   me ? me->d->id : 0);
    return rc;
}

static long do_update_va(void)
{
    unsigned pfn = any_pfn();
    uint64_t val = any_entry(me, *world_l1e(me, pfn)), va = pvg_va(pfn);
    uint64_t flags = pvg_random(chance(16) ? 4 : 3);

    if (chance(3))
        val = pte_make(me->mfn[pfn], any_flags());
    if (chance(8))
        va = PVG_DIRECT + ((uint64_t)any_index() << 30) + ((uint64_t)any_index() << 21) +
             any_index() * PAGE_SIZE;
    if (chance(32))
        va = any_u64();
    if (chance(2)) {
        uint64_t mask = chance(2) ? 3 : any_u64();

        flags |= chance(2) ? UVMF_ALL : chance(2) ? put(&mask, sizeof(mask)) : any_va() & ~3ul;
    }
    if (chance(16))
        return hcall(__HYPERVISOR_update_va_mapping_otherdomain, va, val, flags, any_domid());
    return hcall(__HYPERVISOR_update_va_mapping, va, val, flags, 0);
}

static long ext(unsigned cmd, uint64_t arg1, uint64_t arg2, uint32_t foreign)
{
    struct mmuext_op op = {.cmd = cmd};

    op.arg1.mfn = arg1;
    op.arg2.src_mfn = arg2;
    return hcall(__HYPERVISOR_mmuext_op, put(&op, sizeof(op)), 1, 0, foreign);
}

static long do_pin(void)
{
    struct world_dom *of = chance(16) ? any_dom() : me;
    unsigned cmd = chance(2) ? MMUEXT_UNPIN_TABLE : pvg_random(4), pfn = any_pfn();
    mfn_t m = of->mfn[pfn];

    if (of == me && chance(2) && (!make_plain(pfn) || me != of))
        return -EBUSY;
    m = of->mfn[pfn];
    if (cmd != MMUEXT_UNPIN_TABLE && of == me && chance(2) &&
        (hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), pte_make(m, PTE_P), 0, 0) || me != of))
        return -EBUSY;
    for (unsigned i = 0; i < 20 && cmd == MMUEXT_UNPIN_TABLE && !frame_is_pinned(m); i++)
        m = of->mfn[any_pfn()];
    return ext(cmd, m.n, 0, of == me ? DOMID_SELF : of->d->id);
}

/* A tree on purpose, as in random.c: tables of plain pages that lead to one another. */
static long do_build(void)
{
    struct world_dom *w = me;
    unsigned pfn[6], n = 1 + pvg_random(6), level[6];

    for (unsigned i = 0; i < n; i++) {
        pfn[i] = any_pfn();
        if (pfn[i] < PFN_FREE)
            return -EBUSY;
        for (unsigned j = 0; j < i; j++)
            if (pfn[j] == pfn[i])
                return -EBUSY;
        if (!make_plain(pfn[i]) || me != w)
            return -EBUSY;
        level[i] = 1 + i * 4 / n;
        for (unsigned k = 0; k < 4; k++) {
            unsigned below = i ? pvg_random(i) : 0;
            uint64_t e = pte_make(w->mfn[any_pfn()], PTE_P | PTE_A | (chance(4) ? PTE_RW : 0));

            if (level[i] > 1 && (level[below] == level[i] - 1 || chance(16)))
                e = pte_make(w->mfn[pfn[below]], PTE_P | PTE_U | (chance(8) ? 0 : PTE_RW));
            else if (level[i] > 1 && !chance(32))
                e = 0;
            else if (chance(12))
                e = pte_make(any_mfn(w), any_flags());
            if (hw_write_guest_u64(pvg_va(pfn[i]) + any_index() * 8, e))
                return -EFAULT;
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn[i]),
                  chance(4) ? 0 : pte_make(w->mfn[pfn[i]], PTE_P),
                  chance(2) ? UVMF_TLB_FLUSH | UVMF_ALL : 0, 0) ||
            me != w)
            return -EBUSY;
    return ext(MMUEXT_PIN_L1_TABLE + level[n - 1] - 1, w->mfn[pfn[n - 1]].n, 0, DOMID_SELF);
}

static long do_base(void)
{
    struct world_dom *w = me;
    mfn_t m = chance(8) ? any_mfn(me) : me->mfn[chance(3) ? PFN_L4 : any_pfn()];
    uint64_t *l4 = mfn_to_virt(me->mfn[PFN_L4]);
    long rc;

    /* A base that maps what the present one does, so that the kernel lives on. */
    if (m.n < max_mfn && frame_owner_of(m) == &w->d->memory && frame_type_of(m) == FRAME_L4 &&
        !mfn_eq(m, w->mfn[PFN_L4])) {
        struct mmu_update u = {(m.n << PAGE_SHIFT) + pt_index(PVG_DIRECT, 4) * 8,
                               l4[pt_index(PVG_DIRECT, 4)]};

        rc = hcall(__HYPERVISOR_mmu_update, put_list(&u, sizeof(u)), 1, 0, DOMID_SELF);
        if (rc || me != w)
            return rc;
    }
    if (chance(2))
        return ext(MMUEXT_NEW_USER_BASEPTR, chance(3) ? 0 : m.n, 0, DOMID_SELF);
    rc = ext(MMUEXT_NEW_BASEPTR, m.n, 0, DOMID_SELF);
    if (rc == 0 && me == w && chance(2))
        rc = ext(MMUEXT_NEW_BASEPTR, w->mfn[PFN_L4].n, 0, DOMID_SELF);
    return rc;
}

static long do_ext(void)
{
    struct mmuext_op op[4];
    unsigned n = 1 + pvg_random(4);
    uint32_t done = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t mask = any_u64();

        op[i].cmd = chance(8) ? pvg_random(256) : MMUEXT_TLB_FLUSH_LOCAL + pvg_random(14);
        op[i].arg1.mfn = chance(2) ? any_mfn(me).n : any_va();
        op[i].arg2.src_mfn = chance(2) ? any_mfn(me).n : put(&mask, sizeof(mask));
        if (op[i].cmd == MMUEXT_SET_LDT) {
            op[i].arg1.linear_addr = pvg_va(any_pfn());
            op[i].arg2.nr_ents = pvg_random(chance(4) ? 10000 : 600);
        }
    }
    return hcall(__HYPERVISOR_mmuext_op, put_list(op, n * sizeof(*op)), n,
                 chance(2) ? 0 : put(&done, sizeof(done)), chance(8) ? any_domid() : DOMID_SELF);
}

static const struct {
    unsigned len;
    unsigned char code[8];
} instructions[] = {
    {3, {0x48, 0x89, 0x03}}, /* mov %rax,(%rbx) */
    {3, {0x48, 0x89, 0x03}},
    {4, {0x48, 0x89, 0x43, 0x00}},             /* mov %rax,0(%rbx) */
    {4, {0x48, 0x89, 0x04, 0x23}},             /* mov %rax,(%rbx) by SIB */
    {2, {0x89, 0x03}},                         /* mov %eax,(%rbx) */
    {2, {0x88, 0x03}},                         /* mov %al,(%rbx) */
    {3, {0x48, 0x87, 0x03}},                   /* xchg %rax,(%rbx) */
    {5, {0xf0, 0x48, 0x0f, 0xb1, 0x0b}},       /* lock cmpxchg %rcx,(%rbx) */
    {6, {0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05}}, /* lock btrq $5,(%rbx) */
    {5, {0xf0, 0x48, 0x83, 0x23, 0xfd}},       /* lock andq $-3,(%rbx) */
    {3, {0x48, 0x0f, 0xc7}},                   /* not to be had */
    {3, {0xf3, 0x48, 0xab}},                   /* rep stos */
};

/* A store to a page that is mapped read-only: a fault, which the hypervisor may emulate. */
static long do_write(void)
{
    unsigned pfn = chance(2) ? PFN_L1 : any_pfn(), index = pfn == PFN_L1 ? any_pfn() : any_index();
    uint64_t *pe = (uint64_t *)mfn_to_virt(me->mfn[pfn]) + index;
    struct regs *r = &cpu_local()->guest;
    uint64_t cr2 = pvg_va(pfn) + index * 8, code[2] = {0};

    memcpy(code, instructions[pvg_random(ARRAY_SIZE(instructions))].code, 8);
    r->rip = put(code, sizeof(code));
    r->rbx = cr2 + (chance(16) ? pvg_random(8) : 0);
    r->rdi = cr2;
    r->rax = chance(2) ? peek(pe) : any_entry(me, peek(pe));
    r->rcx = any_entry(me, peek(pe));
    r->entry_vector = VEC_PF;
    r->error_code = chance(16) ? pvg_random(32) : PFEC_P | PFEC_W | PFEC_U;
    write_cr2(cr2);
    world_may_fail = true;
    pv_handle_trap(r);
    world_may_fail = false;
    world_exit();
    return 0;
}

/* ---- memory ---- */

static unsigned fill_frames(uint64_t *list, unsigned n, bool pfns)
{
    for (unsigned i = 0; i < n; i++)
        list[i] = pfns ? any_pfn() : any_mfn(me).n;
    return n;
}

static void take_frames(struct world_dom *w, const uint64_t *pfn, uint64_t va, long n)
{
    for (long i = 0; i < n && me == w; i++) {
        uint64_t m = *(uint64_t *)arg_at(va + (uint64_t)i * 8);

        if (pfn[i] >= PFN_FREE && pfn[i] < WORLD_FRAMES && m < max_mfn)
            w->mfn[pfn[i]] = mfn(m);
    }
}

static long do_reservation(void)
{
    static const unsigned cmds[] = {XENMEM_populate_physmap, XENMEM_populate_physmap,
                                    XENMEM_decrease_reservation, XENMEM_decrease_reservation,
                                    XENMEM_increase_reservation};
    unsigned cmd = cmds[pvg_random(ARRAY_SIZE(cmds))], n = chance(3) ? 1 + pvg_random(60) : 1;
    struct xen_memory_reservation a = {.nr_extents = n, .domid = DOMID_SELF};
    struct world_dom *w = me;
    bool pinned, foreign, privileged = me->d->privileged;
    uint64_t frame[64], va;
    long rc;

    if (chance(8))
        a.domid = any_domid();
    if (chance(8))
        a.extent_order = pvg_random(chance(4) ? 64 : 4);
    if (chance(8))
        a.mem_flags = XENMEMF_address_bits(pvg_random(70));
    if (chance(32))
        a.mem_flags |= 1u << pvg_random(32);
    if (chance(32))
        a.nr_extents = any_u64();
    fill_frames(frame, n, cmd == XENMEM_populate_physmap);
    if (cmd == XENMEM_decrease_reservation && chance(2)) {
        unsigned pfn = any_pfn();

        /* As a kernel does it: unmapped first. */
        (void)hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), 0, UVMF_INVLPG | UVMF_ALL, 0);
        if (me != w)
            return -ERESTART;
        frame[0] = w->mfn[pfn].n;
    }
    va = put_list(frame, n * 8);
    set_xen_guest_handle(a.extent_start, (xen_pfn_t *)(chance(40) ? 0 : va));
    pinned = frame_is_pinned(mfn(frame[0])) && !a.extent_order;
    foreign = a.domid != DOMID_SELF && a.domid != w->d->id;
    rc = hcall(__HYPERVISOR_memory_op, cmd, put(&a, sizeof(a)), 0, 0);
    if (rc > 0 && foreign && !privileged)
        world_flaw("an unprivileged domain has changed the memory of domain %u", a.domid);
    if (rc > 0 && n == 1 && pinned && cmd == XENMEM_decrease_reservation)
        world_flaw("frame %lx, a pinned table, was given back", (unsigned long)frame[0]);
    if (rc > 0 && me == w && a.domid == DOMID_SELF && !a.extent_order &&
        cmd == XENMEM_populate_physmap)
        take_frames(w, frame, va, rc <= (long)n ? rc : 0);
    return rc >= 0 ? 0 : rc;
}

static long do_exchange(void)
{
    unsigned in = 1 + pvg_random(8), order = chance(4) ? 1 + pvg_random(3) : 0;
    struct world_dom *w = me;
    struct xen_memory_exchange a = {0};
    uint64_t frame[16] = {0}, pfn[8], va;
    bool used;
    long rc;

    if (order)
        in = 1u << order;
    for (unsigned i = 0; i < in; i++) {
        pfn[i] = any_pfn();
        if (!chance(6)) {
            (void)hcall(__HYPERVISOR_update_va_mapping, pvg_va((unsigned)pfn[i]), 0, 0, 0);
            if (me != w)
                return -ERESTART;
        }
    }
    for (unsigned i = 0; i < in; i++) {
        frame[i] = w->mfn[pfn[i]].n;
        frame[8 + i] = pfn[i];
    }
    va = put_list(frame, sizeof(frame));
    a.in.domid = a.out.domid = DOMID_SELF;
    a.in.nr_extents = in;
    a.out.nr_extents = in >> order;
    a.out.extent_order = order;
    if (chance(12)) {
        a.out.domid = any_domid();
        a.in.domid = chance(2) ? a.out.domid : DOMID_SELF;
    }
    if (chance(16))
        a.nr_exchanged = pvg_random(12);
    if (chance(16))
        a.in.extent_order = pvg_random(70);
    if (chance(16))
        a.in.nr_extents = any_u64();
    if (chance(6))
        a.out.mem_flags = XENMEMF_address_bits(pvg_random(70));
    set_xen_guest_handle(a.in.extent_start, (xen_pfn_t *)va);
    set_xen_guest_handle(a.out.extent_start, (xen_pfn_t *)(va + 64));
    used = in == 1 && frame_ref_count(mfn(frame[0])) > 1;
    rc = hcall(__HYPERVISOR_memory_op, XENMEM_exchange, put(&a, sizeof(a)), 0, 0);
    if (used && !rc && !a.nr_exchanged)
        world_flaw("frame %lx was exchanged in use: %lu of order %u, %lu of order %u",
                   (unsigned long)frame[0], a.in.nr_extents, a.in.extent_order, a.out.nr_extents,
                   a.out.extent_order);
    if (!rc && me == w && !order && a.out.domid == DOMID_SELF)
        take_frames(w, pfn, va + 64, in);
    return rc;
}

static long do_memory_op(void)
{
    unsigned cmd = pvg_random(32);
    uint8_t a[128];
    uint64_t va;

    scramble(a, sizeof(a));
    if (chance(2))
        *(domid_t *)(void *)a = any_domid();
    if (cmd == XENMEM_memory_map || cmd == XENMEM_machine_memory_map ||
        cmd == XENMEM_machphys_mfn_list) {
        struct xen_memory_map m = {.nr_entries = pvg_random(40)};

        set_xen_guest_handle(m.buffer, (void *)put_list(a, sizeof(a)));
        memcpy(a, &m, sizeof(m));
    } else if (cmd == XENMEM_set_memory_map) {
        struct xen_foreign_memory_map m = {.domid = any_domid(),
                                           .map = {.nr_entries = pvg_random(200)}};

        set_xen_guest_handle(m.map.buffer, (void *)put_list(a, sizeof(a)));
        memcpy(a, &m, sizeof(m));
    } else if (cmd == XENMEM_acquire_resource) {
        struct xen_mem_acquire_resource m = {
            .domid = any_domid(), .type = 1, .id = pvg_random(3), .nr_frames = pvg_random(5)};

        if (chance(8))
            m.type = (uint16_t)pvg_random(6);

        if (chance(8))
            m.frame = any_u64();
        if (!chance(4))
            set_xen_guest_handle(m.frame_list, (xen_pfn_t *)put_list(a, sizeof(a)));
        memcpy(a, &m, sizeof(m));
    } else if (cmd == XENMEM_claim_pages) {
        struct xen_memory_reservation m = {.domid = any_domid()};

        if (!chance(3)) /* of what it has, and may have */
            m.nr_extents = chance(4) ? pvg_random(1000) : WORLD_FRAMES + pvg_random(30);
        memcpy(a, &m, sizeof(m));
    }
    va = put(a, sizeof(a));
    return hcall(__HYPERVISOR_memory_op, cmd | (chance(32) ? any_u64() << 6 : 0), va, 0, 0);
}

const struct world_kind world_memory_kinds[] = {
    {"mmu_update", do_mmu_update, 20},
    {"update_va", do_update_va, 10},
    {"pin", do_pin, 8},
    {"build", do_build, 6},
    {"base", do_base, 3},
    {"mmuext", do_ext, 4},
    {"write", do_write, 8},
    {"reservation", do_reservation, 8},
    {"exchange", do_exchange, 4},
    {"memory_op", do_memory_op, 4},
    {NULL, NULL, 0},
};
