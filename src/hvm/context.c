/* SPDX-License-Identifier: MIT */
/* The state of a fully virtual domain as records: a descriptor (type, instance, length), then the
 * structure of that type; the last is of type END. Public hvm/save.h and arch-x86/hvm/save.h.
 *
 * A list of records comes in as a whole or not at all: all are checked, then all are taken over.
 * There are records for the registers of the vCPUs that are up, for the memory types of all, and
 * for the chips that the domain has; a list may have some of them. */
#include "base/panic.h"
#include "cpu/cpu.h"
#include "cpu/xstate.h"
#include "hvm/chips.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/layout.h"
#include "time/clock.h"

#include <xen/hvm/save.h>

/* ---- registers ---- */

#define SEGMENT(number, name)                                                                   \
    {                                                                                           \
        number, offsetof(struct hvm_hw_cpu, name##_sel),                                        \
            offsetof(struct hvm_hw_cpu, name##_arbytes),                                        \
            offsetof(struct hvm_hw_cpu, name##_limit), offsetof(struct hvm_hw_cpu, name##_base) \
    }
static const struct {
    unsigned number;
    uint16_t sel, attr, limit, base; /* offsets */
} segments[] = {
    SEGMENT(EMUL_SEG_CS, cs), SEGMENT(EMUL_SEG_DS, ds),    SEGMENT(EMUL_SEG_ES, es),
    SEGMENT(EMUL_SEG_FS, fs), SEGMENT(EMUL_SEG_GS, gs),    SEGMENT(EMUL_SEG_SS, ss),
    SEGMENT(HVM_SEG_TR, tr),  SEGMENT(HVM_SEG_LDTR, ldtr),
};

static const struct {
    uint32_t msr;
    uint16_t at;
} msrs[] = {
    {MSR_SYSENTER_CS, offsetof(struct hvm_hw_cpu, sysenter_cs)},
    {MSR_SYSENTER_ESP, offsetof(struct hvm_hw_cpu, sysenter_esp)},
    {MSR_SYSENTER_EIP, offsetof(struct hvm_hw_cpu, sysenter_eip)},
    {MSR_KERNEL_GS_BASE, offsetof(struct hvm_hw_cpu, shadow_gs)},
    {MSR_LSTAR, offsetof(struct hvm_hw_cpu, msr_lstar)},
    {MSR_STAR, offsetof(struct hvm_hw_cpu, msr_star)},
    {MSR_CSTAR, offsetof(struct hvm_hw_cpu, msr_cstar)},
    {MSR_SYSCALL_MASK, offsetof(struct hvm_hw_cpu, msr_syscall_mask)},
};

/* Numbers of pending_type: Intel SDM vol. 3C, 25.8.3; APM vol. 2, 15.20 has the same. */
static const uint8_t event_number[] = {
    [HVM_EVENT_INTERRUPT] = 0,
    [HVM_EVENT_NMI] = 2,
    [HVM_EVENT_EXCEPTION] = 3,
    [HVM_EVENT_SOFT] = 4,
};

static uint32_t *u32_at(struct hvm_hw_cpu *c, uint16_t at)
{
    return (uint32_t *)(void *)((char *)c + at);
}

static uint64_t *u64_at(struct hvm_hw_cpu *c, uint16_t at)
{
    return (uint64_t *)(void *)((char *)c + at);
}

static void general_get(const struct regs *r, struct hvm_hw_cpu *c)
{
    c->rax = r->rax, c->rbx = r->rbx, c->rcx = r->rcx, c->rdx = r->rdx;
    c->rbp = r->rbp, c->rsi = r->rsi, c->rdi = r->rdi, c->rsp = r->rsp;
    c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11;
    c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14, c->r15 = r->r15;
    c->rip = r->rip, c->rflags = r->rflags;
}

static void general_set(struct regs *r, const struct hvm_hw_cpu *c)
{
    *r = (struct regs){
        .rax = c->rax,
        .rbx = c->rbx,
        .rcx = c->rcx,
        .rdx = c->rdx,
        .rbp = c->rbp,
        .rsi = c->rsi,
        .rdi = c->rdi,
        .rsp = c->rsp,
        .r8 = c->r8,
        .r9 = c->r9,
        .r10 = c->r10,
        .r11 = c->r11,
        .r12 = c->r12,
        .r13 = c->r13,
        .r14 = c->r14,
        .r15 = c->r15,
        .rip = c->rip,
        .rflags = c->rflags | RFLAGS_MBS,
    };
}

static void segments_get(const struct vcpu *v, struct hvm_hw_cpu *c)
{
    struct emul_segment s;

    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        hvm_ops->get_segment(v, segments[i].number, &s);
        *u32_at(c, segments[i].sel) = s.sel;
        *u32_at(c, segments[i].attr) = s.attr;
        *u32_at(c, segments[i].limit) = s.limit;
        *u64_at(c, segments[i].base) = s.base;
    }
    hvm_ops->get_segment(v, HVM_SEG_GDTR, &s);
    c->gdtr_base = s.base;
    c->gdtr_limit = s.limit;
    hvm_ops->get_segment(v, HVM_SEG_IDTR, &s);
    c->idtr_base = s.base;
    c->idtr_limit = s.limit;
}

static void segments_set(struct vcpu *v, struct hvm_hw_cpu *c)
{
    struct emul_segment s;

    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        s = (struct emul_segment){
            .sel = (uint16_t)*u32_at(c, segments[i].sel),
            .attr = (uint16_t)*u32_at(c, segments[i].attr),
            .limit = *u32_at(c, segments[i].limit),
            .base = *u64_at(c, segments[i].base),
        };
        hvm_ops->set_segment(v, segments[i].number, &s);
    }
    s = (struct emul_segment){.base = c->gdtr_base, .limit = c->gdtr_limit};
    hvm_ops->set_segment(v, HVM_SEG_GDTR, &s);
    s = (struct emul_segment){.base = c->idtr_base, .limit = c->idtr_limit};
    hvm_ops->set_segment(v, HVM_SEG_IDTR, &s);
}

static void cpu_get(struct vcpu *v, void *record)
{
    const struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu *c = record;

    xstate_get_fxsave(h->xstate, c->fpu_regs);
    c->flags = XEN_X86_FPU_INITIALISED;
    general_get(&v->regs, c);
    segments_get(v, c);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (!hvm_ops->get_msr(v, msrs[i].msr, u64_at(c, msrs[i].at)))
            *u64_at(c, msrs[i].at) = 0;
    c->cr0 = h->cr0;
    c->cr2 = hvm_ops->get_cr(v, 2);
    c->cr3 = hvm_ops->get_cr(v, 3);
    c->cr4 = h->cr4;
    c->dr0 = h->dr[0], c->dr1 = h->dr[1], c->dr2 = h->dr[2], c->dr3 = h->dr[3];
    c->dr6 = hvm_ops->get_dr(v, 6);
    c->dr7 = hvm_ops->get_dr(v, 7);
    c->msr_efer = h->efer;
    c->msr_tsc_aux = h->tsc_aux;
    c->tsc = rdtsc();
    if (h->pending.type != HVM_EVENT_NONE) {
        c->pending_vector = h->pending.vector;
        c->pending_type = event_number[h->pending.type] & 7;
        c->pending_error_valid = h->pending.has_error;
        c->pending_valid = 1;
        c->error_code = h->pending.error;
    }
}

static enum hvm_event_type event_type(const struct hvm_hw_cpu *c)
{
    for (unsigned t = HVM_EVENT_INTERRUPT; t <= HVM_EVENT_SOFT; t++)
        if (event_number[t] == c->pending_type)
            return t;
    return HVM_EVENT_NONE;
}

static int cpu_check(struct vcpu *v, const void *record)
{
    struct hvm_hw_cpu c;
    int rc;

    memcpy(&c, record, sizeof(c));
    rc = hvm_check_control(v, c.cr0, c.cr3, c.cr4, c.msr_efer);
    if (rc)
        return rc;
    if (c.dr6 >> 32 || c.dr7 >> 32)
        return refuse(-EINVAL, "dr6 %#lx, dr7 %#lx", c.dr6, c.dr7);
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
        if (!is_canonical(*u64_at(&c, segments[i].base)) || *u32_at(&c, segments[i].attr) >> 12)
            return refuse(-EINVAL, "segment %u: base %#lx, attributes %#x", segments[i].number,
                          *u64_at(&c, segments[i].base), *u32_at(&c, segments[i].attr));
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        if (msrs[i].msr != MSR_STAR && !is_canonical(*u64_at(&c, msrs[i].at)))
            return refuse(-EINVAL, "MSR %#x = %#lx", msrs[i].msr, *u64_at(&c, msrs[i].at));
    if (!is_canonical(c.gdtr_base) || !is_canonical(c.idtr_base) || c.msr_tsc_aux >> 32)
        return refuse(-EINVAL, "GDT at %#lx, IDT at %#lx, TSC_AUX %#lx", c.gdtr_base, c.idtr_base,
                      c.msr_tsc_aux);
    if (c.pending_valid && event_type(&c) == HVM_EVENT_NONE)
        return refuse(-EINVAL, "pending event of type %u", c.pending_type);
    return 0;
}

static void cpu_set(struct vcpu *v, const void *record)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu c;

    memcpy(&c, record, sizeof(c));
    if (c.flags & XEN_X86_FPU_INITIALISED)
        xstate_set_fxsave(h->xstate, c.fpu_regs);
    general_set(&v->regs, &c);
    segments_set(v, &c);
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        (void)hvm_ops->set_msr(v, msrs[i].msr, *u64_at(&c, msrs[i].at));
    h->cr0 = c.cr0 | CR0_ET;
    h->cr4 = c.cr4;
    h->efer = c.msr_efer;
    hvm_ops->set_cr(v, 2, c.cr2);
    hvm_ops->set_cr(v, 3, c.cr3);
    h->dr[0] = c.dr0, h->dr[1] = c.dr1, h->dr[2] = c.dr2, h->dr[3] = c.dr3;
    hvm_ops->set_dr(v, 6, c.dr6);
    hvm_ops->set_dr(v, 7, c.dr7);
    h->tsc_aux = c.msr_tsc_aux;
    h->pending = (struct hvm_event){.type = HVM_EVENT_NONE};
    if (c.pending_valid)
        h->pending = (struct hvm_event){
            .type = event_type(&c),
            .vector = c.pending_vector,
            .has_error = c.pending_error_valid,
            .error = c.error_code,
        };
    hvm_ops->update_control(v);
    __atomic_store_n(&h->wait_for_sipi, false, __ATOMIC_SEQ_CST);
    v->initialised = true;
    vcpu_pause_clear(v, VCPU_DOWN_BIT);
}

