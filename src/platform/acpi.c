/* SPDX-License-Identifier: MIT */
/*
 * Finding and reading the ACPI tables; see acpi.h for what they are trusted with.
 *
 * A table is a piece of mapped memory of known length, and field() is the only way to a number in
 * it: outside of the length it reads zero, so a table of an older revision, or one that is cut,
 * just lacks its later fields. Offsets below are those of the tables in ACPI 6.4, 5.2.
 */
#include "platform/acpi.h"
#include "base/log.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"
#include "memory/map.h"

#define TABLES      64
#define HEADER_SIZE 36u
#define ADDRESS_MAX (1ull << 52)

/* Table header, 5.2.6. */
#define TABLE_LENGTH 4

/* Root pointer, 5.2.5.3. */
#define RSDP_SIZE_V1  20u
#define RSDP_SIZE     36u
#define RSDP_REVISION 15
#define RSDP_RSDT     16
#define RSDP_XSDT     24
#define EBDA_POINTER  0x40eu /* BIOS data area: segment of the extended one */
#define EBDA_SIZE     1024u
#define BIOS_START    0xe0000u
#define BIOS_SIZE     0x20000u

/* MADT, 5.2.12. */
#define MADT_LAPIC         36
#define MADT_FLAGS         40
#define MADT_ENTRIES       44
#define MADT_FLAG_8259     0x1
#define MADT_TYPE_LAPIC    0
#define MADT_TYPE_IOAPIC   1
#define MADT_TYPE_OVERRIDE 2
#define MADT_TYPE_ADDRESS  5
#define MADT_TYPE_X2APIC   9
#define MADT_CPU_ENABLED   0x1

/* FADT, 5.2.9. */
#define FADT_FACS          36
#define FADT_DSDT          40
#define FADT_SCI           46
#define FADT_PM1A_EVENT    56
#define FADT_PM1B_EVENT    60
#define FADT_PM1A_CONTROL  64
#define FADT_PM1B_CONTROL  68
#define FADT_PM_TIMER      76
#define FADT_PM1_EVENT_LEN 88
#define FADT_PM1_CNT_LEN   89
#define FADT_PM_TIMER_LEN  91
#define FADT_FLAGS         112
#define FADT_RESET         116
#define FADT_RESET_VALUE   128
#define FADT_X_FACS        132
#define FADT_X_DSDT        140
#define FADT_X_PM1A_EVENT  148
#define FADT_X_PM1B_EVENT  160
#define FADT_X_PM1A_CNT    172
#define FADT_X_PM1B_CNT    184
#define FADT_X_PM_TIMER    208
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS  256
#define FADT_FLAG_TMR_EXT  (1u << 8)
#define FADT_FLAG_RESET    (1u << 10)

/* Generic address structure, 5.2.3.2. */
#define GAS_SPACE   0
#define GAS_WIDTH   1
#define GAS_ADDRESS 4
#define GAS_MEMORY  0
#define GAS_IO      1

#define HPET_ADDRESS 40
#define MCFG_ENTRIES 44
#define MCFG_ENTRY   16

struct table {
    paddr_t address;
    char signature[5];
    uint32_t length;
    const uint8_t *p;
};

struct acpi_info acpi_info;

static struct {
    paddr_t address;
    char signature[5];
} tables[TABLES];
static unsigned nr_tables;

/* ---- tables ---- */

/* The little-endian number of `size` bytes there, 0 if it does not lie in the table whole. */
static uint64_t field(const struct table *t, uint32_t offset, unsigned size)
{
    uint64_t v = 0;

    if (offset > t->length || size > t->length - offset)
        return 0;
    memcpy(&v, t->p + offset, size);
    return v;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    while (n--)
        s = (uint8_t)(s + *p++);
    return s;
}

/* Signatures are shown in the log: nothing unprintable. */
static void read_signature(char *to, const uint8_t *from)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = from[i] > ' ' && from[i] < 0x7f ? (char)from[i] : '?';
    to[4] = 0;
}

/* Signature and length from the header alone. -EINVAL: cannot be a table. */
static int read_header(struct table *t, paddr_t address)
{
    uint8_t *p;

    *t = (struct table){.address = address};
    if (!address || address >= ADDRESS_MAX)
        return -EINVAL;
    p = map_device(address, HEADER_SIZE, PTE_CACHE_WB);
    if (!p)
        return -ENOMEM;
    read_signature(t->signature, p);
    memcpy(&t->length, p + TABLE_LENGTH, sizeof(t->length));
    unmap_device(p, HEADER_SIZE);
    return 0;
}

