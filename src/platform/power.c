/* SPDX-License-Identifier: MIT */
/*
 * Off and reset. Domain 0 runs the ACPI methods and hands over the values for the PM1 control
 * registers (ACPI 6.4, 4.8.3.2); for the case that it cannot, the S5 package is looked up in the
 * DSDT's bytes, where it is a constant with few spellings (16.3.4, 20.2).
 */
#include "platform/power.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "hw/ops.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"
#include "memory/map.h"
#include "platform/acpi.h"
#include "platform/clocks.h"

#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP       0x1c00u
#define PM1_SLP_EN        0x2000u
#define SLEEP_CONTROL_EN  0x20u /* hardware-reduced ACPI, 4.8.3.7 */
#define STATE_S5          5u

#define DSDT_HEADER 36u
#define AML_PACKAGE 0x12
#define AML_ZERO    0x00
#define AML_ONE     0x01
#define AML_BYTE    0x0a

#define PORT_CF9      0xcf9
#define CF9_HARD      0x02
#define CF9_RESET     0x06
#define PORT_KBD      0x64
#define KBD_FULL      0x02
#define KBD_RESET     0xfe
#define RESET_WAIT_NS 50000000ull

static char first_method[8] = "acpi";
PARAM_STRING("reboot", first_method);

static bool s5_known;
static unsigned s5_type_a, s5_type_b;

/* ---- the S5 package ---- */

/* A small integer constant at p[*at]; false if there is none. */
static bool aml_integer(const uint8_t *p, size_t len, size_t *at, unsigned *val)
{
    if (*at + 1 < len && p[*at] == AML_BYTE) {
        *val = p[*at + 1];
        *at += 2;
        return true;
    }
    if (*at < len && (p[*at] == AML_ZERO || p[*at] == AML_ONE)) {
        *val = p[*at];
        *at += 1;
        return true;
    }
    return false;
}

/* "_S5_", then a package: opcode, length (1-4 bytes, 20.2.4), number of elements, elements. */
static bool find_s5(const uint8_t *p, size_t len)
{
    for (size_t i = DSDT_HEADER; i + 7 < len; i++) {
        size_t at = i + 5;
        unsigned a, b;

        if (memcmp(p + i, "_S5_", 4) || p[i + 4] != AML_PACKAGE)
            continue;
        at += 1u + (p[at] >> 6) + 1u; /* length bytes and the number of elements */
        if (!aml_integer(p, len, &at, &a))
            continue;
        if (!aml_integer(p, len, &at, &b))
            b = a;
        if (a > 7 || b > 7)
            continue;
        s5_type_a = a;
        s5_type_b = b;
        return true;
    }
    return false;
}

static void read_dsdt(void)
{
    uint8_t *p;
    uint32_t len;

    if (!acpi_info.dsdt)
        return;
    p = map_device(acpi_info.dsdt, DSDT_HEADER, PTE_CACHE_WB);
    if (!p)
        return;
    memcpy(&len, p + 4, sizeof(len));
    unmap_device(p, DSDT_HEADER);
    if (len < DSDT_HEADER || len > ACPI_TABLE_MAX)
        return;
    p = map_device(acpi_info.dsdt, len, PTE_CACHE_WB);
    if (!p)
        return;
    s5_known = find_s5(p, len);
    unmap_device(p, len);
}

/* ---- registers ---- */

static bool register_write(const struct acpi_register *r, uint32_t val, unsigned size)
{
    void *p;

    if (!r->present)
        return false;
    if (r->io) {
        if (size == 1)
            out8((uint16_t)r->address, (uint8_t)val);
        else
            out16((uint16_t)r->address, (uint16_t)val);
        return true;
    }
    p = map_device(r->address, size, PTE_CACHE_UC);
    if (!p)
        return false;
    if (size == 1)
        mmio_write8(p, (uint8_t)val);
    else
        mmio_write16(p, (uint16_t)val);
    unmap_device(p, size);
    return true;
}

static noreturn void halt(void)
{
    log_key("halted");
    interrupts_disable();
    cpu_stop();
}

static noreturn void enter_s5(uint32_t val_a, uint32_t val_b, bool extended)
{
    log_info("powering off");
    interrupts_disable();
    if (panic_stop_others)
        panic_stop_others();
    if (extended) {
        register_write(&acpi_info.sleep_status, val_b, 1);
        register_write(&acpi_info.sleep_control, val_a, 1);
    } else {
        /* The type first, then type and enable: 4.8.3.2.1. */
        register_write(&acpi_info.pm1a_control, val_a & ~PM1_SLP_EN, 2);
        register_write(&acpi_info.pm1b_control, val_b & ~PM1_SLP_EN, 2);
        register_write(&acpi_info.pm1a_control, val_a | PM1_SLP_EN, 2);
        register_write(&acpi_info.pm1b_control, val_b | PM1_SLP_EN, 2);
    }
    platform_delay(RESET_WAIT_NS);
    log_warn("the machine did not power off");
    halt();
}

int power_enter_sleep(unsigned state, uint32_t val_a, uint32_t val_b, bool extended)
{
    if (state != STATE_S5)
        return -EINVAL;
    if (extended) {
        if (!acpi_info.sleep_control.present)
            return -ENODEV;
        if (val_a > 0xff || val_b > 0xff || !(val_a & SLEEP_CONTROL_EN))
            return -EINVAL;
    } else {
        if (!acpi_info.pm1a_control.present)
            return -ENODEV;
        if (val_a > 0xffff || val_b > 0xffff || !(val_a & PM1_SLP_EN))
            return -EINVAL;
    }
    enter_s5(val_a, val_b, extended);
}

void power_off(void)
{
    if (s5_known && acpi_info.pm1a_control.present) {
        uint32_t keep = 0;

        if (acpi_info.pm1a_control.io)
            keep = in16((uint16_t)acpi_info.pm1a_control.address) & ~(PM1_SLP_TYP | PM1_SLP_EN);
        enter_s5(keep | s5_type_a << PM1_SLP_TYP_SHIFT | PM1_SLP_EN,
                 keep | s5_type_b << PM1_SLP_TYP_SHIFT | PM1_SLP_EN, false);
    }
    halt();
}

/* ---- reset ---- */

static void reset_acpi(void)
{
    register_write(&acpi_info.reset, acpi_info.reset_value, 1);
}

static void reset_pci(void)
{
    out8(PORT_CF9, CF9_HARD);
    out8(PORT_CF9, CF9_RESET);
}

static void reset_keyboard(void)
{
    for (unsigned n = 0; n < 100000 && (in8(PORT_KBD) & KBD_FULL); n++)
        cpu_pause();
    out8(PORT_KBD, KBD_RESET);
}

static void reset_triple(void)
{
    const struct table_register none = {0};

    hw_lidt(&none);
    hw_triple_fault();
}

static const struct {
    const char *name;
    void (*reset)(void);
} methods[] = {
    {"acpi", reset_acpi},
    {"pci", reset_pci},
    {"kbd", reset_keyboard},
    {"triple", reset_triple},
};

void power_reboot(void)
{
    interrupts_disable();
    if (panic_stop_others)
        panic_stop_others();
    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
        if (!strcmp(methods[i].name, first_method)) {
            methods[i].reset();
            platform_delay(RESET_WAIT_NS);
        }
    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++) {
        methods[i].reset();
        platform_delay(RESET_WAIT_NS);
    }
    halt();
}

void power_init(void)
{
    read_dsdt();
}