/* ---- memory types ---- */

static void mtrr_get(struct vcpu *v, void *record)
{
    const struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_mtrr *m = record;

    if (!hvm_ops->get_msr(v, MSR_PAT, &m->msr_pat_cr))
        m->msr_pat_cr = 0;
    memcpy(m->msr_mtrr_var, h->mtrr_var, sizeof(m->msr_mtrr_var));
    memcpy(m->msr_mtrr_fixed, h->mtrr_fixed, sizeof(m->msr_mtrr_fixed));
    m->msr_mtrr_def_type = h->mtrr_def;
    if (hvm_rdmsr(v, MSR_MTRRCAP, &m->msr_mtrr_cap))
        m->msr_mtrr_cap = 0;
}

/* The registers by number. */
static const struct {
    uint32_t first, n;
    uint16_t at;
} mtrr_ranges[] = {
    {MSR_PAT, 1, offsetof(struct hvm_hw_mtrr, msr_pat_cr)},
    {MSR_MTRR_PHYSBASE0, HVM_MTRR_VAR, offsetof(struct hvm_hw_mtrr, msr_mtrr_var)},
    {0x250, 1, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[0])},
    {0x258, 2, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[1])},
    {0x268, 8, offsetof(struct hvm_hw_mtrr, msr_mtrr_fixed[3])},
};