/* Maps the table at `address` whole. Its checksum is looked at, and only talked about. */
static int table_open(struct table *t, paddr_t address)
{
    int rc = read_header(t, address);

    if (rc)
        return rc;
    if (t->length < HEADER_SIZE || t->length > ACPI_TABLE_MAX) {
        log_warn("ACPI: table %s at %#lx claims %u bytes, ignored", t->signature, address,
                 t->length);
        return -EINVAL;
    }
    t->p = map_device(address, t->length, PTE_CACHE_WB);
    if (!t->p)
        return -ENOMEM;
    if (sum(t->p, t->length))
        log_warn("ACPI: table %s at %#lx has a wrong checksum", t->signature, address);
    return 0;
}

static void table_close(struct table *t)
{
    unmap_device((void *)t->p, t->length);
}

int acpi_find_table(const char *signature, paddr_t *address, uint32_t *length)
{
    for (unsigned i = 0; i < nr_tables; i++) {
        struct table t;

        if (strcmp(tables[i].signature, signature))
            continue;
        if (read_header(&t, tables[i].address))
            continue;
        *address = t.address;
        *length = t.length;
        return 0;
    }
    return -ENOENT;
}

/* ---- root ---- */

static bool rsdp_valid(const uint8_t *p)
{
    return !memcmp(p, "RSD PTR ", 8) && !sum(p, RSDP_SIZE_V1);
}

/* Copies a valid root pointer out of [start, start + size); they lie at multiples of 16. */
static bool rsdp_scan(paddr_t start, size_t size, uint8_t *rsdp)
{
    uint8_t *p = map_device(start, size, PTE_CACHE_WB);
    bool found = false;

    for (size_t at = 0; p && !found && at + RSDP_SIZE <= size; at += 16) {
        found = rsdp_valid(p + at);
        if (found)
            memcpy(rsdp, p + at, RSDP_SIZE);
    }
    if (p)
        unmap_device(p, size);
    return found;
}

static bool rsdp_search(uint8_t *rsdp)
{
    uint16_t segment = 0;
    uint8_t *p = map_device(EBDA_POINTER, sizeof(segment), PTE_CACHE_WB);

    if (p) {
        memcpy(&segment, p, sizeof(segment));
        unmap_device(p, sizeof(segment));
    }
    if (segment >= 0x40 && segment < 0xa000 && rsdp_scan((paddr_t)segment << 4, EBDA_SIZE, rsdp))
        return true;
    return rsdp_scan(BIOS_START, BIOS_SIZE, rsdp);
}

static bool rsdp_find(paddr_t address, const uint8_t *copy, unsigned copy_len, uint8_t *rsdp)
{
    memset(rsdp, 0, RSDP_SIZE);
    if (copy && copy_len >= RSDP_SIZE_V1 && rsdp_valid(copy)) {
        memcpy(rsdp, copy, min(copy_len, RSDP_SIZE));
        return true;
    }
    if (address && address < ADDRESS_MAX && rsdp_scan(address, RSDP_SIZE, rsdp))
        return true;
    if (address)
        log_warn("ACPI: no root pointer at %#lx, where the loader said", address);
    return rsdp_search(rsdp);
}

/* Notes every table that the root table names; its entries have `width` bytes. */
static int read_root(paddr_t address, const char *signature, unsigned width)
{
    struct table root;
    int rc = table_open(&root, address);

    if (rc)
        return rc;
    if (strcmp(root.signature, signature)) {
        log_warn("ACPI: %s at %#lx is a %s", signature, address, root.signature);
        table_close(&root);
        return -EINVAL;
    }
    for (uint32_t at = HEADER_SIZE; at + width <= root.length; at += width) {
        struct table t;

        if (nr_tables == TABLES) {
            log_warn("ACPI: more than %u tables", TABLES);
            break;
        }
        if (read_header(&t, field(&root, at, width)))
            continue;
        tables[nr_tables].address = t.address;
        memcpy(tables[nr_tables].signature, t.signature, sizeof(t.signature));
        nr_tables++;
    }
    table_close(&root);
    return 0;
}

static int find_tables(const uint8_t *rsdp)
{
    uint64_t xsdt;
    uint32_t rsdt;

    memcpy(&rsdt, rsdp + RSDP_RSDT, sizeof(rsdt));
    memcpy(&xsdt, rsdp + RSDP_XSDT, sizeof(xsdt));
    if (rsdp[RSDP_REVISION] >= 2 && xsdt && !read_root(xsdt, "XSDT", 8))
        return 0;
    return read_root(rsdt, "RSDT", 4);
}

