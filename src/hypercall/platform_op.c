/* SPDX-License-Identifier: MIT */
/* platform_op: what domain 0's kernel asks of the machine: the wall clock, the firmware's data,
 * sleep states, processors. Each operation works on a copy of the caller's structure; those that
 * give something back have it written in one piece. Public platform.h; ABI.md 2.3. */
#include "hypercall/platform.h"

#include "base/symbols.h"
#include "domain/guest_copy.h"
#include "hypercall/control.h"
#include "hypercall/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "platform/acpi.h"
#include "platform/lapic.h"
#include "platform/power.h"
#include "time/clock.h"

/* ---- time ---- */

static long set_wallclock(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
    struct domain *d;
    int rc = wallclock_set(sec, nsec, system_ns);

    if (rc)
        return refuse(rc, "wall clock of %lu s, %u ns at system time %lu", sec, nsec, system_ns);
    for_each_domain (d) {
        lock(&d->lock);
        domain_wallclock_update(d);
        unlock(&d->lock);
    }
    return 0;
}

static long op_settime32(struct xen_platform_op *op)
{
    return set_wallclock(op->u.settime32.secs, op->u.settime32.nsecs, op->u.settime32.system_time);
}

static long op_settime64(struct xen_platform_op *op)
{
    const xenpf_settime64_t *t = &op->u.settime64;

    if (t->mbz)
        return refuse(-EINVAL, "settime64: mbz is %#x", t->mbz);
    return set_wallclock(t->secs, t->nsecs, t->system_time);
}

/* ---- power ---- */

static long op_enter_acpi_sleep(struct xen_platform_op *op)
{
    const xenpf_enter_acpi_sleep_t *s = &op->u.enter_acpi_sleep;
    int rc;

    if (s->flags & ~XENPF_ACPI_SLEEP_EXTENDED)
        return refuse(-EINVAL, "ACPI sleep: flags %#x", s->flags);
    rc =
        power_enter_sleep(s->sleep_state, s->val_a, s->val_b, s->flags & XENPF_ACPI_SLEEP_EXTENDED);
    if (rc)
        return refuse(rc, "ACPI sleep state S%u with values %#x, %#x", s->sleep_state, s->val_a,
                      s->val_b);
    return 0;
}

/* Intel processor vendor-specific ACPI, 4.1: what an operating system says it can do. Argon uses
 * neither MWAIT for idle states nor the registers for performance and throttling states. */
#define PDC_REVISION   1u
#define PDC_P_FFH      BIT(0)
#define PDC_T_FFH      BIT(2)
#define PDC_C_C1_FFH   BIT(8)
#define PDC_C_C2C3_FFH BIT(9)

/* Three words: revision, count of capability words (one), capabilities; masked in place. */
static long mask_pdc(uint64_t va)
{
    uint32_t word[3];

    if (guest_read(word, va, sizeof(word)))
        return -EFAULT;
    if (word[0] != PDC_REVISION || word[1] < 1)
        return refuse(-EINVAL, "_PDC of revision %u with %u words", word[0], word[1]);
    word[2] &= ~(uint32_t)(PDC_P_FFH | PDC_T_FFH | PDC_C_C1_FFH | PDC_C_C2C3_FFH);
    return guest_write_at(va, 2, &word[2]);
}

static long op_set_processor_pminfo(struct xen_platform_op *op)
{
    const xenpf_set_processor_pminfo_t *p = &op->u.set_pminfo;

    switch (p->type) {
    case XEN_PM_PDC:
        return mask_pdc(handle_va(p->u.pdc));
    case XEN_PM_CX:
    case XEN_PM_PX:
    case XEN_PM_TX:
        return refuse(-ENOSYS, "power states of processor %u: they are not managed", p->id);
    default:
        return refuse(-EINVAL, "processor power information of type %u", p->type);
    }
}

static long op_core_parking(struct xen_platform_op *op)
{
    switch (op->u.core_parking.type) {
    case XEN_CORE_PARKING_SET:
        return refuse(-ENOSYS, "core parking is not managed");
    case XEN_CORE_PARKING_GET:
        op->u.core_parking.idle_nums = 0;
        return 0;
    default:
        return refuse(-EINVAL, "core parking: type %u", op->u.core_parking.type);
    }
}

/* ---- processors ---- */

static uint32_t cpu_last(void)
{
    uint32_t last = 0, cpu;

    bitmap_for_each (cpu, cpus_present.bits, MAX_CPUS)
        last = cpu;
    return last;
}

static bool cpu_is_present(uint32_t cpu)
{
    return cpu < MAX_CPUS && bitmap_test(cpus_present.bits, cpu);
}

static long op_get_cpuinfo(struct xen_platform_op *op)
{
    xenpf_pcpuinfo_t *p = &op->u.pcpu_info;
    uint32_t cpu = p->xen_cpuid;

    p->max_present = cpu_last();
    p->flags = XEN_PCPU_FLAGS_INVALID;
    p->apic_id = p->acpi_id = ~0u;
    if (!cpu_is_present(cpu))
        return 0;
    cpu = (uint32_t)index_nospec(cpu, MAX_CPUS);
    p->flags = bitmap_test(cpus_active.bits, cpu) ? XEN_PCPU_FLAGS_ONLINE : 0;
    p->apic_id = cpu_apic_id[cpu];
    for (unsigned i = 0; i < acpi_info.nr_cpus; i++)
        if (acpi_info.cpu[i].enabled && acpi_info.cpu[i].apic_id == p->apic_id)
            p->acpi_id = acpi_info.cpu[i].acpi_id;
    return 0;
}

