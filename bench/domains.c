/* SPDX-License-Identifier: MIT */
/* What happens between domains, and between vCPUs: switches, wake-ups, timers, events and grants
 * from domain to domain, and the making and unmaking of domains as libxl does it.
 *
 * It runs as domain 0 with two vCPUs on one CPU, so that whoever waits costs no instructions. The
 * other domain is a copy of this kernel (lib/domu.h) that runs one of the functions below. */
#include "lib/domu.h"
#include "lib/second.h"
#include "bench.h"

#define REF             10
#define SUPERPAGE       9  /* order */
#define BATCH           16 /* frames that Linux maps for the tools in one call */
#define NR_SMALL        200
#define NR_IDLE         8
#define MB_PAGES(mb)    ((mb)*256u)
#define TSC_MODE_NATIVE 2 /* public arch-x86/cpuid.h */

static volatile unsigned int port; /* the other domain's */
static volatile uint64_t turns;    /* of whoever is the other */
static volatile uint64_t away;     /* what spinner() did not get */
static unsigned int local;         /* our end */
static struct domu d;

/* ---- events without ceremony ---- */

extern char light_upcall[];
asm(".text\n"
    "light_upcall: mov vcpu_info(%rip), %rcx; movb $0, (%rcx)\n"
    "    pop %rcx; pop %r11; push $0; push %rcx; push %r11; push %rax; mov $23, %eax; syscall\n");

static void be_light(void)
{
    struct callback_register cb = {.type = CALLBACKTYPE_event, .address = UL(light_upcall)};

    need_eq(hc_callback_op(CALLBACKOP_register, &cb), 0);
}

/* Blocks until p is pending, and takes it. */
static void take(vcpu_info_t *info, unsigned int p)
{
    for (;;) {
        info->evtchn_upcall_mask = 1;
        info->evtchn_pending_sel = 0; /* or the next event would not be told */
        if (event_pending(p))
            break;
        hc_sched_op(SCHEDOP_block, NULL); /* unmasks */
    }
    event_clear(p);
}

static void unmask(unsigned int p)
{
    event_clear(p);
    shared_info->evtchn_mask[p / 64] &= ~(1ul << p % 64);
}

/* ---- what the other one does ---- */

static void echo(void)
{
    be_light();
    unmask(port);
    for (;; turns++) {
        take(vcpu_info, port);
        event_send(port);
    }
}

static void yielder(void)
{
    for (;; turns++)
        hc_sched_op(SCHEDOP_yield, NULL);
}

/* Always runs; counts the ticks it does not get. A turn takes a few. */
static void spinner(void)
{
    uint64_t now = rdtsc(), last;

    for (;;) {
        last = now;
        now = rdtsc();
        if (now - last > 50)
            away += now - last;
    }
}

/* The same on the second vCPU, until it is told to stop. */
static unsigned int second_port;
static volatile bool stop;

static void second_echo(void)
{
    while (!stop) {
        take(second_info, second_port);
        event_send(local);
    }
}

static void second_yielder(void)
{
    for (; !stop; turns++)
        hc_sched_op(SCHEDOP_yield, NULL);
}

/* ---- between vCPUs and domains ---- */

static void start(void (*function)(void))
{
    struct xen_domctl op = {.u.tsc_info.tsc_mode = TSC_MODE_NATIVE};

    domu_create(&d, function);
    need_eq(domctl(&op, XEN_DOMCTL_settscinfo, d.id), 0);
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
}

static void round_trip(const char *name, unsigned int to)
{
    unmask(local);
    for (unsigned int i = 0; i < 4; i++) { /* until both wait */
        event_send(to);
        take(vcpu_info, local);
    }
    BENCH(name, , (event_send(to), take(vcpu_info, local)));
}

/* Only turns in which the other ran just once count: two yields, two switches. */
static void yield_and_back(const char *name, const volatile uint64_t *seen)
{
    unsigned int n = 0;

    for (unsigned int tries = 0; n < RUNS && tries < 100 * RUNS; tries++) {
        uint64_t before = *seen, from = rdtsc(), ticks;

        hc_sched_op(SCHEDOP_yield, NULL);
        ticks = rdtsc() - from;
        if (*seen == before + 1)
            record(n++, ticks);
    }
    if (n == RUNS)
        printf("BENCH %s %lu %lu\n", name, best, total / RUNS);
}

