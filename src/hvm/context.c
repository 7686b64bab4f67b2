/* SPDX-License-Identifier: MIT */
/* The state of a fully virtual domain as records: a descriptor (type, instance, length), then the
 * structure of that type; the last is of type END. Public hvm/save.h and arch-x86/hvm/save.h.
 *
 * A list of records comes in as a whole or not at all: all are checked, then all are taken over.
 * There are records for the registers of the vCPUs that are up, for the rest of all, and for the
 * chips that the domain has; a list may have some of them. */
#include "hvm/chips.h"
#include "hvm/context.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "time/clock.h"

static const struct record_type {
    uint16_t code;
    uint32_t length; /* 0: xsave_length(), or more on the way in */
    bool only_up;    /* there is one of a vCPU that is up */
    record_get_fn *get;
    record_check_fn *check;
    record_set_fn *set;
} types[] = {
    {HVM_SAVE_CODE(CPU), HVM_SAVE_LENGTH(CPU), true, hvm_cpu_get, hvm_cpu_check, hvm_cpu_set},
    {CPU_XSAVE_CODE, 0, true, hvm_xsave_get, hvm_xsave_check, hvm_xsave_set},
    {HVM_SAVE_CODE(LAPIC), HVM_SAVE_LENGTH(LAPIC), false, hvm_lapic_get, hvm_lapic_check,
     hvm_lapic_set},
    {HVM_SAVE_CODE(LAPIC_REGS), HVM_SAVE_LENGTH(LAPIC_REGS), false, hvm_lapic_regs_get,
     hvm_lapic_regs_check, hvm_lapic_regs_set},
    {HVM_SAVE_CODE(MTRR), HVM_SAVE_LENGTH(MTRR), false, hvm_mtrr_get, hvm_mtrr_check, hvm_mtrr_set},
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
    uint32_t length;
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
            length = types[t].length ? types[t].length : hvm_xsave_length(v);
            if (!length)
                continue;
            record = put(buf, &at, types[t].code, (uint16_t)v->id, length);
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
    uint32_t length;
    const void *record;
};

/* The record at *at: 0, -EINVAL; 1: the list is at its end. */
static int next(struct domain *d, const char *buf, size_t bytes, size_t *at, struct found *f)
{
    uint32_t must = HVM_SAVE_LENGTH(HEADER); /* 0: any length */
    struct hvm_save_descriptor r;

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
        .length = r.length,
        .record = buf + *at,
    };
    if (f->type) {
        must = f->type->length;
        f->v = r.instance < d->max_vcpus ? d->vcpu[index_nospec(r.instance, d->max_vcpus)] : NULL;
    }
    if (f->chip)
        must = f->chip->length;
    if (!f->type && !f->chip && r.typecode != HVM_SAVE_CODE(HEADER))
        return refuse(-EINVAL, "records: type %u", r.typecode);
    if ((f->type && !f->v) || (f->chip && r.instance >= f->chip->instances))
        return refuse(-EINVAL, "records: no %u of type %u", r.instance, r.typecode);
    if ((must && r.length != must) || bytes - *at < r.length)
        return refuse(-EINVAL, "records: %u bytes of type %u", r.length, r.typecode);
    *at += r.length;
    return 0;
}

static int check(const struct found *f)
{
    if (f->v)
        return f->type->check(f->v, f->record, f->length);
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
            f.type->set(f.v, f.record, f.length);
        else if (f.chip)
            hvm_chip_set(d, f.chip, f.instance, f.record);
    }
    return 0;
}