static int mtrr_write(struct vcpu *v, const struct hvm_hw_mtrr *m)
{
    uint64_t val;

    for (unsigned r = 0; r < ARRAY_SIZE(mtrr_ranges); r++)
        for (unsigned i = 0; i < mtrr_ranges[r].n; i++) {
            memcpy(&val, (const char *)m + mtrr_ranges[r].at + i * sizeof(val), sizeof(val));
            if (hvm_wrmsr(v, mtrr_ranges[r].first + i, val))
                return -EINVAL;
        }
    return hvm_wrmsr(v, MSR_MTRR_DEF_TYPE, m->msr_mtrr_def_type) ? -EINVAL : 0;
}

/* By writing them, and what was there again: nobody looks while the domain is paused. */
static int mtrr_check(struct vcpu *v, const void *record)
{
    struct hvm_hw_mtrr m, old;
    int rc;

    memcpy(&m, record, sizeof(m));
    mtrr_get(v, &old);
    rc = mtrr_write(v, &m);
    if (mtrr_write(v, &old))
        BUG();
    return rc;
}

static void mtrr_set(struct vcpu *v, const void *record)
{
    struct hvm_hw_mtrr m;

    memcpy(&m, record, sizeof(m));
    if (mtrr_write(v, &m))
        BUG();
}