static void bench_vcpus(void)
{
    second_port = second_bind_ipi();
    local = event_bind_ipi();
    be_light();
    unmask(second_port);
    second_start(second_echo);
    round_trip("vcpu_ipi", second_port);
    stop = true;
    event_send(second_port);
    need_eq(second_wait(), true);
    stop = false;
    second_start(second_yielder);
    yield_and_back("vcpu_yield", &turns);
    stop = true;
    need_eq(second_wait(), true);
    event_close(local);
}

static void bench_events(void)
{
    struct evtchn_alloc_unbound alloc = {.remote_dom = 0};
    struct evtchn_bind_interdomain bind;

    domu_create(&d, echo);
    alloc.dom = d.id;
    need_eq(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0);
    *domu_view(&d, &port) = alloc.port;
    bind = (struct evtchn_bind_interdomain){.remote_dom = d.id, .remote_port = alloc.port};
    need_eq(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0);
    local = bind.local_port;
    need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
    sleep_ms(5);
    round_trip("event_round_trip", local);
}

/* A timer that is set, fires and is handled, without other work: its call and what is missing. */
static void bench_timer(void)
{
    unsigned int timer = event_bind_virq(VIRQ_TIMER);

    unmask(timer);
    for (unsigned int i = 0; i < RUNS; i++) {
        uint64_t from = rdtsc(), cost, now, last;
        bool fired;

        vcpu_info->evtchn_upcall_mask = 1;
        hc_set_timer_op(time_now() + 300000);
        now = rdtsc();
        cost = now - from;
        vcpu_info->evtchn_upcall_mask = 0;
        do { /* the look comes first: what follows it shows in the next turn */
            fired = event_pending(timer);
            last = now;
            now = rdtsc();
            if (now - last > 50)
                cost += now - last;
        } while (!fired);
        vcpu_info->evtchn_upcall_mask = 1;
        event_clear(timer);
        vcpu_info->evtchn_pending_sel = 0;
        record(i, cost);
    }
    printf("BENCH timer_set_fire %lu %lu\n", best, total / RUNS);

    /* Blocked beside a domain that runs: all that this takes from it. */
    start(spinner);
    for (unsigned int i = 0; i < RUNS; i++) {
        uint64_t before = *domu_view(&d, &away);

        hc_set_timer_op(time_now() + 3000000);
        take(vcpu_info, timer);
        record(i, *domu_view(&d, &away) - before);
    }
    printf("BENCH block_timer_wake %lu %lu\n", best, total / RUNS);
    domu_destroy(&d);
    event_close(timer);
}

static void bench_grants(void)
{
    struct xen_mem_acquire_resource r = {.type = XENMEM_resource_grant_table, .nr_frames = 1};
    struct gnttab_map_grant_ref m = {.flags = GNTMAP_host_map, .ref = REF, .dom = d.id};
    struct gnttab_unmap_grant_ref u = {0};
    struct gnttab_copy c = {.flags = GNTCOPY_source_gref, .len = PAGE_SIZE};
    grant_entry_v1_t *table = hole_alloc();
    unsigned long mfn = 0;

    r.domid = d.id;
    set_xen_guest_handle(r.frame_list, &mfn);
    need_eq(hc_memory_op(XENMEM_acquire_resource, &r), 0);
    need_eq(map_foreign(d.id, table, mfn, PTE_KERNEL), 0);
    table[REF].frame = d.mfn[d.nr_pages - 1];
    table[REF].flags = GTF_permit_access;
    u.host_addr = m.host_addr = UL(hole_alloc());
    BENCH("foreign_grant_map", , ({
              hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1);
              u.handle = m.handle;
              hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1);
          }));
    need_eq(m.status, GNTST_okay);
    need_eq(u.status, GNTST_okay);
    c.source.u.ref = REF;
    c.source.domid = d.id;
    c.dest.domid = DOMID_SELF;
    c.dest.u.gmfn = virt_to_mfn(page_alloc());
    BENCH("foreign_grant_copy", , hc_grant_table_op(GNTTABOP_copy, &c, 1));
    need_eq(c.status, GNTST_okay);
    need_eq(page_unmap(table), 0);
}

/* As the tools see another's memory: a batch is mapped, used and unmapped. */
static void bench_foreign_maps(void)
{
    static struct mmu_update map[BATCH], unmap_all[BATCH];

    domu_close(&d);
    for (unsigned int i = 0; i < BATCH; i++) {
        map[i].ptr = unmap_all[i].ptr = virt_to_maddr(pte_lookup(d.view + i * PAGE_SIZE, 1));
        map[i].val = mfn_pte(d.mfn[i], PTE_KERNEL);
    }
    BENCH(
        "foreign_map_16", ,
        (hc_mmu_update(map, BATCH, NULL, d.id), hc_mmu_update(unmap_all, BATCH, NULL, DOMID_SELF)));
}

