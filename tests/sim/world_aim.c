/* SPDX-License-Identifier: MIT */
/* Arguments, well aimed: valid, nearly so, and hostile; and how a kernel makes a call. */
#include <string.h>

#include "base/softirq.h"
#include "grant/table.h"
#include "hypercall/hypercall.h"
#include "world.h"

#include <xen/memory.h>

/* ---- choices ---- */

struct world_dom *any_dom(void)
{
    return &world[pvg_random(WORLD_DOMS)];
}

domid_t any_domid(void)
{
    switch (pvg_random(12)) {
    case 0:
        return (domid_t)pvg_random(16);
    case 1:
        return (domid_t)(DOMID_FIRST_RESERVED + pvg_random(16));
    case 2:
    case 3:
        return DOMID_SELF;
    case 4:
        return chance(2) || !world_hvm.d ? world_nursery() : world_hvm.d->id;
    default:
        return any_dom()->d ? any_dom()->d->id : 0;
    }
}

unsigned any_pfn(void)
{
    if (chance(300))
        return pvg_random(WORLD_FRAMES);
    return chance(4) ? PFN_FREE + pvg_random(WORLD_FRAMES - PFN_FREE)
                     : PFN_FREE + pvg_random(PFN_SPOIL_END - PFN_FREE);
}

/* Of its table: pages of the hypervisor's that the guest may map. */
static mfn_t any_grant_frame(const struct world_dom *of)
{
    const struct gnttab *t = of->d ? of->d->grants : NULL;

    if (t && t->status_frames && chance(2))
        return virt_to_mfn(t->status[pvg_random(t->status_frames)]);
    return t && t->frames ? virt_to_mfn(t->shared[pvg_random(t->frames)]) : mfn(0);
}

mfn_t any_mfn(struct world_dom *of)
{
    switch (pvg_random(30)) {
    case 0:
        return mfn(pvg_random(0x120)); /* devices, and below RAM */
    case 1:
        return mfn(pvg_random(max_mfn + 16));
    case 2:
        return any_dom()->mfn[any_pfn()];
    case 3:
        return of->d ? virt_to_mfn(of->d->shared_info) : mfn(0);
    case 4:
        return of->mfn[pvg_random(PFN_USER_L4 + 1)];
    case 5:
        return of->d && of->d->pv ? of->d->pv->perdomain_mfn : mfn(0);
    case 6:
        return mfn(any_u64());
    case 7:
        return any_grant_frame(of);
    default:
        return of->mfn[any_pfn()];
    }
}

unsigned any_index(void)
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

uint64_t any_u64(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0xff,
                                     0xfff,
                                     0x1000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x7fffffffffff,
                                     0x800000000000,
                                     0xffff800000000000,
                                     0xffff87ffffffffff,
                                     0xffff880000000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     ~0ull};

    switch (pvg_random(4)) {
    case 0:
        return edges[pvg_random(ARRAY_SIZE(edges))] + pvg_random(3) - 1;
    case 1:
        return 1ull << pvg_random(64);
    case 2:
        return pvg_random(64);
    default:
        return (uint64_t)pvg_random(~0u) << 32 | pvg_random(~0u);
    }
}

uint64_t any_flags(void)
{
    uint64_t flags = PTE_P | PTE_U | PTE_A | PTE_D;

    if (chance(2))
        flags |= PTE_RW;
    if (chance(8))
        flags ^= 1ull << pvg_random(12);
    if (chance(8))
        flags |= 1ull << (52 + pvg_random(12));
    return flags;
}

uint64_t any_va(void)
{
    switch (pvg_random(16)) {
    case 0:
        return any_u64();
    case 1:
        return pvg_va(any_pfn()) + PAGE_SIZE - pvg_random(64); /* may run over the end */
    default:
        return pvg_va(any_pfn()) + 8 * pvg_random(PT_ENTRIES);
    }
}

void scramble(void *p, size_t n)
{
    uint8_t *b = p;
    unsigned how = pvg_random(3);

    for (size_t i = 0; i < n; i++)
        b[i] = how == 0 ? 0 : how == 1 || chance(2) ? (uint8_t)pvg_random(256) : 0;
}

/* ---- arguments ---- */

unsigned long world_calls;
static __thread unsigned used; /* of the argument page, since the call's beginning */

static uint64_t put_at(unsigned page, unsigned at, const void *p, size_t n)
{
    unsigned pfn = PFN_ARG + 2 * current()->id + page;

    memcpy((char *)mfn_to_virt(me->mfn[pfn]) + at, p, n);
    return pvg_va(pfn) + at;
}