/* ---- records ---- */

static const struct record_type {
    uint16_t code;
    uint32_t length;
    bool only_up; /* there is one of a vCPU that is up */
    void (*get)(struct vcpu *v, void *record);
    int (*check)(struct vcpu *v, const void *record);
    void (*set)(struct vcpu *v, const void *record);
} types[] = {
    {HVM_SAVE_CODE(CPU), HVM_SAVE_LENGTH(CPU), true, cpu_get, cpu_check, cpu_set},
    {HVM_SAVE_CODE(MTRR), HVM_SAVE_LENGTH(MTRR), false, mtrr_get, mtrr_check, mtrr_set},
};

/* A descriptor and room for its record, zeroed, at *at; NULL: only counted. */
static void *put(char *buf, size_t *at, uint16_t code, uint16_t instance, uint32_t length)
{
    const struct hvm_save_descriptor r = {code, instance, length};
    char *record = NULL;

    if (buf) {
        memcpy(buf + *at, &r, sizeof(r));
        record = buf + *at + sizeof(r);
        memset(record, 0, length);
    }
    *at += sizeof(r) + length;
    return record;
}

size_t hvm_context_get(struct domain *d, void *buf)
{
    const struct hvm_chip_record *c;
    struct hvm_save_header *h;
    struct vcpu *v;
    size_t at = 0;
    void *record;

    h = put(buf, &at, HVM_SAVE_CODE(HEADER), 0, HVM_SAVE_LENGTH(HEADER));
    if (h)
        *h = (struct hvm_save_header){
            .magic = HVM_FILE_MAGIC,
            .version = HVM_FILE_VERSION,
            .cpuid = policy_host.basic[1].a,
            .gtsc_khz = (uint32_t)(time_tsc_hz / 1000),
        };
    for (unsigned t = 0; t < ARRAY_SIZE(types); t++)
        for_each_vcpu (d, v) {
            if (types[t].only_up && (read_once(v->pause) & BIT(VCPU_DOWN_BIT)))
                continue;
            record = put(buf, &at, types[t].code, (uint16_t)v->id, types[t].length);
            if (record)
                types[t].get(v, record);
        }
    for (unsigned n = 0; (c = hvm_chip_record(d, n)); n++)
        for (unsigned i = 0; i < c->instances; i++) {
            record = put(buf, &at, c->code, (uint16_t)i, c->length);
            if (record)
                hvm_chip_get(d, c, i, record);
        }
    put(buf, &at, HVM_SAVE_CODE(END), 0, 0);
    return at;
}