/* Intel SDM vol. 2A, CPUID leaf 1: the parts of the signature. All processors are taken to be the
 * same. */
static long op_get_cpu_version(struct xen_platform_op *op)
{
    xenpf_pcpu_version_t *p = &op->u.pcpu_version;
    struct cpuid_leaf vendor = hw_cpuid(0, 0);
    uint32_t sig = hw_cpuid(1, 0).a;

    p->max_present = cpu_last();
    p->family = p->model = p->stepping = 0;
    memset(p->vendor_id, 0, sizeof(p->vendor_id));
    if (!cpu_is_present(p->xen_cpuid))
        return 0;
    memcpy(p->vendor_id, &vendor.b, 4);
    memcpy(p->vendor_id + 4, &vendor.d, 4);
    memcpy(p->vendor_id + 8, &vendor.c, 4);
    p->family = sig >> 8 & 0xf;
    p->model = sig >> 4 & 0xf;
    p->stepping = sig & 0xf;
    if (p->family == 0xf || p->family == 6)
        p->model |= sig >> 12 & 0xf0;
    if (p->family == 0xf)
        p->family += sig >> 20 & 0xff;
    return 0;
}

/* -ERESTART: a tool's call is under way, or this one goes on elsewhere. */
static long cpu_service(uint32_t cpu, bool online)
{
    long rc;

    if (!control_enter()) {
        (void)!hypercall_preempt();
        return -ERESTART;
    }
    rc = control_cpu_service(cpu, online);
    control_leave();
    return rc;
}

static long op_cpu_online(struct xen_platform_op *op)
{
    return cpu_service(op->u.cpu_ol.cpuid, true);
}

static long op_cpu_offline(struct xen_platform_op *op)
{
    return cpu_service(op->u.cpu_ol.cpuid, false);
}

/* ---- the rest ---- */

static long op_platform_quirk(struct xen_platform_op *op)
{
    switch (op->u.platform_quirk.quirk_id) {
    case QUIRK_NOIRQBALANCING: /* interrupts stay where they are put */
    case QUIRK_IOAPIC_BAD_REGSEL:
    case QUIRK_IOAPIC_GOOD_REGSEL: /* the index is written for each access anyway */
        return 0;
    default:
        return refuse(-EINVAL, "platform quirk %u", op->u.platform_quirk.quirk_id);
    }
}

/* Name and address of symbol `symnum`; the guest sees the end by a number that did not grow. */
static long op_get_symbol(struct xen_platform_op *op)
{
    xenpf_symdata_t *s = &op->u.symdata;
    const char *name;
    uint32_t room = s->namelen;

    s->namelen = 0;
    name = symbol_at(s->symnum, &s->address);
    if (!name)
        return 0;
    s->symnum++;
    s->namelen = (uint32_t)strlen(name);
    s->type = 't';
    return guest_write(handle_va(s->name), name, min(room, s->namelen + 1));
}

/* ---- dispatch ---- */

struct platform_call {
    uint32_t cmd;
    bool reply; /* the structure goes back */
    long (*fn)(struct xen_platform_op *op);
};

/* What is not here is not done: MTRRs (domain 0 has none), microcode, calls of the EFI runtime, the
 * frequency, hot plug, resource control. */
static const struct platform_call calls[] = {
    {XENPF_settime32, false, op_settime32},
    {XENPF_settime64, false, op_settime64},
    {XENPF_platform_quirk, false, op_platform_quirk},
    {XENPF_get_cpu_version, true, op_get_cpu_version},
    {XENPF_firmware_info, true, platform_firmware_info},
    {XENPF_enter_acpi_sleep, false, op_enter_acpi_sleep},
    {XENPF_set_processor_pminfo, false, op_set_processor_pminfo},
    {XENPF_get_cpuinfo, true, op_get_cpuinfo},
    {XENPF_cpu_online, false, op_cpu_online},
    {XENPF_cpu_offline, false, op_cpu_offline},
    {XENPF_core_parking, true, op_core_parking},
    {XENPF_get_symbol, true, op_get_symbol},
};

long platform_op(uint64_t arg)
{
    struct xen_platform_op op;
    long rc;

    if (guest_read(&op, arg, sizeof(op)))
        return -EFAULT;
    if (!current()->domain->hardware)
        return refuse(-EPERM, "platform operation %u of domain %u", op.cmd, current()->domain->id);
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return refuse(-EACCES, "platform_op of interface version %#x", op.interface_version);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        if (calls[i].cmd != op.cmd)
            continue;
        rc = calls[i].fn(&op);
        if (rc == -ERESTART)
            return hypercall_continue_with(__HYPERVISOR_platform_op, arg);
        if (rc == 0 && calls[i].reply && guest_write(arg, &op, sizeof(op)))
            rc = -EFAULT;
        return rc;
    }
    return refuse(-ENOSYS, "platform operation %u", op.cmd);
}