__thread bool world_elsewhere;

static uint64_t maybe_elsewhere(uint64_t va, unsigned once_in)
{
    if (!chance(once_in))
        return va;
    world_elsewhere = true;
    return any_va();
}

uint64_t put(const void *p, size_t n)
{
    uint64_t va;

    if (used + n > PAGE_SIZE)
        used = 0;
    va = put_at(0, used, p, n);
    used += (unsigned)ROUND_UP(n, 8ul);
    return maybe_elsewhere(va, 400);
}

uint64_t put_list(const void *p, size_t n)
{
    uint64_t va = put_at(1, 0, p, n);

    return maybe_elsewhere(va, 200);
}

void *list_page(void)
{
    return mfn_to_virt(me->mfn[PFN_ARG + 2 * current()->id + 1]);
}

/* What stands there now: of the argument pages only. */
void *arg_at(uint64_t va)
{
    static char nothing[PAGE_SIZE];
    uint64_t first = pvg_va(PFN_ARG + 2 * current()->id);

    if (va < first || va >= first + 2 * PAGE_SIZE)
        return nothing;
    return (char *)mfn_to_virt(me->mfn[PFN_ARG + 2 * current()->id + (va - first) / PAGE_SIZE]) +
           va % PAGE_SIZE;
}

/* ---- calls ---- */

/* From the registers on, until it is done or somebody else runs here. */
static long call_on(struct vcpu *v)
{
    struct regs *r = &cpu_local()->guest;
    struct world_dom *w = me;

    for (unsigned i = 0;; i++) {
        long rc;

        v->continued = false;
        v->refusals.call = (uint32_t)r->rax; /* as the entry does */
        __atomic_fetch_add(&world_calls, 1, __ATOMIC_RELAXED);
        rc = hypercall_call(r->rax, r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9);
        if (!v->continued) {
            world_exit();
            return rc;
        }
        v->continued = false;
        r->rip += 2;
        world_exit();
        if (current() != v || i > 100000) {
            /* It goes on when it runs again; or never. */
            w->call[v->id].waits = w == me && chance(2);
            return -ERESTART;
        }
        if (chance(12))
            return -ERESTART; /* the guest has better to do */
    }
}

long hcall(unsigned op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    struct regs *r = &cpu_local()->guest;
    long rc;

    if (world_depth && op == __HYPERVISOR_domctl)
        return -EPERM; /* it may wait for the CPU whose call is interrupted */
    r->rax = op;
    r->rdi = a0;
    r->rsi = a1;
    r->rdx = a2;
    r->r10 = a3;
    world_may_fail = true;
    rc = call_on(current());
    world_may_fail = false;
    used = 0;
    return rc;
}

long hcall_again(void)
{
    long rc;

    world_may_fail = true;
    rc = call_on(current());
    world_may_fail = false;
    return rc;
}

/* ---- pages ---- */

static long update_va(unsigned pfn, uint64_t pte)
{
    return hcall(__HYPERVISOR_update_va_mapping, pvg_va(pfn), pte, 0, 0);
}

bool refresh(unsigned pfn)
{
    uint64_t frame = pfn, list;
    struct xen_memory_reservation a = {.nr_extents = 1, .domid = DOMID_SELF};
    struct world_dom *w = me;

    list = put_list(&frame, sizeof(frame));
    set_xen_guest_handle(a.extent_start, (xen_pfn_t *)list);
    if (hcall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, put(&a, sizeof(a)), 0, 0) != 1 ||
        me != w)
        return false;
    w->mfn[pfn] = mfn(*(uint64_t *)arg_at(list));
    return w->mfn[pfn].n < max_mfn && update_va(pfn, pte_make(w->mfn[pfn], PTE_P | PTE_RW)) == 0 &&
           me == w;
}

bool make_plain(unsigned pfn)
{
    struct world_dom *w = me;
    struct mmuext_op op = {.cmd = MMUEXT_UNPIN_TABLE};

    if (frame_owner_of(w->mfn[pfn]) != &w->d->memory)
        return refresh(pfn);
    if (frame_is_pinned(w->mfn[pfn])) {
        op.arg1.mfn = w->mfn[pfn].n;
        (void)hcall(__HYPERVISOR_mmuext_op, put(&op, sizeof(op)), 1, 0, DOMID_SELF);
        if (me != w)
            return false;
    }
    if (update_va(pfn, pte_make(w->mfn[pfn], PTE_P | PTE_RW)) || me != w)
        return false;
    return hw_clear_guest(pvg_va(pfn), PAGE_SIZE) == 0;
}