static int header_check(const void *record)
{
    struct hvm_save_header h;

    memcpy(&h, record, sizeof(h));
    if (h.magic != HVM_FILE_MAGIC || h.version != HVM_FILE_VERSION)
        return refuse(-EINVAL, "records: magic %#x, version %u", h.magic, h.version);
    return 0;
}

static const struct record_type *type_find(uint16_t code)
{
    for (unsigned t = 0; t < ARRAY_SIZE(types); t++)
        if (types[t].code == code)
            return &types[t];
    return NULL;
}

static const struct hvm_chip_record *chip_find(const struct domain *d, uint16_t code)
{
    const struct hvm_chip_record *c;

    for (unsigned n = 0; (c = hvm_chip_record(d, n)); n++)
        if (c->code == code)
            return c;
    return NULL;
}

/* A record of a list: of a vCPU, of a chip, or the header. */
struct found {
    const struct record_type *type;
    struct vcpu *v; /* NULL: none */
    const struct hvm_chip_record *chip;
    uint16_t instance;
    const void *record;
};

/* The record at *at: 0, -EINVAL; 1: the list is at its end. */
static int next(struct domain *d, const char *buf, size_t bytes, size_t *at, struct found *f)
{
    struct hvm_save_descriptor r;
    uint32_t length = HVM_SAVE_LENGTH(HEADER);

    if (bytes - *at < sizeof(r))
        return refuse(-EINVAL, "records: no end in %zu bytes", bytes);
    memcpy(&r, buf + *at, sizeof(r));
    *at += sizeof(r);
    if (r.typecode == HVM_SAVE_CODE(END))
        return 1;
    *f = (struct found){
        .type = type_find(r.typecode),
        .chip = chip_find(d, r.typecode),
        .instance = r.instance,
        .record = buf + *at,
    };
    if (f->type) {
        length = f->type->length;
        f->v = r.instance < d->max_vcpus ? d->vcpu[index_nospec(r.instance, d->max_vcpus)] : NULL;
    }
    if (f->chip)
        length = f->chip->length;
    if (!f->type && !f->chip && r.typecode != HVM_SAVE_CODE(HEADER))
        return refuse(-EINVAL, "records: type %u", r.typecode);
    if ((f->type && !f->v) || (f->chip && r.instance >= f->chip->instances))
        return refuse(-EINVAL, "records: no %u of type %u", r.instance, r.typecode);
    if (r.length != length || bytes - *at < length)
        return refuse(-EINVAL, "records: %u bytes of type %u", r.length, r.typecode);
    *at += length;
    return 0;
}

static int check(const struct found *f)
{
    if (f->v)
        return f->type->check(f->v, f->record);
    if (f->chip)
        return hvm_chip_check(f->chip, f->instance, f->record);
    return header_check(f->record);
}

int hvm_context_set(struct domain *d, const void *buf, size_t bytes)
{
    struct found f;
    size_t at = 0;
    bool header = false;
    int rc;

    while ((rc = next(d, buf, bytes, &at, &f)) == 0) {
        rc = check(&f);
        if (rc)
            return rc;
        if (!header && (f.v || f.chip))
            return refuse(-EINVAL, "records without a header");
        header = true;
    }
    if (rc < 0)
        return rc;
    for (at = 0; next(d, buf, bytes, &at, &f) == 0;) {
        if (f.v)
            f.type->set(f.v, f.record);
        else if (f.chip)
            hvm_chip_set(d, f.chip, f.instance, f.record);
    }
    return 0;
}