/* ---- domains made and unmade ---- */

static void set_memory(domid_t id, unsigned int pages)
{
    struct xen_domctl op = {0};

    op.u.max_mem.max_memkb = pages * 4;
    need_eq(domctl(&op, XEN_DOMCTL_max_mem, id), 0);
}

static void populate(domid_t id, unsigned int first, unsigned int nr, unsigned int order)
{
    static unsigned long extents[512];
    struct xen_memory_reservation r = {.nr_extents = nr, .domid = id, .extent_order = order};

    for (unsigned int i = 0; i < nr; i++)
        extents[i] = first + ((unsigned long)i << order);
    set_xen_guest_handle(r.extent_start, extents);
    need_eq(hc_memory_op(XENMEM_populate_physmap, &r), nr);
}

static void destroy(domid_t id)
{
    need_eq(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
}

static void wait_gone(domid_t id)
{
    while (domain_info(id, NULL) == 0)
        sleep_ms(5);
}

/* A guest of 256 MiB: its memory as libxl asks for it, and its end. The second one counts: the
 * first finds memory that nobody had before. */
static void bench_large(void)
{
    for (int i = 0; i < 2; i++) {
        domid_t id = domu_create_empty();

        set_memory(id, MB_PAGES(256));
        BENCH_ONCE(i ? "populate_256m" : "populate_256m_once",
                   populate(id, 0, MB_PAGES(256) >> SUPERPAGE, SUPERPAGE));
        BENCH_ONCE(i ? "destroy_256m" : "destroy_256m_once", destroy(id));
        wait_gone(id);
        sleep_ms(1000); /* for work that was put off */
    }
}

/* The n-th domain costs what the first did. */
static void bench_small(void)
{
    static domid_t ids[NR_SMALL];

    for (unsigned int i = 0, n = 0; i < NR_SMALL; i++) {
        uint64_t from = rdtsc();

        ids[i] = domu_create_empty();
        populate(ids[i], 0, 8, 0);
        n = i == NR_SMALL - 10 ? 0 : n;
        record(n++, rdtsc() - from);
        if (i == 9 || i == NR_SMALL - 1)
            printf("BENCH create_%s %lu %lu\n", i == 9 ? "first" : "last", best, total / n);
    }
    for (unsigned int i = 0; i < NR_SMALL; i++) {
        uint64_t from = rdtsc();

        destroy(ids[i]);
        record(i, rdtsc() - from);
        wait_gone(ids[i]);
    }
    printf("BENCH destroy_small %lu %lu\n", best, total / NR_SMALL);
}

/* What the hypervisor itself takes for a guest of 32 MiB that waits. */
static void bench_memory(void)
{
    uint64_t before = free_pages_settled(), taken, given = 0;
    struct xen_domctl_getdomaininfo info;
    domid_t ids[NR_IDLE];

    for (unsigned int i = 0; i < NR_IDLE; i++) {
        domu_create(&d, echo);
        set_memory(d.id, MB_PAGES(32));
        populate(d.id, 4096, 13, SUPERPAGE); /* the first 2 MiB are built */
        need_eq(domain_info(d.id, &info), 0);
        given += info.tot_pages;
        domu_close(&d);
        need_eq(domctl_plain(XEN_DOMCTL_unpausedomain, d.id), 0);
        ids[i] = d.id;
    }
    taken = before - free_pages_settled() - given;
    printf("BENCH idle_guest_bytes %lu %lu\n", taken * PAGE_SIZE / NR_IDLE,
           taken * PAGE_SIZE / NR_IDLE);
    for (unsigned int i = 0; i < NR_IDLE; i++) {
        destroy(ids[i]);
        wait_gone(ids[i]);
    }
}

void test_main(void)
{
    hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
    bench_begin();
    bench_vcpus();
    bench_timer();
    bench_events();
    bench_grants();
    bench_foreign_maps();
    destroy(d.id);
    domu_gone(&d);
    start(yielder);
    yield_and_back("domain_yield", domu_view(&d, &turns));
    domu_destroy(&d);
    bench_memory();
    bench_large();
    bench_small();
    test_pass();
}
