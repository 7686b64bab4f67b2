/* SPDX-License-Identifier: MIT */
/* Mappings of what is not RAM: device registers, firmware tables, the VGA, and frames of
 * nobody.
 *
 * Cause: domain 0's kernel maps every such frame by its machine address, and crashes when
 * refused.
 * Steps: map each kind of frame of the machine's memory map, with each cache attribute, by each
 * interface and both domain ids that name it; find the ACPI root pointer.
 * Verdict: readable, with the attributes asked for; RAM of other owners and denied frames
 * refused. */
#include "lib/guest.h"

struct e820 {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

static struct e820 map[128];
static unsigned int entries;
static volatile uint64_t *window;
static pte_t *window_pte;

static void read_map(void)
{
    struct xen_memory_map m = {.nr_entries = 128};

    set_xen_guest_handle(m.buffer, (void *)map);
    need_eq(hc_memory_op(XENMEM_machine_memory_map, &m), 0);
    entries = m.nr_entries;
    for (unsigned int i = 0; i < entries; i++)
        printf("%#lx + %#lx type %u\n", map[i].addr, map[i].size, map[i].type);
}

static long map_as(unsigned long mfn, uint64_t flags, unsigned int dom)
{
    struct mmu_update req = {virt_to_maddr(window_pte), mfn_pte(mfn, flags)};
    long ret = hc_mmu_update(&req, 1, NULL, dom);

    mmuext_addr(MMUEXT_INVLPG_LOCAL, UL(window));
    return ret;
}

static void check_vga(void)
{
    /* Asked for, and given: what would be cached (WB, WT, WP) becomes uncached. */
    static const struct {
        uint64_t asked, given;
    } cache[] = {{0, PTE_PCD | PTE_PWT}, {PTE_PWT, PTE_PCD | PTE_PWT},
                 {PTE_PCD, PTE_PCD},     {PTE_PCD | PTE_PWT, PTE_PCD | PTE_PWT},
                 {PTE_PSE, PTE_PSE},     {PTE_PSE | PTE_PWT, PTE_PCD | PTE_PWT}};

    for (unsigned int i = 0; i < sizeof(cache) / sizeof(*cache); i++) {
        expect_eq(map_as(0xb8, PTE_KERNEL | cache[i].asked, DOMID_SELF), 0);
        expect_eq(*window_pte & (PTE_PCD | PTE_PWT | PTE_PSE), cache[i].given);
        expect_eq(try_read(window, NULL), NO_TRAP);
        expect_eq(map_as(0xb8, PTE_KERNEL | PTE_PCD, DOMID_IO), 0);
        expect_eq(try_read(window, NULL), NO_TRAP);
    }
    expect_eq(hc_update_va_mapping(UL(window), mfn_pte(0xb8, PTE_KERNEL | PTE_PCD), UVMF_INVLPG),
              0);
}

/* "RSD PTR " on a 16-byte boundary between 0xe0000 and 0xfffff. */
static void check_acpi(void)
{
    bool found = false;

    for (unsigned long mfn = 0xe0; mfn < 0x100; mfn++) {
        expect_eq(map_as(mfn, PTE_RO, DOMID_SELF), 0);
        for (unsigned int i = 0; i < PAGE_SIZE / 8; i += 2)
            found |= window[i] == 0x2052545020445352;
    }
    expect(found);
}

static void check_kinds(void)
{
    unsigned int other = 0;

    for (unsigned int i = 0; i < entries; i++) {
        unsigned long mfn = map[i].addr >> PAGE_SHIFT;

        if (map[i].type == 3 || map[i].type == 4) { /* ACPI tables and NVS */
            expect_eq(map_as(mfn, PTE_RO, DOMID_SELF), 0);
            expect_eq(try_read(window, NULL), NO_TRAP);
            other++;
        }
    }
    printf("%u ACPI ranges\n", other);
    /* PCI memory that no table mentions: bus reads give all ones. */
    expect_eq(map_as(0xfd000, PTE_KERNEL | PTE_PCD, DOMID_SELF), 0);
    expect_eq(try_read(window, NULL), NO_TRAP);
    /* A frame far beyond memory but within the processor's width is a device, too. */
    expect_eq(map_as(0x80000000ul >> PAGE_SHIFT, PTE_RO | PTE_PCD, DOMID_SELF), 0);
    expect_eq(map_as(0x100000000ul >> PAGE_SHIFT, PTE_RO | PTE_PCD, DOMID_SELF), 0);
}

static void check_refusals(void)
{
    unsigned long own = virt_to_mfn(page_alloc());

    expect_eq(mmu_set(window_pte, 0), 0);
    expect(map_as(0xfee00, PTE_KERNEL, DOMID_SELF) < 0);
    expect(map_as(0xfee00, PTE_RO, DOMID_IO) < 0);
    expect(map_as(own, PTE_KERNEL, DOMID_IO) < 0); /* RAM is not a device */
    expect(map_as(pte_mfn(kernel_l4()[256]), PTE_RO, DOMID_XEN) < 0);
    expect(map_as(own, PTE_RO, DOMID_XEN) < 0);
    expect_eq(*window_pte, 0);
}

void test_main(void)
{
    window = hole_alloc();
    window_pte = pte_lookup(window, 1);
    read_map();
    check_vga();
    check_acpi();
    check_kinds();
    check_refusals();
    test_pass();
}