/* ---- MADT ---- */

static void add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t flags)
{
    for (unsigned i = 0; i < acpi_info.nr_cpus; i++)
        if (acpi_info.cpu[i].apic_id == apic_id)
            return; /* both a LAPIC and an X2APIC entry */
    if (acpi_info.nr_cpus == ACPI_CPUS) {
        log_warn("ACPI: CPU with APIC id %#x is one too many", apic_id);
        return;
    }
    acpi_info.cpu[acpi_info.nr_cpus++] =
        (struct acpi_cpu){apic_id, acpi_id, flags & MADT_CPU_ENABLED};
}

static void add_ioapic(const struct table *e)
{
    if (acpi_info.nr_ioapics == ACPI_IOAPICS) {
        log_warn("ACPI: more than %u IO-APICs", ACPI_IOAPICS);
        return;
    }
    acpi_info.ioapic[acpi_info.nr_ioapics++] = (struct acpi_ioapic){
        .id = (uint8_t)field(e, 2, 1),
        .address = field(e, 4, 4),
        .gsi_base = (uint32_t)field(e, 8, 4),
    };
}

static void add_override(const struct table *e)
{
    uint64_t irq = field(e, 3, 1), flags = field(e, 8, 2);

    if (irq > 15 || acpi_info.nr_overrides == ACPI_OVERRIDES) {
        log_warn("ACPI: override of ISA interrupt %lu ignored", irq);
        return;
    }
    acpi_info.override[acpi_info.nr_overrides++] = (struct acpi_override){
        .isa_irq = (uint8_t)irq,
        .gsi = (uint32_t)field(e, 4, 4),
        .active_low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

static void read_madt_entry(const struct table *e)
{
    switch (field(e, 0, 1)) {
    case MADT_TYPE_LAPIC:
        /* Id 255 is no CPU: the entry only fills the table. */
        if (e->length >= 8 && field(e, 3, 1) != 0xff)
            add_cpu((uint32_t)field(e, 3, 1), (uint32_t)field(e, 2, 1), (uint32_t)field(e, 4, 4));
        break;
    case MADT_TYPE_X2APIC:
        if (e->length >= 16 && field(e, 4, 4) != ~0u)
            add_cpu((uint32_t)field(e, 4, 4), (uint32_t)field(e, 12, 4), (uint32_t)field(e, 8, 4));
        break;
    case MADT_TYPE_IOAPIC:
        if (e->length >= 12)
            add_ioapic(e);
        break;
    case MADT_TYPE_OVERRIDE:
        if (e->length >= 10)
            add_override(e);
        break;
    case MADT_TYPE_ADDRESS:
        if (e->length >= 12)
            acpi_info.lapic_address = field(e, 4, 8);
        break;
    }
}

static void read_madt(const struct table *t)
{
    uint32_t at = MADT_ENTRIES;

    acpi_info.lapic_address = field(t, MADT_LAPIC, 4);
    acpi_info.has_8259 = field(t, MADT_FLAGS, 4) & MADT_FLAG_8259;
    while (at + 2 <= t->length) {
        struct table entry = {.p = t->p + at, .length = (uint32_t)field(t, at + 1, 1)};

        if (entry.length < 2 || entry.length > t->length - at) {
            log_warn("ACPI: MADT entry at offset %u claims %u bytes, the rest is ignored", at,
                     entry.length);
            return;
        }
        read_madt_entry(&entry);
        at += entry.length;
    }
}

/* ---- FADT, HPET, MCFG ---- */

static struct acpi_register read_gas(const struct table *t, uint32_t at)
{
    uint64_t space = field(t, at + GAS_SPACE, 1), address = field(t, at + GAS_ADDRESS, 8);

    if (!address || space > GAS_IO || address >= (space == GAS_IO ? 0x10000 : ADDRESS_MAX))
        return (struct acpi_register){0};
    return (struct acpi_register){
        .present = true,
        .io = space == GAS_IO,
        .width = (uint8_t)field(t, at + GAS_WIDTH, 1),
        .address = address,
    };
}

/* The extended field where it says something, else the port of ACPI 1.0 with `len` bytes. */
static struct acpi_register read_block(const struct table *t, uint32_t extended, uint32_t old,
                                       uint64_t len)
{
    struct acpi_register r = read_gas(t, extended);
    uint64_t port = field(t, old, 4);

    if (r.present || !port || port > 0xffff)
        return r;
    return (struct acpi_register){
        .present = true, .io = true, .width = (uint8_t)(len * 8), .address = port};
}

static void read_fadt(const struct table *t)
{
    struct acpi_info *a = &acpi_info;
    uint64_t flags = field(t, FADT_FLAGS, 4);
    uint64_t event_len = field(t, FADT_PM1_EVENT_LEN, 1);
    uint64_t control_len = field(t, FADT_PM1_CNT_LEN, 1);

    a->has_fadt = true;
    a->sci = (uint16_t)field(t, FADT_SCI, 2);
    a->facs = field(t, FADT_X_FACS, 8);
    if (!a->facs)
        a->facs = field(t, FADT_FACS, 4);
    a->dsdt = field(t, FADT_X_DSDT, 8);
    if (!a->dsdt)
        a->dsdt = field(t, FADT_DSDT, 4);
    a->pm_timer = read_block(t, FADT_X_PM_TIMER, FADT_PM_TIMER, field(t, FADT_PM_TIMER_LEN, 1));
    a->pm_timer_32bit = flags & FADT_FLAG_TMR_EXT;
    a->pm1a_event = read_block(t, FADT_X_PM1A_EVENT, FADT_PM1A_EVENT, event_len);
    a->pm1b_event = read_block(t, FADT_X_PM1B_EVENT, FADT_PM1B_EVENT, event_len);
    a->pm1a_control = read_block(t, FADT_X_PM1A_CNT, FADT_PM1A_CONTROL, control_len);
    a->pm1b_control = read_block(t, FADT_X_PM1B_CNT, FADT_PM1B_CONTROL, control_len);
    a->sleep_control = read_gas(t, FADT_SLEEP_CONTROL);
    a->sleep_status = read_gas(t, FADT_SLEEP_STATUS);
    if (flags & FADT_FLAG_RESET) {
        a->reset = read_gas(t, FADT_RESET);
        a->reset_value = (uint8_t)field(t, FADT_RESET_VALUE, 1);
    }
}

static void read_hpet(const struct table *t)
{
    struct acpi_register r = read_gas(t, HPET_ADDRESS);

    if (r.present && !r.io)
        acpi_info.hpet_address = r.address;
}

static void read_mcfg(const struct table *t)
{
    for (uint32_t at = MCFG_ENTRIES; at + MCFG_ENTRY <= t->length; at += MCFG_ENTRY) {
        struct acpi_mcfg_region r = {
            .base = field(t, at, 8),
            .segment = (uint16_t)field(t, at + 8, 2),
            .bus_first = (uint8_t)field(t, at + 10, 1),
            .bus_last = (uint8_t)field(t, at + 11, 1),
        };

        if (!r.base || r.base >= ADDRESS_MAX || r.base % (1u << 20) || r.bus_first > r.bus_last ||
            acpi_info.nr_mcfg == ACPI_MCFG_REGIONS) {
            log_warn("ACPI: MCFG region at %#lx, segment %u, buses %u-%u ignored", r.base,
                     r.segment, r.bus_first, r.bus_last);
            continue;
        }
        acpi_info.mcfg[acpi_info.nr_mcfg++] = r;
    }
}

/* ---- public ---- */

static void read_table(const char *signature, void (*read)(const struct table *t))
{
    for (unsigned i = 0; i < nr_tables; i++) {
        struct table t;

        if (strcmp(tables[i].signature, signature) || table_open(&t, tables[i].address))
            continue;
        read(&t);
        table_close(&t);
        return;
    }
}

int acpi_init(paddr_t rsdp_address, const uint8_t *copy, unsigned copy_len)
{
    uint8_t rsdp[RSDP_SIZE];
    uint32_t length;

    memset(&acpi_info, 0, sizeof(acpi_info));
    nr_tables = 0;
    if (!rsdp_find(rsdp_address, copy, copy_len, rsdp) || find_tables(rsdp)) {
        log_warn("ACPI: no usable tables");
        return -ENOENT;
    }
    acpi_info.present = true;
    read_table("APIC", read_madt);
    read_table("FACP", read_fadt);
    read_table("HPET", read_hpet);
    read_table("MCFG", read_mcfg);
    if (acpi_find_table("DMAR", &acpi_info.dmar, &length))
        acpi_info.dmar = 0;
    if (acpi_find_table("IVRS", &acpi_info.ivrs, &length))
        acpi_info.ivrs = 0;
    return 0;
}
